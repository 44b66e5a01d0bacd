"""The compiled steps: pure functions of (state, data), pmapped over all devices.

Everything but the data is replicated: it goes in and comes out with axis None. The frozen part of the network, the
trunk, runs first and alone, or has run long before; gradients, moments and the all-reduce exist for the trainable
parameters only.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

from fakeface_jax.devices import AXIS
from fakeface_jax.models.network import normalize
from fakeface_jax.training.optimizer import first_trained_cut, merge_params


@flax.struct.dataclass
class TrainState:
  """What a training step carries on."""

  params: Any  # the trainable parameters; `optax.MaskedNode()` stands where one is frozen
  batch_stats: Any  # BatchNorm's running mean and variance, of all layers
  opt_state: Any  # of the optimiser, for the trainable parameters only
  totals: Any  # sums over this epoch's images so far: `loss`, `correct`, `count`
  average: Any = None  # {"params", "batch_stats"}: their moving average; None: there is none


def zero_totals():
  return {name: jnp.zeros((), jnp.float32) for name in ("loss", "correct", "count")}


def freeze_norms(mask):
  """An interceptor under which BatchNorm layers without a trained parameter run on their running statistics."""

  def interceptor(next_function, args, kwargs, context):
    if isinstance(context.module, nn.BatchNorm) and context.method_name == "__call__":
      node = mask
      for name in context.module.path:
        node = node[name]
      if not any(jax.tree.leaves(node)):
        kwargs = {**kwargs, "use_running_average": True}
    return next_function(*args, **kwargs)

  return nn.intercept_methods(interceptor)


def make_tail_step(model, tx, mask, ema_decay=0.0, label_smoothing=0.0):
  """The step of what trains, `step(state, frozen, features, labels, weights) -> state`, to be mapped over `AXIS`.

  Args of the step:
    frozen: the other parameters, `optax.MaskedNode()` where one trains.
    features: of B images at `first_trained_cut`; labels: int32[B]; weights: float32[B].
  The loss is the weighted mean cross-entropy over the batches of all devices; an image of weight 0 has no gradient. Of
  its label, a share of `label_smoothing` is spread over all classes (Szegedy et al., Rethinking the Inception
  Architecture for Computer Vision, 2016); the totals have the loss without that, as validation has it. A trained
  BatchNorm averages over all devices' images. Where the state has an average, that becomes `ema_decay` times
  what it was and the rest what the step leads to (Polyak and Juditsky, Acceleration of Stochastic Approximation by
  Averaging, 1992, with weights that fall exponentially).
  """
  cut = first_trained_cut(model, mask)
  model = model.clone(axis_name=AXIS)

  def step(state, frozen, features, labels, weights):
    count = jax.lax.psum(weights.sum(), AXIS)

    def loss_of(params):
      variables = {"params": merge_params(params, frozen), "batch_stats": state.batch_stats}
      with freeze_norms(mask):
        logits, updated = model.apply(variables, features, train=True, start=cut, mutable=["batch_stats"])
      losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
      smoothed = (1 - label_smoothing) * losses - label_smoothing * nn.log_softmax(logits).mean(-1)
      mean = lambda losses: (weights * losses).sum() / count
      return mean(smoothed), (mean(losses), logits, updated.get("batch_stats", state.batch_stats))

    grads, (loss, logits, batch_stats) = jax.grad(loss_of, has_aux=True)(state.params)
    correct = (weights * (logits.argmax(-1) == labels)).sum()
    grads, loss, correct = jax.lax.psum((grads, loss, correct), AXIS)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    seen = {"loss": loss * count, "correct": correct, "count": count}
    state = TrainState(
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
        totals=jax.tree.map(jnp.add, state.totals, seen),
        average=state.average,
    )
    return state if state.average is None else state.replace(average=jax.tree.map(
        lambda average, now: average + (1 - ema_decay) * (now - average),  # what is frozen stays to the bit
        state.average, {"params": state.params, "batch_stats": state.batch_stats}))

  return step


def make_image_step(tail_step, trunk, devices=None):
  """Compiles `step(state, frozen, batch) -> state`: one step over images.

  Args of the step: as of the tail's, `state` donated; batch: {"image": uint8[D, B, H, W, 3], "label": int32[D, B],
    "weight": float32[D, B]} on D local devices.
  Args: `devices`: those it is compiled for, all there are by default, as of all that is mapped here.
  Without a trunk (None) all of the network is the tail.
  """

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, None, 0), out_axes=None, donate_argnums=0,
           devices=devices)
  def step(state, frozen, batch):
    if trunk is None:
      features = normalize(batch["image"])
    else:
      variables = {"params": merge_params(state.params, frozen), "batch_stats": state.batch_stats}
      features = trunk(variables, batch["image"])
    return tail_step(state, frozen, features, batch["label"], batch["weight"])

  return step


def make_feature_steps(tail_step, trunk, devices=None):
  """Compiles `steps(state, frozen, table, rows, weights, first, last) -> state`: some of L steps in one call.

  Args of the steps: as of the tail's, `state` donated; table: uint16[D, R, trunk.width]; rows: int32[D, L, B], which
    of them make up each batch; weights: float32[D, L, B]; first, last: steps [first, last) are done.
  """

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, None, 0, 0, 0, None, None), out_axes=None, donate_argnums=0,
           devices=devices)
  def steps(state, frozen, table, rows, weights, first, last):
    def step(i, state):
      return tail_step(state, frozen, *trunk.from_rows(_rows_of(table, rows[i])), weights[i])

    return jax.lax.fori_loop(first, last, step, state)

  return steps


def _rows_of(table, rows):
  """table[rows]; on TPU one after the other, because what XLA makes of it there begins with a copy of the table."""
  one = lambda table, row: jax.lax.dynamic_index_in_dim(table, row, keepdims=False)
  return jax.lax.platform_dependent(
      table, rows, tpu=lambda table, rows: jax.lax.map(partial(one, table), rows),
      default=lambda table, rows: table[rows])


def make_feature_predict(model, trunk, devices=None):
  """Compiles `predict(variables, table, rows, weights) -> (logits, labels, weights)`, gathered from all devices.

  Args of it: as of `make_feature_steps`.
  Returns: float32[L, D * B, classes], int32[L, D * B] and float32[L, D * B], 0 for a filler.
  """

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, 0, 0, 0), out_axes=None, devices=devices)
  def predict(variables, table, rows, weights):
    def batch(batch):
      rows, weights = batch
      features, labels = trunk.from_rows(_rows_of(table, rows))
      return model.apply(variables, features, start=trunk.cut), labels, weights

    return jax.lax.all_gather(jax.lax.map(batch, (rows, weights)), AXIS, axis=1, tiled=True)

  return predict
