"""Score-CAM: each channel weighed by how well the image does when it shows only where that channel is active."""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.capture import activations_of
from fakeface_jax.explain.evaluations import evaluate_each
from fakeface_jax.explain.guided_grad_cam import upsample
from fakeface_jax.explain.path_gradients import of_target
from fakeface_jax.explain.signature import Given, Layers, Maps, Model, Variables


def score_cam(
    model: Model, variables: Variables, images: Given, target: Given, *,
    layers: Layers, channels: int = 0, batch_size: int = 8,
) -> Maps:
  """Heatmaps of one class logit, one per layer (Wang et al., 2020, algorithm 1), without any gradient.

  A channel that is the same everywhere masks nothing and gets no weight.

  Args:
    images, target, layers: as `grad_cam`.
    channels: how many channels of a layer are tried, those that vary most; 0 stands for all. Each costs one forward
      pass per image.
    batch_size: masked images at a time.
  Returns: {layer: float32[N, h, w]}, >= 0, in the units of the layer's output.
  """
  images, target = jnp.asarray(images), jnp.asarray(target)
  activations = activations_of(model, variables, images, layers)
  return {
      layer: _score_cam(model, variables, images, target, activations[layer], channels, batch_size)
      for layer in layers}


def _score_cam(model, variables, images, target, activations, channels, batch_size):
  count, _, _, width = activations.shape
  tried = min(channels or width, width)
  if tried < width:
    _, chosen = jax.lax.top_k(activations.var(axis=(1, 2)), tried)
    activations = jnp.take_along_axis(activations, chosen[:, None, None, :], axis=-1)
  low, high = (bound(activations, axis=(1, 2)) for bound in (jnp.min, jnp.max))
  flat = high <= low

  def of_masked(image, channel):
    lowest, highest = low[image, channel], high[image, channel]
    mask = upsample(activations[image, :, :, channel], images.shape[1:3])
    mask = (mask - lowest[:, None, None]) / jnp.where(highest > lowest, highest - lowest, 1)[:, None, None]
    return of_target(model.apply(variables, images[image] * mask[..., None]), target[image])

  scores = evaluate_each(of_masked, count, tried, batch_size)
  # The paper subtracts the score of an empty image from all, which changes no softmax.
  channel_weights = jnp.where(flat, 0, jax.nn.softmax(jnp.where(flat, -jnp.inf, scores), axis=-1))
  return jax.nn.relu(jnp.einsum("nhwc,nc->nhw", activations, channel_weights))
