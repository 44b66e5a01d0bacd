"""What trains and how: a mask over the parameters, Adam of what it lets train, and the learning rate's plateau."""

from fnmatch import fnmatchcase

import jax
import optax
from flax import traverse_util

from fakeface_jax.errors import UserError


def trainable_mask(model, params, trainable):
  """A mask in optax's sense: `params`' tree with True where a parameter trains. It alone decides what trains.

  Args:
    trainable: 'head' | 'last_conv' | 'last_block' | 'last_stage' | 'all': what runs from there on, or patterns over the
      parameters' paths, separated by commas, as in 'layer4_*/conv2/*,head/*'. Every name includes the head, which is
      always new.
  Raises: UserError where a pattern matches no parameter.
  """
  paths = traverse_util.flatten_dict(params, sep="/")
  starts = {
      "head": model.parts[-1],
      "last_conv": max((model.cut_of(layer.split("/")) for layer in model.convolutions), key=model.cuts.index),
      "last_block": model.parts[-2],
      "last_stage": model.stages[-1][0],
      "all": model.parts[0],
  }
  if trainable in starts:
    mask = {path: not model.before(starts[trainable], path.split("/")) for path in paths}
  else:
    patterns = [pattern.strip() for pattern in trainable.split(",")]
    for pattern in patterns:
      if not any(fnmatchcase(path, pattern) for path in paths):
        raise UserError(
            f"config.trainable: {pattern!r} matches no parameter; use {', '.join(starts)}, or patterns over names"
            f" such as {', '.join(list(paths)[:2])}, {', '.join(list(paths)[-2:])}")
    mask = {path: any(fnmatchcase(path, pattern) for pattern in patterns) for path in paths}
  return traverse_util.unflatten_dict(mask, sep="/")


def first_trained_cut(model, mask):
  """Where the network is cut (one of `model.cuts`): before the first layer that trains; what is before is the trunk."""
  trained = [path for path, trains in traverse_util.flatten_dict(mask).items() if trains]
  return min(map(model.cut_of, trained), key=model.cuts.index)


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


def make_optimizer(learning_rate, mask=True):
  """Adam of the parameters that the mask lets train; there are no moments for the others.

  `optax.masked` hands on the gradients of what is frozen as they are, so a step takes none of these: it differentiates
  the trainable tree of `split_params`.

  Args:
    learning_rate: it sits in the state (`opt_state.hyperparams["learning_rate"]`), to be set by the epoch.
    mask: of `trainable_mask`; True for all.
  """
  def adam(learning_rate):
    masked = optax.masked(optax.adam(learning_rate), mask)

    def update(updates, state, params=None):
      updates, state = masked.update(updates, optax.MaskedState(state), params)
      return updates, state.inner_state

    # Adam's own state, as checkpoints have it, without the shell around it.
    return optax.GradientTransformation(lambda params: masked.init(params).inner_state, update)

  return optax.inject_hyperparams(adam)(learning_rate=learning_rate)


def make_plateau(factor, patience):
  """A scale on the learning rate, multiplied by `factor` once `patience` epochs in a row have brought nothing better.

  To be updated once an epoch: `_, state = plateau.update({}, state, value=loss)`; then `state.scale` holds.
  """
  return optax.contrib.reduce_on_plateau(factor=factor, patience=patience)
