"""Networks, and other people's weights for them."""

import jax
import jax.numpy as jnp

from fakeface_jax.config_fields import SINCE_ADDED
from fakeface_jax.errors import UserError, did_you_mean
from fakeface_jax.models.resnet import resnet

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
NETWORKS = {"resnet": resnet}  # by the name in a config: (depth, dtype=...) -> a `network.Network`


def make_model(config):
  """The network of `config.model` (name, depth, dtype)."""
  name = config.get("name", SINCE_ADDED["model.name"])
  if name not in NETWORKS:
    near = did_you_mean(name, NETWORKS)
    raise UserError(f"config.model.name={name!r} is not known; use {' or '.join(NETWORKS)}{near}")
  if config.dtype not in DTYPES:
    raise UserError(f"config.model.dtype={config.dtype!r} is not known; use {' or '.join(DTYPES)}")
  return NETWORKS[name](config.depth, dtype=DTYPES[config.dtype])


def init_variables(model, key, image_size):
  """Fresh {"params", "batch_stats"}, float32, for images of that size in pixels."""
  images = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)
  return {"batch_stats": {}} | jax.jit(lambda key: model.init(key, jnp.zeros(images.shape, images.dtype)))(key)
