"""Guided backpropagation: which pixels a class logit rises with, along positive paths only."""

import jax
import jax.numpy as jnp


@jax.custom_vjp
def guided_relu(x):
  """A ReLU whose gradient passes only where it and the input are positive (Springenberg et al., 2015, fig. 1)."""
  return jax.nn.relu(x)


guided_relu.defvjp(
    lambda x: (jax.nn.relu(x), x > 0),
    lambda active, gradient: (jnp.where(active, jax.nn.relu(gradient), 0),))


def guided_backprop(model, variables, images, target):
  """The gradient of one class logit to the pixels, through guided ReLUs.

  The model's variables and forward pass are untouched: `model.clone(act=guided_relu)` differs in its gradient only.

  Args:
    images: normalised RGB, float32[N, H, W, 3].
    target: class index, int32[N].
  Returns: float32[N, H, W, 3], signed, in logits per unit of the normalised input.
  """
  guided = model.clone(act=guided_relu)
  logits, pullback = jax.vjp(lambda images: guided.apply(variables, images), images)
  (gradient,) = pullback(jax.nn.one_hot(target, logits.shape[-1], dtype=logits.dtype))
  return gradient
