"""Guided backpropagation: which pixels a class logit rises with, along positive paths only."""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.gradient import gradient
from fakeface_jax.explain.signature import Array, Given, Model, Variables


@jax.custom_vjp
def guided_relu(x):
  """A ReLU whose gradient passes only where it and the input are positive (Springenberg et al., 2015, fig. 1)."""
  return jax.nn.relu(x)


# Where x is positive is kept on TPU: asked of x when it is needed, all activations would be kept, twice its bytes.
guided_relu.defvjp(
    lambda x: (jax.nn.relu(x), jax.lax.platform_dependent(
        x, tpu=lambda x: jax.lax.optimization_barrier(x > 0), default=lambda x: x > 0)),
    lambda active, gradient: (jnp.where(active, jax.nn.relu(gradient), 0),))


def guided_backprop(model: Model, variables: Variables, images: Given, target: Given) -> Array:
  """The gradient of one class logit to the pixels, through guided ReLUs.

  The model's variables and forward pass are untouched: `model.clone(act=guided_relu)` differs in its gradient only.

  Args: as `gradient`.
  Returns: float32[N, H, W, 3], signed, in logits per unit of the normalised input.
  """
  return gradient(model.clone(act=guided_relu), variables, images, target)
