"""The fast forms against XLA's own convolution, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.models.convolution import blocks_of, convolve, dilated, pixels_of


@pytest.mark.parametrize("size, kernel_size, stride, channels", [
    ((8, 10), 7, 2, 3), ((9, 11), 7, 2, 3), ((12, 7), 3, 2, 3), ((7, 8), 5, 2, 1), ((32, 32), 7, 2, 3),  # on images
    ((6, 7), 1, 1, 16), ((6, 7), 1, 2, 16), ((6, 7), 3, 2, 16), ((6, 7), 3, 1, 16),
    ((9, 7), 5, 2, 16), ((9, 8), 7, 2, 16), ((9, 8), 5, 1, 3), ((9, 8), 3, 3, 16)])
def test_every_form_equals_the_dilated_convolution(size, kernel_size, stride, channels):
  keys = jax.random.split(jax.random.key(0), 3)
  x = jax.random.normal(keys[0], (2, *size, channels))
  kernel = jax.random.normal(keys[1], (kernel_size, kernel_size, channels, 5))
  wanted, pull_wanted = jax.vjp(lambda x, kernel: dilated(x, kernel, stride), x, kernel)
  got, pull_got = jax.vjp(lambda x, kernel: convolve(x, kernel, stride), x, kernel)
  np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
  gradient = jax.random.normal(keys[2], wanted.shape)
  for ours, theirs in zip(pull_got(gradient), pull_wanted(gradient), strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


def test_gradients_keep_the_dtype_of_what_they_belong_to():
  x, kernel = jnp.ones((1, 8, 8, 3), jnp.bfloat16), jnp.ones((7, 7, 3, 4), jnp.bfloat16)
  y, pullback = jax.vjp(lambda x, kernel: convolve(x, kernel, 2), x, kernel)
  assert {y.dtype, *(gradient.dtype for gradient in pullback(y))} == {jnp.dtype(jnp.bfloat16)}


def test_blocks_hold_the_four_pixels_row_by_row():
  x = jnp.arange(16).reshape(1, 4, 4, 1)
  np.testing.assert_array_equal(blocks_of(x)[0, 0, 1], [2, 3, 6, 7])
  np.testing.assert_array_equal(pixels_of(blocks_of(x)), x)
