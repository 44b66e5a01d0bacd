"""LayerCAM: Grad-CAM with a weight for every place, for finer maps of earlier layers."""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.capture import activations_and_gradients
from fakeface_jax.explain.signature import Given, Layers, Maps, Model, Variables


def layer_cam(model: Model, variables: Variables, images: Given, target: Given, *, layers: Layers) -> Maps:
  """Heatmaps of one class logit, one per layer (Jiang et al., 2021, eq. 5-6): relu(sum_k relu(g_k) A_k).

  Args: as `grad_cam`.
  Returns: {layer: float32[N, h, w]}, >= 0, in logits.
  """
  activations, gradients = activations_and_gradients(model, variables, images, target, layers)
  return {
      layer: jax.nn.relu(jnp.einsum("nhwc,nhwc->nhw", activations[layer], jax.nn.relu(gradients[layer])))
      for layer in layers}
