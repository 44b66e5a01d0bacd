"""What cameras and programs do to a picture: JAX functions of one image float32[n, n, 3] in 0..1, to be vmapped.

Blur and resampling are products with a matrix for the rows and one for the columns, so every image of a batch can have
its own strength.
"""

import io

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from scipy import fft

BOX, LINEAR, CUBIC = range(3)  # kernels that an image is enlarged by

_file = io.BytesIO()
Image.new("RGB", (8, 8)).save(_file, "JPEG", quality=50)  # with the tables of the JPEG standard's Annex K (ITU-T T.81)
_LUMA, _CHROMA = (np.float32(table).reshape(8, 8) for table in Image.open(_file).quantization.values())  # type: ignore[attr-defined]
_DCT = np.float32(fft.dct(np.eye(8), axis=0, norm="ortho"))
_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_FROM_YCC = np.float32(np.linalg.inv(_TO_YCC.astype(np.float64)))


def separable(image, rows, columns=None):
  """`rows` [m, n] and `columns` [m, n] (the same by default) applied to an image [n, n, C] -> [m, m, C]."""
  return jnp.einsum("iy,yxc,jx->ijc", rows, image, rows if columns is None else columns)


def enlarged(image, n):
  """[k, k, C] -> [n, n, C], cubic, as `jax.image.resize`, but in sums: not every GPU's compiler takes such products."""
  with jax.ensure_compile_time_eval():
    matrix = jax.image.resize(jnp.eye(len(image)), (n, len(image)), "cubic")
  rows = (matrix[:, :, None, None] * image).sum(1)
  return (matrix[:, :, None] * rows[:, None]).sum(2)


def blur_matrix(n, sigma):
  """Gaussian of `sigma` pixels; at the border the weights inside count."""
  distance = jnp.arange(n)[:, None] - jnp.arange(n)[None, :]
  return _of_sum_one(jnp.exp(-0.5 * jnp.square(distance / jnp.maximum(sigma, 0.08))))


def blur(image, sigma):
  return separable(image, blur_matrix(image.shape[0], sigma))


def window_matrix(m, n, start, length):
  """[m, n]: the pixels `start` to `start + length` of n, brought to m by an antialiased linear kernel."""
  step = length / m
  centres = start + (jnp.arange(m) + 0.5) * step - 0.5
  distance = (jnp.arange(n)[None, :] - centres[:, None]) / jnp.maximum(step, 1.0)
  return _of_sum_one(jnp.clip(1 - jnp.abs(distance), 0))


def roundtrip_matrix(n, factor, kernel):
  """[n, n]: reduced to round(factor * n) pixels, antialiased, and enlarged to n again.

  Args: `factor`: in (0, 1]. `kernel`: BOX, LINEAR or CUBIC (Keys, 1981, a = -1/2), by which it is enlarged.
  """
  pixels = jnp.arange(n)
  small = jnp.round(n * factor)
  step, there = n / small, pixels < small
  reduced = (pixels + 0.5) * step - 0.5
  down = _of_sum_one(jnp.clip(1 - jnp.abs(pixels[None, :] - reduced[:, None]) / step, 0)) * there[:, None]
  enlarged = (pixels + 0.5) / step - 0.5
  distance = jnp.abs(pixels[None, :] - enlarged[:, None])
  nearest = jnp.arange(n)[None, :] == jnp.minimum(jnp.floor((pixels + 0.5) / step), small - 1)[:, None]
  near, far = 1.5 * distance**3 - 2.5 * distance**2 + 1, -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
  cubic = jnp.where(distance < 1, near, jnp.where(distance < 2, far, 0.0))
  up = jnp.stack([nearest.astype(jnp.float32), jnp.clip(1 - distance, 0), cubic])[kernel]
  return _of_sum_one(up * there[None, :]) @ down


def _of_sum_one(weights):
  """Rows divided by their sums; rows of zeros stay."""
  total = weights.sum(1, keepdims=True)
  return weights / jnp.where(total == 0, 1, total)


def jpeg(image, quality, halved):
  """The image after JPEG's loss (no bytes are made).

  Args:
    image: its side a multiple of 16.
    quality: 1 to 100, in the Independent JPEG Group's scale.
    halved: whether colours are kept at half the resolution (4:2:0), else at full (4:4:4).
  """
  n = image.shape[0]
  scale = jnp.where(quality < 50, 5000 / quality, 200 - 2 * quality)
  luma, chroma = (jnp.clip(jnp.floor((table * scale + 50) / 100), 1, 255) for table in (_LUMA, _CHROMA))
  y, *colours = jnp.moveaxis(jnp.round(jnp.round(image * 255) @ _TO_YCC.T), -1, 0)

  def coarse(plane):
    small = plane.reshape(n // 2, 2, n // 2, 2).mean((1, 3))
    return _quantized(small, chroma).repeat(2, 0).repeat(2, 1)

  colours = [jnp.where(halved, coarse(plane), _quantized(plane, chroma)) for plane in colours]
  rgb = jnp.round(jnp.stack([_quantized(y - 128, luma) + 128, *colours], axis=-1)) @ _FROM_YCC.T
  return jnp.clip(jnp.round(rgb), 0, 255) / 255


def _quantized(plane, table):
  """A plane [n, n] around 0, its 8 x 8 blocks' cosine coefficients rounded to multiples of `table` [8, 8]."""
  n, table = plane.shape[0], table[None, :, None, :]
  blocks = plane.reshape(n // 8, 8, n // 8, 8)
  coefficients = jnp.round(jnp.einsum("ki,aibj,lj->akbl", _DCT, blocks, _DCT) / table) * table
  return jnp.einsum("ki,akbl,lj->aibj", _DCT, coefficients, _DCT).reshape(n, n)
