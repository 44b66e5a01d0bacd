"""What trains and how: masks over the parameters, Adam, and the learning rate's plateau."""

from fnmatch import fnmatchcase

import jax
import optax
from flax import traverse_util

from fakeface_jax.errors import UserError


def trainable_patterns(model, trainable):
  """Path patterns of the parameters that train.

  `trainable` is 'head' | 'last_conv' | 'last_block' | 'last_stage' | 'all', or patterns of your own, separated by
  commas, as in 'layer4_*/conv2/*,head/*'. Every name includes the head, which is always new.
  """
  last = model.blocks[-1]
  convolution = model.block.convolutions
  named = {
      "head": ["head/*"],
      "last_conv": [f"{last}/conv{convolution}/*", f"{last}/bn{convolution}/*", "head/*"],
      "last_block": [f"{last}/*", "head/*"],
      "last_stage": ["layer4_*", "head/*"],
      "all": ["*"],
  }
  return named.get(trainable) or [pattern.strip() for pattern in trainable.split(",")]


def trainable_mask(model, params, trainable):
  """A mask in optax's sense: `params`' tree with True where a parameter trains.

  Raises: UserError where a pattern matches no parameter.
  """
  patterns = trainable_patterns(model, trainable)
  paths = traverse_util.flatten_dict(params, sep="/")
  for pattern in patterns:
    if not any(fnmatchcase(path, pattern) for path in paths):
      raise UserError(
          f"--config.trainable: {pattern!r} matches no parameter; use head, last_conv, last_block, last_stage, all, or"
          f" patterns over names such as {', '.join(list(paths)[:2])}, {', '.join(list(paths)[-2:])}")
  mask = {path: any(fnmatchcase(path, pattern) for pattern in patterns) for path in paths}
  return traverse_util.unflatten_dict(mask, sep="/")


def first_trained_cut(model, mask):
  """Where the network is cut (one of `model.cuts`): before the first layer that trains; what comes before is the trunk.

  A block whose shortcut trains is cut before all of it.
  """
  trained = {path[:2] for path, trains in traverse_util.flatten_dict(mask).items() if trains}
  part = next(part for part in model.parts if any(
      module == part or (part == "stem" and module in ("conv1", "bn1")) for module, _ in trained))
  layers = {layer for module, layer in trained if module == part}
  if "_" not in part or any(layer.startswith("downsample") for layer in layers):
    return part
  number = min(int(layer[-1]) for layer in layers)
  return part if number == 1 else f"{part}/conv{number}"


def is_masked(leaf):
  return isinstance(leaf, optax.MaskedNode)


def split_params(params, mask):
  """(trainable, frozen): the tree twice, with `optax.MaskedNode()` where the other one has its leaf."""
  trainable = jax.tree.map(lambda p, trains: p if trains else optax.MaskedNode(), params, mask)
  frozen = jax.tree.map(lambda p, trains: optax.MaskedNode() if trains else p, params, mask)
  return trainable, frozen


def merge_params(trainable, frozen):
  """The inverse of `split_params`."""
  return jax.tree.map(lambda t, f: f if is_masked(t) else t, trainable, frozen, is_leaf=is_masked)


def make_optimizer(learning_rate):
  """Adam whose learning rate sits in its state (`opt_state.hyperparams["learning_rate"]`), to be set by the epoch."""
  adam = optax.inject_hyperparams(optax.adam, static_args=("b1", "b2", "eps", "eps_root"))
  return adam(learning_rate=learning_rate)


def make_plateau(factor, patience):
  """A scale on the learning rate, multiplied by `factor` once `patience` epochs in a row have brought nothing better.

  To be updated once an epoch: `_, state = plateau.update({}, state, value=loss)`; then `state.scale` holds.
  """
  return optax.contrib.reduce_on_plateau(factor=factor, patience=patience)
