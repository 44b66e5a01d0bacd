"""What the golden measures are of: maps, masks, a small function and disturbances, made without torch."""

import numpy as np
from PIL import Image
from skimage import data

SIZE = (20, 28)
DRAWS = 6


def maps():
  """float32[4, 20, 28] >= 0, without ties: one in one place, one all over, one coarse blob with speckle, one sparse."""
  random, (y, x) = np.random.default_rng(0), np.mgrid[:20, :28]
  blob = np.exp(-(((y - 7) / 4) ** 2) - ((x - 20) / 6) ** 2)
  several = [1e-3 + 10 * blob**4, 1 + random.random(SIZE), blob + 0.2, random.exponential(size=SIZE) ** 3]
  return np.float32([values + 1e-3 * random.random(SIZE) for values in several])


def masks():
  """uint8[4, 20, 28] of 0 and 255."""
  result = np.zeros((4, *SIZE), np.uint8)
  for one, (rows, columns) in zip(result, ((slice(4, 12), slice(15, 26)),) * 2 + ((slice(0, 9), slice(3, 17)),) * 2,
                                  strict=True):
    one[rows, columns] = 255
  return result


def weights():
  """float64[20 * 28 * 3, 5] and float64[5] of `function`."""
  random = np.random.default_rng(1)
  return random.standard_normal((20 * 28 * 3, 5)) / 40, random.standard_normal(5)


def function(images):
  """float64[N, 20, 28, 3] -> float64[N], smooth and not linear."""
  inward, outward = weights()
  return np.tanh(images.reshape(len(images), -1) @ inward) @ outward


def images():
  return np.random.default_rng(2).standard_normal((4, *SIZE, 3))


def noise():
  """float64[6, 4, 20, 28, 3]: disturbances of the images."""
  return 0.3 * np.random.default_rng(3).standard_normal((DRAWS, 4, *SIZE, 3))


def explanation(images):
  """Maps float64[N, 20, 28, 3] of images: the gradient of `function`."""
  inward, outward = weights()
  slope = 1 - np.tanh(images.reshape(len(images), -1) @ inward) ** 2
  return ((slope * outward) @ inward.T).reshape(images.shape)


def road():
  """(float32[3, 96, 128, 3] in -2 .. 2, bool[3, 96, 128]): a photograph; most pixels gone, a hole, and an edge."""
  face = Image.fromarray(data.astronaut()[:300, 40:440])
  photograph = np.float32(face.resize((128, 96), Image.Resampling.BOX)) / 64 - 2
  random, (y, x) = np.random.default_rng(4), np.mgrid[:96, :128]
  keep = np.stack([random.random((96, 128)) < 0.3, np.hypot(y - 45, x - 70) > 28, (x > 40) | (y % 11 == 0)])
  return np.stack([photograph] * 3), keep
