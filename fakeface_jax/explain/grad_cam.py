"""Grad-CAM: where a layer's features speak for a class."""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.capture import activations_and_gradients
from fakeface_jax.explain.signature import Given, Layers, Maps, Model, Variables


def grad_cam(model: Model, variables: Variables, images: Given, target: Given, *, layers: Layers) -> Maps:
  """Heatmaps of one class logit, one per layer (Selvaraju et al., 2017, eq. 1-2).

  Args:
    images: normalised RGB, float32[N, H, W, 3].
    target: class index, int32[N].
    layers: module paths such as ('layer4_1/conv3', 'layer4_2/conv3').
  Returns: {layer: float32[N, h, w]}, >= 0, in logit units, not normalised.
  """
  activations, gradients = activations_and_gradients(model, variables, images, target, layers)
  return {layer: cam_of(activations[layer], gradients[layer]) for layer in layers}


def cam_of(activations, gradients):
  """relu(sum_k alpha_k A_k), alpha_k the mean of dy/dA_k over the map: [N, h, w, C] twice -> [N, h, w]."""
  channel_weights = gradients.mean(axis=(1, 2))
  return jax.nn.relu(jnp.einsum("nhwc,nc->nhw", activations, channel_weights))
