"""What stands in for pixels that are taken away."""

import jax.numpy as jnp

from fakeface_jax.errors import UserError
from fakeface_jax.explain.signature import Array, Given
from fakeface_jax.models.network import normalize

BLUR = 1 / 16  # standard deviation, as a share of the image's side


def fill_images(images: Given, fill: str) -> Array:
  """Images without information, to replace pixels by.

  Args:
    images: normalised, float32[N, H, W, 3].
    fill: 'mean', each image's own mean colour; 'blur', the image without its details; or a grey level 0..255 ('black'
      is 0, 'grey' the mean of the data that the weights were trained on: 0 of the normalised input).
  Returns: float32[N, H, W, 3].
  """
  if fill == "mean":
    return jnp.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
  if fill == "blur":
    return blur(images)
  if fill == "grey":
    return jnp.zeros_like(images)
  level = {"black": 0.0, "white": 255.0}.get(fill)
  try:
    level = float(fill) if level is None else level
  except (TypeError, ValueError):
    level = -1.0
  if not 0 <= level <= 255:
    raise UserError(f"fill {fill!r} is not known; use mean, blur, grey, black, white, or a grey level from 0 to 255")
  return jnp.broadcast_to(normalize(jnp.full(3, level)), images.shape)


def blur(images: Given) -> Array:
  """Gaussian blur with mirrored edges, separable: float32[N, H, W, C] -> the same."""
  for axis in (1, 2):
    side = images.shape[axis]
    sigma = BLUR * side
    places = jnp.arange(side)
    kernel = lambda distance, sigma=sigma: jnp.exp(-0.5 * (distance / sigma) ** 2)
    # An edge's mirror image beyond it: place j also stands at -1 - j and at 2 side - 1 - j.
    mirrors = (places, -1 - places, 2 * side - 1 - places)
    weights = jnp.asarray(sum(kernel(places[:, None] - mirror[None, :]) for mirror in mirrors))
    weights = weights / weights.sum(axis=1, keepdims=True)
    images = jnp.moveaxis(jnp.tensordot(weights, images, (1, axis)), 0, axis)
  return jnp.asarray(images)

