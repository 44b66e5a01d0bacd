"""Statistics of what is left of a picture once its neighbours have predicted each pixel: noise, and what became of it.

Forensics judged pictures by such figures before it had networks (rich models: Fridrich & Kodovsky, 2012). They are
known of any picture exactly, wherever it comes from, and a logistic regression on them alone tells many fakes.
"""

import jax.numpy as jnp
import numpy as np

CELL = 32  # px: side of the squares that are described, the grid of the last stage
SCALES, STEPS, LAGS = (1, 2, 4), (0.5, 1.0, 2.0, 4.0), (1, 2, 3)
STATISTICS, COMPONENTS = 354, 192  # numbers that describe a cell, and the strongest that are made of them
UNMEASURED = np.zeros(STATISTICS, np.float32), np.zeros((STATISTICS, COMPONENTS), np.float32)  # a whitening yet to come


def statistics(images):
  """Describes every cell of pictures.

  Residuals are second differences along rows, along columns and along both, of light and of two colour differences, at
  three scales. Of each: the logarithms of mean size and of mean square, the shares below `STEPS` grey values, and the
  correlations with itself some pixels on; and of each pair of channels the correlation. Besides, a cell's mean colour.

  Args: `images`: float32[N, n, n, 3] in 0..255, n a multiple of CELL.
  Returns: float32[N, n / CELL, n / CELL, STATISTICS = 354].
  """
  red, green, blue = jnp.moveaxis(images, -1, 0)
  planes = jnp.stack([0.299 * red + 0.587 * green + 0.114 * blue, red - green, blue - green], axis=-1)
  return jnp.concatenate([_means(planes, CELL), *(_at_scale(planes, scale) for scale in SCALES)], axis=-1)


def _at_scale(planes, scale):
  cell = CELL // scale
  planes = _means(planes, scale)
  down = _second_difference(planes, 1)
  kinds = (_second_difference(planes, 2), down, _second_difference(down, 2))
  residuals = jnp.concatenate([kind / weight for kind, weight in zip(kinds, (2, 2, 8), strict=True)], axis=-1)
  size, square = _means(jnp.abs(residuals), cell), _means(jnp.square(residuals), cell) + 0.02
  found = [jnp.log(size + 0.02), jnp.log(square)]
  found += [_means(jnp.abs(residuals) < step, cell) for step in STEPS]
  found += [_means(residuals * _moved(residuals, lag, axis), cell) / square for axis in (1, 2) for lag in LAGS]
  spread = jnp.sqrt(square)
  for one, other in ((0, 1), (0, 2), (1, 2)):
    product = _means(residuals[..., one::3] * residuals[..., other::3], cell)
    found.append(product / spread[..., one::3] / spread[..., other::3])
  return jnp.concatenate(found, axis=-1)


def _means(planes, side):
  """[N, n, n, C] -> [N, n / side, n / side, C]: means of squares."""
  count, n, _, channels = planes.shape
  return planes.reshape(count, n // side, side, n // side, side, channels).mean((2, 4))


def _second_difference(planes, axis):
  """x[i - 1] - 2 x[i] + x[i + 1], the border repeated."""
  widths = [(1, 1) if i == axis else (0, 0) for i in range(planes.ndim)]
  return jnp.diff(jnp.pad(planes, widths, mode="edge"), n=2, axis=axis)


def _moved(planes, lag, axis):
  """x[i + lag], zeros beyond the border."""
  widths = [(0, lag) if i == axis else (0, 0) for i in range(planes.ndim)]
  return jnp.take(jnp.pad(planes, widths), jnp.arange(lag, planes.shape[axis] + lag), axis=axis)


def whitening(found):
  """What brings statistics float32[M, S] to COMPONENTS uncorrelated numbers of zero mean.

  Their variances are the square roots of the principal components', brought to a mean of 1: the few strong components
  (how much noise there is) come first, and the many weak ones (what kind) are not drowned.

  Returns: (float32[S], float32[S, COMPONENTS]): subtract the one, multiply by the other.
  """
  mean, spread = found.mean(0), found.std(0) + 1e-6
  values, vectors = np.linalg.eigh(np.cov((found - mean) / spread, rowvar=False))
  strongest = np.argsort(values)[::-1][:COMPONENTS]
  scale = values[strongest] ** -0.25
  scale /= np.sqrt(np.mean(np.square(scale) * values[strongest]))
  return np.float32(mean), np.float32(vectors[:, strongest] * scale / spread[:, None])
