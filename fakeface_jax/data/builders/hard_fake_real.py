"""The TFDS builder `hard_fake_real`: Hard Fake vs Real Faces, made to test detectors on; it has a test split only.

    fake/*.jpg    700 images of 300 px by StyleGAN2
    real/*.jpg    589 images of 300 px from Unsplash
    data.csv      with columns images_id, with or without .jpg, and label, a word

See `label_table` for what happens where folders and table disagree, and `published` for where the files have to be.
"""

from fakeface_jax.data.builders.base import FaceFile
from fakeface_jax.data.builders.folder import find_faces
from fakeface_jax.data.builders.label_table import confirmed_faces, read_table, stem_of
from fakeface_jax.data.builders.published import PublishedBuilder
from fakeface_jax.data.schema import LABELS

TABLE = "data.csv"


class HardFakeReal(PublishedBuilder):
  """See the module's docstring; made by `published.published_builder`."""

  name = "hard_fake_real"
  title = "Hard Fake vs Real Faces"
  kaggle = "hamzaboulahia/hardfakevsrealfaces"
  layout = "fake/*.jpg, real/*.jpg and data.csv"
  parts = ("fake", "real", TABLE)

  def _find_published(self):
    found, faces = find_faces(self.root), {}
    for (_, label), paths in found.images.items():
      for path in paths:
        faces.setdefault((path.stem, label), []).append(FaceFile(path, label, "test"))
    words = {word: label for label, word in enumerate(LABELS)}
    rows = [(line, stem_of(name), words.get(word.lower()), word)
            for line, name, word in read_table(self.root / TABLE, ("images_id", "label"))]
    kept, left_out = confirmed_faces(faces, rows, self.prefix + TABLE, self._source)
    return kept, [*left_out, *([self.prefix + path, what] for path, what in found.unreadable)]
