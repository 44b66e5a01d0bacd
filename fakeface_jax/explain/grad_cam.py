"""Grad-CAM: where a layer's features speak for a class."""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.capture import apply_with_taps, layer_shapes


def grad_cam(model, variables, images, target, *, layers):
  """Grad-CAM heatmaps of one class logit, one per layer (Selvaraju et al., 2017, eq. 1-2), and the logits.

  Args:
    images: normalised RGB, float32[N, H, W, 3].
    target: class index, int32[N].
    layers: module paths such as ('layer4_1/conv3', 'layer4_2/conv3').
  Returns: {layer: float32[N, h, w]}, >= 0, in logit units, not normalised; logits float32[N, classes].
  """
  shapes = layer_shapes(model, variables, images)
  taps = {layer: jnp.zeros(shapes[layer].shape, jnp.float32) for layer in layers}
  logits, pullback, activations = jax.vjp(
      lambda taps: apply_with_taps(model, variables, images, taps), taps, has_aux=True)
  (gradients,) = pullback(jax.nn.one_hot(target, logits.shape[-1], dtype=logits.dtype))
  return {layer: cam_of(activations[layer], gradients[layer]) for layer in layers}, logits


def cam_of(activations, gradients):
  """relu(sum_k alpha_k A_k), alpha_k the mean of dy/dA_k over the map: [N, h, w, C] twice -> float32[N, h, w]."""
  channel_weights = gradients.mean(axis=(1, 2))
  return jax.nn.relu(jnp.einsum("nhwc,nc->nhw", activations.astype(jnp.float32), channel_weights))
