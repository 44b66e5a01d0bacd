"""The plain gradient: which pixels a class logit is sensitive to."""

from functools import partial

import jax

from fakeface_jax.explain.capture import check_call
from fakeface_jax.explain.signature import Array, Given, Model, Variables


def gradient(model: Model, variables: Variables, images: Given, target: Given) -> Array:
  """The gradient of one class logit to the pixels (Simonyan et al., 2014, section 3), with its sign.

  Args:
    images: normalised RGB, float32[N, H, W, 3].
    target: class index, int32[N].
  Returns: float32[N, H, W, 3], in logits per unit of the normalised input.
  """
  check_call(model, images, target)
  return _gradient(model, variables, images, target)


@partial(jax.jit, static_argnames="model")
def _gradient(model, variables, images, target):
  logits, pullback = jax.vjp(lambda images: model.apply(variables, images), images)
  (to_images,) = pullback(jax.nn.one_hot(target, logits.shape[-1], dtype=logits.dtype))
  return to_images
