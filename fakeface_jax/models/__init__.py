"""Networks, and other people's weights for them."""

import jax
import jax.numpy as jnp

from fakeface_jax.errors import UserError
from fakeface_jax.models import resnet as networks

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def make_model(config):
  """The network of `config.model` (depth, dtype)."""
  if config.dtype not in DTYPES:
    raise UserError(f"--config.model.dtype={config.dtype!r} is not known; use {' or '.join(DTYPES)}")
  return networks.resnet(config.depth, dtype=DTYPES[config.dtype])


def init_variables(model, key, image_size):
  """Fresh {"params", "batch_stats"}, float32, for images of that size in pixels."""
  images = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)
  return jax.jit(lambda key: model.init(key, jnp.zeros(images.shape, images.dtype)))(key)


def abstract_variables(model, image_size):
  """Shapes and dtypes of `init_variables`, without computing anything."""
  return jax.eval_shape(lambda: init_variables(model, jax.random.key(0), image_size))
