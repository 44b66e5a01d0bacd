"""What training, explanations, the sanity check and audits ask of a network. `resnet.ResNet` is one.

A network takes images float32[N, H, W, 3] of any size, as `normalize` makes them, and returns logits. It runs through
parts, one after the other, and can be cut between them (and where else it says): what runs before a cut can stay frozen
and be computed once, and what runs from a cut on can be drawn anew.
"""

import abc
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from fakeface_jax.errors import UserError

MEAN_RGB = (0.485, 0.456, 0.406)  # of ImageNet, in 0..1, as every ported weight expects
STD_RGB = (0.229, 0.224, 0.225)
TRACED_SIDE = 224  # px of the image that a network is traced with, where its names and shapes are asked for


def normalize(images):
  """uint8[..., 3] RGB (or float in 0..255) -> float32 of zero mean and unit variance on ImageNet."""
  mean, std = (255 * jnp.asarray(stat, jnp.float32) for stat in (MEAN_RGB, STD_RGB))
  return (images.astype(jnp.float32) - mean) / std


class Network(nn.Module, abc.ABC, kw_only=True):
  """A network that tells classes of images apart.

  A subclass gives `parts` and `__call__`; all else follows from them, names and shapes by tracing the network. It
  overrides what it knows better or quicker.
  """

  num_classes: int = 2  # length of the logits
  act: Callable = nn.relu  # wherever the network has a ReLU; `clone(act=...)` swaps them all
  dtype: Any = jnp.float32  # of the computation; parameters and statistics are float32, logits come out in float32
  axis_name: str | None = None  # mapped axis over which BatchNorm averages its statistics when it trains

  @property
  @abc.abstractmethod
  def parts(self) -> tuple[str, ...]:
    """Names of what the network runs through, in order; a part that is one module has its name.

    The last one is 'head': an `nn.Dense` of that name on features [N, C], the mean over all places.
    """

  @abc.abstractmethod
  def __call__(self, x, *, train: bool = False, start: str | None = None, stop: str | None = None):
    """Logits of images, or any stretch of the way there; `stretch(start, stop)` says which parts are to run.

    Args:
      x: normalised images float32[N, H, W, 3], or with `start` what enters that part.
      train: whether BatchNorm uses, and records, the statistics of the batch.
      start: the first part to run; None for the first of all.
      stop: the first part not to run; what would have entered it is returned. None for none.
    Returns: float32[N, num_classes], or with `stop` an array, or a tree of such, in the compute dtype.
    """

  @property
  def title(self):
    """What people call it."""
    return type(self).__name__

  @property
  def cuts(self):
    """Everywhere the network can be cut, in order; by default before each part."""
    return tuple(self.parts)

  @property
  def stages(self):
    """The parts but for what leads there and the head, those of one resolution together; by default each by itself."""
    return tuple((part,) for part in self.parts[:-1])

  @property
  def layers(self):
    """Paths of all modules that have a map, an output [N, h, w, C], in the order in which they end."""
    return tuple(_traced(self)[1])

  @property
  def convolutions(self):
    """Those of `layers` that are convolutions: that have a kernel [h, w, C, D] of their own, whatever their class."""
    return tuple(layer for layer, convolves in _traced(self)[1].items() if convolves)

  @property
  def blocks(self):
    """Layers whose output is a part's, passed through its nonlinearity where it has one: the parts that are modules."""
    return tuple(part for part in self.parts if part in self.layers) or self.convolutions

  @property
  def shapes(self):
    """The variables {"params", "batch_stats"} as `jax.ShapeDtypeStruct`."""
    return _traced(self)[0]

  def cut_of(self, path):
    """The last cut before a module, or a variable; `path` is a tuple or list such as ('conv1', 'kernel')."""
    return next(cut for known, cut in _cuts_of_variables(self).items() if known[: len(path)] == tuple(path))

  def before(self, cut, path):
    """Whether a module or a variable runs before a cut."""
    return self.cuts.index(self.cut_of(path)) < self.cuts.index(cut)

  @nn.nowrap
  def stretch(self, start, stop):
    """The cuts from `start` up to, not including, `stop`; None stands for either end.

    Raises: UserError naming a cut that there is not, or that comes too early.
    """
    for name in filter(None, (start, stop)):
      if name not in self.cuts:
        raise UserError(f"the network has no part {name!r} to cut at; there are: {', '.join(self.cuts)}")
    first = self.cuts.index(start) if start else 0
    last = self.cuts.index(stop) if stop else len(self.cuts)
    if last < first:
      raise UserError(f"cannot stop at {stop!r}, which comes before the start at {start!r}")
    return self.cuts[first:last]


def _shapes(model, **span):
  """`model.init` without computing anything."""
  images = jnp.zeros((1, TRACED_SIDE, TRACED_SIDE, 3))
  return {"params": {}, "batch_stats": {}} | jax.eval_shape(lambda: model.init(jax.random.key(0), images, **span))


@lru_cache(maxsize=16)
def _traced(model):
  """(shapes of the variables, {layer: whether it is a convolution})."""
  maps = {}

  def note(next_function, args, kwargs, context):
    output = next_function(*args, **kwargs)
    if context.method_name == "__call__" and context.module.path and getattr(output, "ndim", 0) == 4:
      own = context.module.variables.get("params", {})
      maps["/".join(context.module.path)] = any(getattr(leaf, "ndim", 0) == 4 for leaf in own.values())
    return output

  with nn.intercept_methods(note):
    return _shapes(model), maps


@lru_cache(maxsize=16)
def _cuts_of_variables(model):
  """{path of a variable in its collection: the cut that it runs after}, in the order of the cuts."""
  found = {}
  for cut, after in zip(model.cuts, [*model.cuts[1:], None], strict=True):
    for path in flatten_dict(_shapes(model, stop=after)):
      found.setdefault(path[1:], cut)
  return found
