"""Feature maps: what the filters of a layer respond to."""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.capture import activations_of
from fakeface_jax.explain.signature import Given, Layers, Maps, Model, Variables


def feature_maps(
    model: Model, variables: Variables, images: Given, target: Given, *, layers: Layers, count: int = 16
) -> dict[str, Maps]:
  """The channels of each layer that respond most strongly to an image.

  Args:
    images, layers: as `grad_cam`; `target` has no influence.
    count: channels per layer.
  Returns: {layer: {"maps": float32[N, h, w, count], "channels": int32[N, count]}}, the strongest (largest |value|)
    first, as the layer puts them out.
  """
  strongest = {}
  for layer, values in activations_of(model, variables, images, layers).items():
    _, channels = jax.lax.top_k(jnp.abs(values).max(axis=(1, 2)), min(count, values.shape[-1]))
    maps = jnp.take_along_axis(values, channels[:, None, None, :], axis=-1)
    strongest[layer] = {"maps": maps, "channels": channels}
  return strongest
