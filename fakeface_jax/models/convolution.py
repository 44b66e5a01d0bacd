"""The network's convolution and max-pooling: torch's values and gradients.

On accelerators XLA's own operations stand. Its CPU backend runs a 1 x 1 convolution at half the speed of the same
matrix product, is several times slower at the gradients of the first layer (stride 2, three channels) and of
max-pooling than in the forms below, and within a loop computes the gradients of a 3 x 3 convolution many times faster
where that to x is written as plain convolutions and that to the kernel as nine matrix products. So there, and only
there, these forms take its place. `python scripts/bench.py layers` prints the figures.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

NHWC = ("NHWC", "HWIO", "NHWC")
FEW_CHANNELS = 4  # up to here an input is an image


class Convolution(nn.Module):
  """A bias-free convolution padded by half its kernel on every side, as in torchvision."""

  features: int  # channels of the output
  kernel_size: int  # side of the kernel, odd
  stride: int = 1  # or 2
  dtype: Any = jnp.float32  # of the computation; the parameter `kernel` [k, k, C, features] is float32
  kernel_init: Callable = nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal")

  @nn.compact
  def __call__(self, x):
    shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
    kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
    return convolve(x.astype(self.dtype), kernel.astype(self.dtype), self.stride)


def convolve(x, kernel, stride):
  """float[N, H, W, C] and [k, k, C, D] -> float[N, ceil(H / stride), ceil(W / stride), D], padded by k // 2."""
  form = form_for_cpu(kernel.shape[0], x.shape[-1], stride)
  return dilated(x, kernel, stride) if form is None else _with_form(form, x, kernel, stride)


def form_for_cpu(size, channels, stride):
  """(forward(x, kernel, stride), gradients(x, kernel, stride, gradient)) of a kind of convolution, or None."""
  if size == 1:
    return _product, _product_gradients
  if stride == 2 and channels <= FEW_CHANNELS:
    return dilated, _strided_gradients
  if size == 3 and stride in (1, 2):
    return dilated, _gradients_by_parts
  return None


def dilated(x, kernel, stride):
  """`convolve` as XLA has it; float32 is computed in float32, also where the hardware would rather round it."""
  half = kernel.shape[0] // 2
  return jax.lax.conv_general_dilated(
      x, kernel, (stride, stride), [(half, half)] * 2, dimension_numbers=NHWC, precision=precision(x.dtype))


def precision(dtype):
  """For a product of that dtype: GPUs compute float32 in TF32 and TPUs in bfloat16 unless told not to."""
  return jax.lax.Precision.HIGHEST if dtype == jnp.float32 else jax.lax.Precision.DEFAULT


@partial(jax.custom_vjp, nondiff_argnums=(0, 3))
def _with_form(form, x, kernel, stride):
  """`dilated`, on CPU in the form of `form_for_cpu`."""
  return _forward(form, stride, x, kernel)


# Both are traced once for each shape, not for each layer: a network has many layers of one shape.
@partial(jax.jit, static_argnums=(0, 1), inline=True)
def _forward(form, stride, x, kernel):
  return jax.lax.platform_dependent(
      x, kernel, cpu=partial(form[0], stride=stride), default=partial(dilated, stride=stride))


@partial(jax.jit, static_argnums=(0, 1), inline=True)
def _backward(form, stride, residuals, gradient):
  return jax.lax.platform_dependent(
      *residuals, gradient,
      cpu=lambda x, kernel, gradient: form[1](x, kernel, stride, gradient),
      default=lambda x, kernel, gradient: jax.vjp(partial(dilated, stride=stride), x, kernel)[1](gradient))


_with_form.defvjp(lambda form, x, kernel, stride: (_with_form(form, x, kernel, stride), (x, kernel)), _backward)


def _product(x, kernel, stride):
  return jnp.einsum("nhwc,cd->nhwd", x[:, ::stride, ::stride], kernel[0, 0])


def _product_gradients(x, kernel, stride, gradient):
  return jax.vjp(partial(_product, stride=stride), x, kernel)[1](gradient)


def _gradients_by_parts(x, kernel, stride, gradient):
  """Of a 3 x 3 kernel: that to x by plain convolutions, that to the kernel by a product for each of its taps."""
  if stride == 1:
    to_x = dilated(gradient, kernel[::-1, ::-1].swapaxes(2, 3), 1)
  else:  # pixels of even rows have met one row of the kernel, those of odd rows the two others; so with columns
    turned = lambda i, j: kernel[1 - i :: 2, 1 - j :: 2][::-1, ::-1].swapaxes(2, 3)
    parts = [
        jax.lax.conv_general_dilated(gradient, turned(i, j), (1, 1), [(0, i), (0, j)], dimension_numbers=NHWC)
        for i in (0, 1) for j in (0, 1)]
    to_x = pixels_of(jnp.concatenate(parts, axis=-1))[:, : x.shape[1], : x.shape[2]]
  height, width = (stride * side for side in gradient.shape[1:3])
  padded = jnp.pad(x, ((0, 0), (1, stride), (1, stride), (0, 0)))
  seen = lambda i, j: padded[:, i : i + height : stride, j : j + width : stride]  # by a tap
  product = lambda i, j: jnp.einsum("nhwc,nhwd->cd", seen(i, j), gradient, preferred_element_type=jnp.float32)
  to_kernel = jnp.stack([jnp.stack([product(i, j) for j in range(3)]) for i in range(3)])
  return to_x, to_kernel.astype(x.dtype)


