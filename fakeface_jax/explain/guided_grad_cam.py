"""Guided Grad-CAM: guided backpropagation where Grad-CAM looks."""

import jax


def guided_grad_cam(guided_backprop, cam):
  """The product of both (Selvaraju et al., 2017, section 3.2).

  Args:
    guided_backprop: float32[N, H, W, 3].
    cam: a Grad-CAM heatmap float32[N, h, w], brought to H x W bilinearly.
  Returns: float32[N, H, W, 3], signed.
  """
  return guided_backprop * upsample(cam, guided_backprop.shape[1:3])[..., None]


def upsample(maps, size):
  """float32[N, h, w] -> float32[N, *size], bilinear, with the edges of both lined up as images are resized."""
  return jax.image.resize(maps, (maps.shape[0], *size), "bilinear")
