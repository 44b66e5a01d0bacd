"""The three small networks of MTCNN (Zhang et al., 2016), in NumPy, with the weights that the package mtcnn ships.

In NumPy, as the boxes then are the same on every device, and nothing is compiled for every new size of a photograph.
They work on float32[N, H, W, 3], RGB, of values (pixel - 127.5) / 128.
"""

import functools
import importlib.util
import io
import threading
from pathlib import Path

import numpy as np
import threadpoolctl

from fakeface_jax.errors import UserError

INSTALL = "finding faces needs the package mtcnn: pip install 'mtcnn>=1'"
PART = 1 << 19  # numbers in work at a time
CELL, STRIDE = 12, 2  # px: side of what a proposal looks at, and how far apart they are
SIDES = {"rnet": 24, "onet": 48}  # px of a patch


@functools.cache
def weights(name):
  """The arrays of a network, 'pnet', 'rnet' or 'onet', in the order of its layers.

  Its file is looked up, as the package's own import needs TensorFlow.
  Raises: UserError where the package is not installed, or ships none.
  """
  spec = importlib.util.find_spec("mtcnn")
  file = spec and Path(spec.origin).parent / "assets" / "weights" / f"{name}.lz4"
  if not file or not file.exists():
    raise UserError(INSTALL)
  import joblib
  import lz4.frame

  # joblib would leave an open file behind, whose end Python 3.13 complains of
  arrays = joblib.load(io.BytesIO(lz4.frame.decompress(file.read_bytes())))
  return [np.asarray(array, np.float32) for array in arrays]


class _OneThread:
  """Within it, products of matrices take one thread, from whichever thread they are called: these are so small that
  several are slower, by far where others run too."""

  def __init__(self):
    self._lock, self._within, self._limit = threading.Lock(), 0, None

  def __enter__(self):
    with self._lock:
      self._within += 1
      if self._within == 1:
        self._limit = threadpoolctl.threadpool_limits(1, "blas")

  def __exit__(self, *_):
    with self._lock:
      self._within -= 1
      if self._within == 0:
        self._limit.restore_original_limits()


one_thread = _OneThread()


def propose(pixels):
  """Everywhere in an image: is there a face of about CELL px?

  Args:
    pixels: float32[H, W, 3], at least CELL px each way.
  Returns: (probability float32[h, w] at every STRIDE px, float32[h, w, 4] by how many cells its edges are off).
  """
  *layers, box, box_bias, face, face_bias = weights("pnet")
  x = _pool(_convolve(pixels[None], *layers[:3]), 2)
  x = _convolve(_convolve(x, *layers[3:6]), *layers[6:9])[0]
  return _probability(x @ face[0, 0] + face_bias), x @ box[0, 0] + box_bias


def sift(patches):
  """Is there a face in each of float32[N, 24, 24, 3]? Returns: (probability float32[N], edges float32[N, 4])."""
  *layers, hidden, hidden_bias, slope, box, box_bias, face, face_bias = weights("rnet")
  x = _pool(_convolve(patches, *layers[:3]), 3)
  x = _pool(_convolve(x, *layers[3:6]), 3, padded=False)
  x = _convolve(x, *layers[6:9])
  x = _leaky(_flat(x) @ hidden + hidden_bias, slope)
  return _probability(x @ face + face_bias), x @ box + box_bias


def look(patches):
  """A closer look at float32[N, 48, 48, 3].

  Returns: (probability of a face float32[N]; edges float32[N, 4]; float32[N, 5, 2], x and y of the eyes, the nose and
    the corners of the mouth, each from the image's left, in sides of the patch).
  """
  *layers, hidden, hidden_bias, slope, box, box_bias, points, points_bias, face, face_bias = weights("onet")
  x = _pool(_convolve(patches, *layers[:3]), 3)
  x = _pool(_convolve(x, *layers[3:6]), 3, padded=False)
  x = _pool(_convolve(x, *layers[6:9]), 2)
  x = _convolve(x, *layers[9:12])
  x = _leaky(_flat(x) @ hidden + hidden_bias, slope)
  points = (x @ points + points_bias).reshape(-1, 2, 5).swapaxes(1, 2)
  return _probability(x @ face + face_bias), x @ box + box_bias, points


def _convolve(x, kernel, bias, slope):
  """A valid convolution and its PReLU. Pixel i of the flattened images meets every tap of the kernel at a fixed
  distance, so it is a product of matrices, made in parts that fit a cache; the pixels that reach over an edge are
  cut off."""
  n, height, width, channels = x.shape
  rows, columns, _, out = kernel.shape
  flat, kernel = x.reshape(-1, channels), kernel.reshape(-1, out)
  whole = len(flat) - (rows - 1) * width - columns + 1
  result = np.zeros((len(flat), out), np.float32)
  part = PART // len(kernel)
  taps = np.empty((part, len(kernel)), np.float32)
  for start in range(0, whole, part):
    end = min(start + part, whole)
    for tap in range(rows * columns):
      first = start + tap // columns * width + tap % columns
      taps[: end - start, tap * channels : (tap + 1) * channels] = flat[first : first + end - start]
    np.matmul(taps[: end - start], kernel, out=result[start:end])
    result[start:end] = _leaky(result[start:end] + bias, slope[0, 0])
  return result.reshape(n, height, width, out)[:, : height - rows + 1, : width - columns + 1]


def _leaky(x, slope):
  below = np.minimum(x, 0)
  below *= slope
  below += np.maximum(x, 0, out=x)
  return below


def _pool(x, size, padded=True):
  """Maxima of `size` x `size` pixels, every second one; padded: of those at the end that are there."""
  for axis in (1, 2):
    length = (x.shape[axis] + 1) // 2 if padded else (x.shape[axis] - size) // 2 + 1
    lacking = max(0, 2 * (length - 1) + size - x.shape[axis])
    if lacking:
      x = np.pad(x, [(0, lacking * (axis == at)) for at in range(4)], constant_values=-np.inf)
    x = x.swapaxes(0, axis)
    x = functools.reduce(np.maximum, (x[start : start + 2 * length - 1 : 2] for start in range(size))).swapaxes(0, axis)
  return np.ascontiguousarray(x)


def _flat(x):
  return x.swapaxes(1, 2).reshape(len(x), np.prod(x.shape[1:]))  # columns first, as the weights were once made


def _probability(logits):
  return 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
