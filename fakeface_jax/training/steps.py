"""The compiled steps: pure functions of (state, batch), pmapped over all devices.

Everything but the batch is replicated: it goes in and comes out with axis None. The frozen part of the network runs
first and alone; gradients, moments and the all-reduce exist for the trainable parameters only.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

from fakeface_jax.devices import AXIS
from fakeface_jax.models.resnet import normalize
from fakeface_jax.training.optimizer import first_trained_cut, merge_params


@flax.struct.dataclass
class TrainState:
  """What a training step carries on.

  Attributes:
    params: the trainable parameters; `optax.MaskedNode()` stands where one is frozen.
    batch_stats: BatchNorm's running mean and variance, of all layers.
    opt_state: of the optimiser, for the trainable parameters only.
    totals: sums over this epoch's images so far: `loss`, `correct`, `count`.
  """

  params: Any
  batch_stats: Any
  opt_state: Any
  totals: Any


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


def make_train_step(model, tx, mask):
  """Compiles `step(state, frozen, batch) -> state`.

  Args of the step:
    state: `TrainState`, donated.
    frozen: the other parameters, `optax.MaskedNode()` where one trains.
    batch: {"image": uint8[D, B, H, W, 3], "label": int32[D, B], "weight": float32[D, B]} on D local devices.
  The loss is the weighted mean cross-entropy over the batches of all devices; a filler image (weight 0) has no
  gradient. A trained BatchNorm averages over all devices' images.
  """
  cut = first_trained_cut(model, mask)
  model = model.clone(axis_name=AXIS)

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, None, 0), out_axes=None, donate_argnums=0)
  def step(state, frozen, batch):
    features = normalize(batch["image"])
    if cut != "stem":
      trunk = {"params": merge_params(state.params, frozen), "batch_stats": state.batch_stats}
      features = jax.lax.stop_gradient(model.apply(trunk, features, stop=cut))
    count = jax.lax.psum(batch["weight"].sum(), AXIS)

    def loss_of(params):
      variables = {"params": merge_params(params, frozen), "batch_stats": state.batch_stats}
      with freeze_norms(mask):
        logits, updated = model.apply(variables, features, train=True, start=cut, mutable=["batch_stats"])
      losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
      return (batch["weight"] * losses).sum() / count, (logits, updated.get("batch_stats", state.batch_stats))

    (loss, (logits, batch_stats)), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    correct = (batch["weight"] * (logits.argmax(-1) == batch["label"])).sum()
    grads, loss, correct = jax.lax.psum((grads, loss, correct), AXIS)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    seen = {"loss": loss * count, "correct": correct, "count": count}
    return TrainState(
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
        totals=jax.tree.map(jnp.add, state.totals, seen),
    )

  return step
