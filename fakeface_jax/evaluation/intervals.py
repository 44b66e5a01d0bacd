"""How sure to be of a share or a mean: [value, low, high], its 95 % interval beside it, ready for JSON."""

import numpy as np
from scipy.stats import binomtest


def wilson(part, whole):
  """A share and its Wilson score interval (Wilson, 1927), which keeps within 0..1 and is honest about 0 and 1.

  Args: `part`, `whole`: ints, 0 <= part <= whole.
  Returns: [share, low, high] as floats; Nones for `whole` 0.
  """
  if not 0 <= part <= whole:
    raise ValueError(f"expected 0 <= part <= whole, got {part} of {whole}")
  if not whole:
    return [None] * 3
  share, interval = part / whole, binomtest(part, whole).proportion_ci(method="wilson")
  return [share, float(min(share, max(0, interval.low))), float(max(share, min(1, interval.high)))]


def mean_interval(values, seed=0, bootstrap=1000):
  """A mean over images and its percentile interval (Efron, 1979): `mean_intervals` of one column, float[N]."""
  return mean_intervals(np.asarray(values, np.float64)[:, None], seed, bootstrap)[0]


def mean_intervals(values, seed=0, bootstrap=1000):
  """Means over images and their 95 % percentile intervals, all columns from the same resamples of the images.

  Of few images the intervals are too narrow, of a single one they are a point.

  Args: values: float[N, K], finite. seed: of the resamples; the same for the same N.
  Returns: K lists [mean, low, high]; Nones for N = 0.
  """
  values = np.asarray(values, np.float64)
  count, columns = values.shape
  if not count:
    return [[None] * 3 for _ in range(columns)]
  rng = np.random.default_rng(seed)
  chunk = max(1, 1_000_000 // count)  # about 8 MB of counts at a time
  means = []
  for start in range(0, bootstrap, chunk):
    rows = min(chunk, bootstrap - start)
    drawn = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
    means.append(counts @ values / count)
  low, high = np.percentile(np.concatenate(means), (2.5, 97.5), axis=0)
  return np.stack([values.mean(0), low, high], axis=1).tolist()
