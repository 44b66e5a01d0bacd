"""The TFDS builder `real_fake_140k`: 140k Real and Fake Faces, with the splits it is published with.

    real_vs_fake/real-vs-fake/{train,valid,test}/{real,fake}/*.jpg    100,000, 20,000 and 20,000 images of 256 px
    train.csv valid.csv test.csv                                      with columns path (train/real/1.jpg) and label

The tables call real 1 and fake 0; here, as everywhere, fake is 1. See `label_table` for what happens where folders and
tables disagree, and `published` for where the files have to be.
"""

from fakeface_jax.data.builders.base import FaceFile
from fakeface_jax.data.builders.folder import find_faces
from fakeface_jax.data.builders.label_table import confirmed_faces, read_table, stem_of
from fakeface_jax.data.builders.published import PublishedBuilder
from fakeface_jax.data.schema import FAKE, REAL

FOLDERS = {"train": "train", "val": "valid", "test": "test"}  # our split: theirs, of folder and table
LABEL_OF_WORD = {"1": REAL, "0": FAKE}


class RealFake140k(PublishedBuilder):
  """See the module's docstring; made by `published.published_builder`."""

  name = "real_fake_140k"
  title = "140k Real and Fake Faces"
  kaggle = "xhlulu/140k-real-and-fake-faces"
  layout = "real_vs_fake/real-vs-fake/{train,valid,test}/{real,fake}/*.jpg with train.csv, valid.csv and test.csv"
  image_folder = "real_vs_fake/real-vs-fake"
  parts = (image_folder, "train.csv", "valid.csv", "test.csv")

  def _find_published(self):
    found, kept = find_faces(self.root), []
    left_out = [[self.prefix + path, what] for path, what in found.unreadable]
    for split, folder in FOLDERS.items():
      faces = {}
      for label in (REAL, FAKE):
        for path in found.images.get((split, label), ()):
          faces.setdefault((f"{folder}/{path.stem}", label), []).append(FaceFile(path, label, split))
      table = f"{folder}.csv"
      rows = [(line, _name(path), LABEL_OF_WORD.get(word), word)
              for line, path, word in read_table(self.place / table, ("path", "label"))]
      confirmed, others = confirmed_faces(faces, rows, self.prefix + table, self._source)
      kept += confirmed
      left_out += others
    return kept, left_out


def _name(path):
  """'train/real/1.jpg' -> 'train/1': what the class is, the label has to say."""
  first, *_, last = ("", *path.replace("\\", "/").split("/"))[-3:]
  return "/".join(filter(None, (first, stem_of(last))))
