"""Everything the article shows of an image, from one compiled call with one forward pass.

The plain and the guided backward stand in one jitted function; XLA merges their equal forward passes.
"""

from functools import partial

import jax
import numpy as np

from fakeface_jax.errors import UserError
from fakeface_jax.explain.capture import conv_layers
from fakeface_jax.explain.grad_cam import grad_cam
from fakeface_jax.explain.guided_backprop import guided_backprop
from fakeface_jax.explain.guided_grad_cam import guided_grad_cam
from fakeface_jax.models.resnet import normalize

TARGETS = ("real", "fake", "predicted")


def last_conv_layers(model, count=10):
  """The last `count` convolutions in the order in which they run."""
  return conv_layers(model)[-count:]


@partial(jax.jit, static_argnames=("model", "layers"))
def explain_batch(model, variables, pixels, target, *, layers):
  """Logits, Grad-CAMs, guided backprop, and Guided Grad-CAM of the last layer.

  Args:
    pixels: uint8[N, H, W, 3].
    target: class index int32[N]; -1 stands for whichever class is predicted.
    layers: module paths, at least one, in order.
  Returns: {"logits": float32[N, 2], "gradcam": {layer: float32[N, h, w]},
    "guided_backprop": float32[N, H, W, 3], "guided_gradcam": float32[N, H, W, 3]}.
  """
  images = normalize(pixels)
  target = jax.numpy.where(target < 0, model.apply(variables, images).argmax(-1), target)
  cams, logits = grad_cam(model, variables, images, target, layers=layers)
  guided = guided_backprop(model, variables, images, target)
  return {
      "logits": logits,
      "gradcam": cams,
      "guided_backprop": guided,
      "guided_gradcam": guided_grad_cam(guided, cams[layers[-1]]),
  }


def target_indices(target, count):
  """'real' | 'fake' | 'predicted' -> int32[count] for `explain_batch`."""
  if target not in TARGETS:
    raise UserError(f"--target={target!r} is not known; use {', '.join(TARGETS)}")
  return np.full(count, (0, 1, -1)[TARGETS.index(target)], np.int32)


def pad(array, length):
  """An array with its first axis filled up to `length` by repeating its last entry."""
  return np.concatenate([array, np.repeat(array[-1:], length - len(array), axis=0)])
