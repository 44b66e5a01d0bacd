"""Guided Grad-CAM: guided backpropagation where Grad-CAM looks."""

import jax

from fakeface_jax.explain.grad_cam import grad_cam
from fakeface_jax.explain.guided_backprop import guided_backprop
from fakeface_jax.explain.signature import Array, Given, Model, Variables


def guided_grad_cam(model: Model, variables: Variables, images: Given, target: Given, *, layer: str) -> Array:
  """Guided backpropagation times the Grad-CAM of one layer (Selvaraju et al., 2017, section 3.2).

  Args: as `gradient`, and the path of a layer.
  Returns: float32[N, H, W, 3], signed.
  """
  cam = grad_cam(model, variables, images, target, layers=(layer,))[layer]
  return guided_backprop(model, variables, images, target) * upsample(cam, images.shape[1:3])[..., None]


def upsample(maps, size):
  """float32[N, h, w] -> float32[N, *size], bilinear, with the edges of both lined up as images are resized."""
  return jax.image.resize(maps, (maps.shape[0], *size), "bilinear")
