"""HiResCAM: what each place of a layer adds to a class logit."""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.capture import activations_and_gradients
from fakeface_jax.explain.signature import Given, Layers, Maps, Model, Variables


def hires_cam(model: Model, variables: Variables, images: Given, target: Given, *, layers: Layers) -> Maps:
  """Heatmaps of one class logit, one per layer (Draelos & Carin, 2020, eq. 4, and a ReLU as in Grad-CAM).

  At the last layer before global pooling it equals Grad-CAM; at earlier ones it shows only places that were used.

  Args: as `grad_cam`.
  Returns: {layer: float32[N, h, w]}, >= 0, in logits: gradient times activation, summed over channels.
  """
  activations, gradients = activations_and_gradients(model, variables, images, target, layers)
  return {
      layer: jax.nn.relu(jnp.einsum("nhwc,nhwc->nhw", activations[layer], gradients[layer])) for layer in layers}
