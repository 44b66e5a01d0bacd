"""Grad-CAM++: Grad-CAM for a class that shows in several places."""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.capture import activations_and_gradients
from fakeface_jax.explain.signature import Given, Layers, Maps, Model, Variables


def grad_cam_plus_plus(model: Model, variables: Variables, images: Given, target: Given, *, layers: Layers) -> Maps:
  """Heatmaps of one class logit S, one per layer (Chattopadhay et al., 2018, eq. 5, 8 and 19 with Y = exp(S)).

  The factor exp(S), the same all over an image, is left out. The derivation takes activations to be >= 0: use layers
  after a ReLU, such as the blocks 'layer4_1' and 'layer4_2'. At a convolution's raw output alpha can be of any sign.

  Args: as `grad_cam`.
  Returns: {layer: float32[N, h, w]}, >= 0, in logit units, not normalised.
  """
  activations, gradients = activations_and_gradients(model, variables, images, target, layers)
  return {layer: cam_of(activations[layer], gradients[layer]) for layer in layers}


def cam_of(activations, gradients):
  """relu(sum_k w_k A_k), w_k = sum over the map of alpha relu(g), alpha = g^2 / (2 g^2 + g^3 sum(A))."""
  total = activations.sum(axis=(1, 2), keepdims=True)
  # Both sides of the fraction divided by g^2, which would be lost in float32 for a small gradient.
  below = 2 + gradients * total
  alpha = jnp.where((gradients != 0) & (below != 0), 1 / jnp.where(below == 0, 1, below), 0)
  channel_weights = (alpha * jax.nn.relu(gradients)).sum(axis=(1, 2))
  return jax.nn.relu(jnp.einsum("nhwc,nc->nhw", activations, channel_weights))
