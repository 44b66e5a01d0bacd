"""The TFDS builder `ciplab`: Real and Fake Face Detection, faces retouched by experts, with what they changed.

    real_and_fake_face/training_real/*.jpg
    real_and_fake_face/training_fake/{easy|mid|hard}_{n}_{abcd}.jpg    the bits: left eye, right eye, nose, mouth

The bits become `regions`, the first word `difficulty`; where exactly a fake was changed, nobody says. It is published
without splits. A fake shares most of its pixels with the photograph it was made of, which may be among the reals or
beneath several fakes: so images that share a part (see `lookalikes`, which takes some minutes) go to train (70 %), val
(15 %) or test (15 %) together, by a hash of the bytes of one of them. See `published` for where the files have to be.
"""

import re

import numpy as np

from fakeface_jax.data.builders.base import FaceFile, relative, split_of
from fakeface_jax.data.builders.folder import image_files
from fakeface_jax.data.builders.lookalikes import lookalike_groups, points_of
from fakeface_jax.data.builders.published import PublishedBuilder
from fakeface_jax.data.schema import FAKE, REAL, REGIONS
from fakeface_jax.errors import UserError

NAME = re.compile(r"(easy|mid|hard)_\d+_([01]{4})", re.IGNORECASE)


class Ciplab(PublishedBuilder):
  """See the module's docstring; made by `published.published_builder`."""

  name = "ciplab"
  title = "Real and Fake Face Detection"
  kaggle = "ciplab/real-and-fake-face-detection"
  layout = "real_and_fake_face/ with training_real/*.jpg and training_fake/{easy|mid|hard}_{n}_{abcd}.jpg"
  parts = ("training_real", "training_fake")
  _looks = staticmethod(points_of)

  def _find_published(self):
    found = [image_files(self.root / part) for part in self.parts]
    reals, fakes = (of_class.images for of_class in found)
    for part, paths in zip(self.parts, (reals, fakes), strict=True):
      if not paths:
        raise UserError(f"{self.root / part}: holds no image; expected {self.layout}")
    kept = [FaceFile(path, REAL) for path in reals]
    left_out = [[self.prefix + relative(path, self.root), what] for of_class in found
                for path, what in of_class.unread.items()]
    for path in fakes:
      match = NAME.fullmatch(path.stem)
      if match:
        difficulty, bits = match.groups()
        regions = tuple(region for region, bit in zip(REGIONS[:4], bits, strict=True) if bit == "1")
        kept.append(FaceFile(path, FAKE, None, regions, difficulty.lower()))
      else:
        left_out.append([self._source(FaceFile(path, FAKE)),
                         "its name does not say what was changed; expected one such as mid_12_1100.jpg"])
    return kept, left_out

  def _content_splits(self, checked):
    shares, copies, numbers = np.unique([one.share for one in checked], return_index=True, return_inverse=True)
    groups = lookalike_groups([checked[i].looks for i in copies])
    least = [shares[groups == group].min() for group in range(groups.max() + 1)]
    # The least of many numbers is a small one; its last digits are as good as a new number.
    return [split_of(least[groups[number]] * 2**20 % 1) for number in numbers]