def _strided_gradients(x, kernel, stride, gradient):
  """Of stride 2, in the equivalent form of stride 1 on 2 x 2 blocks of pixels."""
  size, channels, features = kernel.shape[1:]
  odd = [(0, side % 2) for side in x.shape[1:3]]
  blocks = blocks_of(jnp.pad(x, ((0, 0), *odd, (0, 0))))
  # Output i sees the pixels 2 i - k // 2, ..., 2 i + k // 2: blocks i - before, ..., i + after.
  half = size // 2
  before, after = -(-half // 2), half // 2
  front = 2 * before - half
  taps = before + after + 1
  padded = jnp.pad(kernel, ((front, 2 * taps - size - front),) * 2 + ((0, 0),) * 2)

  block_kernel = padded.reshape(taps, 2, taps, 2, channels, features).transpose(0, 2, 1, 3, 4, 5)
  block_kernel = block_kernel.reshape(taps, taps, 4 * channels, features)
  to_blocks = jax.lax.conv_general_dilated(
      gradient, block_kernel[::-1, ::-1].swapaxes(2, 3), (1, 1), [(after, before)] * 2, dimension_numbers=NHWC)
  to_x = pixels_of(to_blocks)[:, : x.shape[1], : x.shape[2]]

  height, width = gradient.shape[1:3]
  blocks = jnp.pad(blocks, ((0, 0), (before, after), (before, after), (0, 0)))
  seen = jnp.concatenate(
      [blocks[:, i : i + height, j : j + width] for i in range(taps) for j in range(taps)], axis=-1)
  to_kernel = jnp.einsum("nhwc,nhwd->cd", seen, gradient, preferred_element_type=jnp.float32)
  to_kernel = to_kernel.reshape(taps, taps, 2, 2, channels, features).transpose(0, 2, 1, 3, 4, 5)
  to_kernel = to_kernel.reshape(2 * taps, 2 * taps, channels, features)
  to_kernel = to_kernel[front : front + size, front : front + size]
  return to_x.astype(x.dtype), to_kernel.astype(kernel.dtype)


def blocks_of(x):
  """[N, 2 H, 2 W, C] -> [N, H, W, 4 C]: each 2 x 2 block of pixels as one."""
  count, height, width, channels = x.shape
  x = x.reshape(count, height // 2, 2, width // 2, 2, channels)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(count, height // 2, width // 2, 4 * channels)


def pixels_of(blocks):
  """The inverse of `blocks_of`."""
  count, height, width, channels = blocks.shape
  x = blocks.reshape(count, height, width, 2, 2, channels // 4)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(count, 2 * height, 2 * width, channels // 4)


@jax.custom_vjp
def max_pool(x, before):
  """3 x 3 maximum, stride 2, padding 1, as `nn.max_pool`; a tie's gradient goes to its first pixel in reading order.

  Borders, bars and overexposed skies tie by the thousand, and torch decides so.

  Args:
    x: float[N, H, W, C], a ReLU of `before`.
    before: float[N, H, W, C]. Where a gradient gets through the ReLU, both have their maxima at the same pixels; so it
      is enough to keep this one, and accelerators are spared a second array of that size.
  """
  del before
  return jax.lax.platform_dependent(x, cpu=pool_by_pairs, default=pool_by_window)


def _pool_gradient(kept, gradient):
  to_x = jax.lax.platform_dependent(
      *kept, gradient, cpu=lambda x, before, gradient: jax.vjp(pool_by_pairs, x)[1](gradient)[0],
      default=lambda x, before, gradient: jax.vjp(pool_by_window, before)[1](gradient)[0])
  return to_x, jnp.zeros_like(to_x)


max_pool.defvjp(lambda x, before: (max_pool(x, before), (x, before)), _pool_gradient)


def pool_by_window(x):
  """`max_pool` as XLA has it."""
  return nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))


def pool_by_pairs(x):
  """`max_pool` for CPU: along rows, then over them, so that of equals the topmost, then the leftmost is first."""
  return _pool_along(_pool_along(x, 2), 1)


def _pool_along(x, axis):
  """Output i is the maximum of 2 i - 1, 2 i and 2 i + 1 along an axis."""
  pad = [(0, 0)] * x.ndim
  pad[axis] = (0, x.shape[axis] % 2)
  x = jnp.pad(x, pad, constant_values=-jnp.inf)
  pairs = x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
  even, odd = (jax.lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in (0, 1))
  pad[axis] = (1, 0)
  before = jax.lax.slice_in_dim(jnp.pad(odd, pad, constant_values=-jnp.inf), 0, odd.shape[axis], axis=axis)
  return _later_if_larger(_later_if_larger(before, even), odd)


def _later_if_larger(first, later):
  """`jnp.maximum`, whose gradient of a tie goes to the first."""
  return jnp.where((later > first) | jnp.isnan(later), later, first)
