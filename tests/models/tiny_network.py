"""A network of another kind than a ResNet, as small as can be: what a stranger writes to add one."""

import flax.linen as nn
import jax.numpy as jnp

from fakeface_jax.models.network import Network

CHANNELS = {"early": 8, "middle": 12, "late": 16}


class TinyNetwork(Network):
  """A chain of plain convolutions with a bias and without BatchNorm, pooled in between."""

  parts = (*CHANNELS, "head")

  @nn.compact
  def __call__(self, x, *, train=False, start=None, stop=None):
    x = x.astype(self.dtype)
    for part in self.stretch(start, stop):
      if part == "head":
        x = nn.Dense(self.num_classes, name="head")(x.astype(jnp.float32))
      else:
        x = self.act(nn.Conv(CHANNELS[part], (3, 3), dtype=self.dtype, name=part)(x))
        x = x.mean(axis=(1, 2)) if part == "late" else nn.max_pool(x, (2, 2), (2, 2))
    return x


def tiny_network(depth, **attributes):
  """As `models.NETWORKS` has it; there is one depth only."""
  del depth
  return TinyNetwork(**attributes)
