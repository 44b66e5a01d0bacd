"""How steady a map is: does it stay the same where noise that nobody sees is added to the picture?"""

import numpy as np

RADIUS = 2  # grey levels of 255; captum's default, 0.02 of a normalised image, is 1.2
DRAWS = 8  # of the noise, for each image


def max_sensitivity(maps, disturbed):
  """The largest change of each map under small disturbances of its image (Yeh et al., 2019, definition 3.1).

  As in the authors' code and in captum, and unlike the definition, it is divided by the map's own norm: maps of several
  methods have several units. (Quantus divides by the norm of the image instead, which leaves them their units.)

  Args:
    maps: float[N, h, w], finite. disturbed: float[M, N, h, w], the same of M disturbed copies of each image.
  Returns: float64[N], >= 0: the largest ||disturbed - map|| / ||map||, Frobenius norms; 0 is steady, 1 a change as
    large as the map. NaN for a map that is zero everywhere, which there is nothing to compare with.
  Raises: ValueError for other values.
  """
  maps, disturbed = np.asarray(maps, np.float64), np.asarray(disturbed, np.float64)
  if disturbed.shape[1:] != maps.shape or not len(disturbed):
    raise ValueError(f"expected maps[N, h, w] and disturbed[M, N, h, w], got {maps.shape} and {disturbed.shape}")
  if not (np.isfinite(maps).all() and np.isfinite(disturbed).all()):
    raise ValueError("maps: expected finite values")
  norms = np.linalg.norm(maps, axis=(1, 2))
  changes = np.linalg.norm(disturbed - maps, axis=(2, 3)).max(0)
  return np.where(norms > 0, changes / np.where(norms > 0, norms, 1), np.nan)


def disturbances(pixels, seed=0):
  """Yields `DRAWS` copies of images uint8[N, H, W, 3] with whole grey levels added, uniform in -RADIUS .. RADIUS.

  What would lie beyond 0 or 255 stays at these.
  """
  random = np.random.default_rng(seed)
  for _ in range(DRAWS):
    noise = random.integers(-RADIUS, RADIUS + 1, pixels.shape, np.int16)
    yield np.clip(pixels + noise, 0, 255).astype(np.uint8)
