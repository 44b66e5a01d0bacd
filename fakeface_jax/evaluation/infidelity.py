"""Does a map say how much the network's answer falls when something is taken away? Infidelity, on squares.

Squares of many sizes are taken out of each picture ("square removal": Yeh et al., 2019); what a map holds
in a square is what it says that the square is worth.
"""

import numpy as np

SQUARES = 24  # of each picture
SMALLEST, LARGEST = 1 / 8, 3 / 8  # sides, of the picture's shorter side


def infidelity(said, fallen, scaled=True):
  """The mean squared error of what maps say of disturbances (Yeh et al., 2019, definition 2.1).

  Args:
    said: float[N, K], the product of each of N maps with each of its K disturbances.
    fallen: float[N, K], how much the explained logit falls under these.
    scaled: whether each map is multiplied by the number that suits it best, as in the authors' code and with
      captum's `normalize=True`: a heatmap has no unit of logits.
  Returns: float64[N], >= 0, in squared logits; with `scaled`, at most the mean of fallen ** 2, which is that of a map
    of zeros.
  Raises: ValueError for other shapes and values.
  """
  said, fallen = np.asarray(said, np.float64), np.asarray(fallen, np.float64)
  if said.shape != fallen.shape or said.ndim != 2 or not (np.isfinite(said).all() and np.isfinite(fallen).all()):
    raise ValueError(f"expected finite said[N, K] and fallen[N, K], got {said.shape} and {fallen.shape}")
  if scaled:
    power = np.square(said).sum(1)
    said = said * ((said * fallen).sum(1) / np.where(power > 0, power, 1))[:, None]
  return np.square(said - fallen).mean(1)


def unexplained(said, fallen):
  """`infidelity`, scaled, as a share of that of a map of zeros: float64[N] from 0 (it says all) to 1 (it says nothing).

  A map that says the opposite of what happens, which a negative scale would make right, says nothing.
  A division by the same number for all maps of an image, so that images whose logits move more do not outweigh others.
  """
  nothing = np.square(np.asarray(fallen, np.float64)).mean(1)
  says = (nothing > 0) & (np.sum(np.asarray(said, np.float64) * fallen, axis=1) > 0)
  return np.where(says, infidelity(said, fallen) / np.where(nothing > 0, nothing, 1), 1.0)


def squares(size, seed=0):
  """`SQUARES` places to take away, bool[K, *size], each one square; their sides and places are drawn evenly."""
  random, (height, width) = np.random.default_rng(seed), size
  removed = np.zeros((SQUARES, height, width), bool)
  for one in removed:
    side = max(1, round(min(size) * random.uniform(SMALLEST, LARGEST)))
    top, left = random.integers(height - side + 1), random.integers(width - side + 1)
    one[top : top + side, left : left + side] = True
  return removed


def sums_inside(maps, removed):
  """What maps float[N, H, W] hold in places bool[K, H, W]: float64[N, K], sums over their pixels."""
  return np.einsum("nhw,khw->nk", np.asarray(maps, np.float64), removed)
