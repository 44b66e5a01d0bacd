"""How much of a map stands in how few places: a reader can take in a short explanation, not one that is everywhere."""

import numpy as np


def sparseness(maps):
  """The Gini index of each map's values (Chalasani et al., 2020; Hurley & Rickard, 2009, table I).

  With the values in ascending order v(1), ..., v(d): 1 - 2 sum_k v(k) / sum(v) * (d - k + 1/2) / d. It says nothing of
  where a map points. A copy of every value changes nothing, so coarse and fine maps can be compared as they are.

  Args: `maps`: float[N, h, w], finite, >= 0, such as `placement.rectified` returns.
  Returns: float64[N], from 0 (all alike, or zero everywhere) to 1 - 1 / (h w) (all in one place).
  Raises: ValueError for other values.
  """
  maps = np.asarray(maps, np.float64)
  if maps.ndim != 3 or not (np.isfinite(maps).all() and maps.min(initial=0) >= 0):
    raise ValueError(f"expected maps[N, h, w], finite, >= 0, got {maps.shape}; see placement.rectified")
  values = np.sort(maps.reshape(len(maps), maps.shape[1] * maps.shape[2]), axis=1)
  count = values.shape[1]
  weights = (2 * np.arange(1, count + 1) - count - 1) / count  # the formula above, put together
  total = values.sum(1)
  return np.maximum(values @ weights, 0) / np.where(total > 0, total, 1)
