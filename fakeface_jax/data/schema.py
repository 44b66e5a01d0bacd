"""What every data set of this package looks like, whatever its own names and class order.

A record holds `image` (encoded bytes of any format `images.decode_image` reads), `label` (real = 0, fake = 1),
`mask` (PNG, one channel: 255 where the image was manipulated, 0 where not, 128 where nobody knows; a 1 x 1 mask stands
for the whole image), `regions` (which parts of the face were manipulated, one bit each), `difficulty` and `source`.
"""

import numpy as np

LABELS = ("real", "fake")
REAL, FAKE = 0, 1
THRESHOLD = 0.5  # a probability of fake from here on is called fake
REGIONS = ("left_eye", "right_eye", "nose", "mouth", "ears", "hair", "background", "face", "other")
SHEET = "contact_sheet.png"  # the overview of a made or collected set, beside the folders of its classes; no data
DIFFICULTIES = ("none", "easy", "mid", "hard")  # "none": a real image, or a fake nobody graded


def face_features():
  """The tfds features that all builders share; decode nothing here, `data.reading.records` does."""
  import tensorflow_datasets as tfds  # here, because whoever only wants the names should not have to wait for it

  return tfds.features.FeaturesDict({
      "image": tfds.features.Image(shape=(None, None, 3)),
      "label": tfds.features.ClassLabel(names=LABELS),
      "mask": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
      "regions": tfds.features.Tensor(shape=(len(REGIONS),), dtype=np.bool_),
      "difficulty": tfds.features.ClassLabel(names=DIFFICULTIES),
      "source": tfds.features.Text(),
  })
