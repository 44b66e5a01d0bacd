"""The compiled steps of pretraining: they draw their pictures themselves, on the device, and learn from them.

A step is a function of (seed, step, device) alone, so no picture is ever stored.
"""

from functools import partial

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import random

from fakeface_jax.devices import AXIS
from fakeface_jax.models.network import normalize
from fakeface_jax.pretraining import residuals
from fakeface_jax.pretraining.pretexts import WEIGHTS, losses, make_batch

TRAINING, VALIDATION, MEASURED = range(3)  # streams of pictures that never meet


@flax.struct.dataclass
class PretrainState:
  """What a step carries on."""

  params: dict  # {"network", "heads"}
  batch_stats: dict  # the network's
  opt_state: tuple  # of Adam
  totals: dict  # {question: sum of its losses over this epoch's steps}
  whitening: tuple  # of `residuals.statistics`


def on_each(number):
  return np.full(jax.local_device_count(), number, np.int32)


def make_steps(config, model, heads, tx, questions, devices=None):
  """Compiles a training step and a validation step over all devices, or those given.

  Returns: (`step(state, faces, parameters, number) -> state`, `state` donated; `validate(state, faces, parameters,
    number) -> {question: loss}`; `measure(faces, parameters, number) -> float32[D, N, h, w, S]`, the statistics of
    pictures that neither sees); number: int32[D], the step's number for each device.
  """
  share = config.batch_size // (len(devices) if devices else jax.device_count())
  model = model.clone(axis_name=AXIS)

  def ask(params, batch_stats, batch, train):
    def run(stats, features, **span):
      variables = {"params": params["network"], "batch_stats": stats}
      features, updated = model.apply(variables, features, train=train, mutable=["batch_stats"], **span)
      return features, updated.get("batch_stats", stats)

    fourth, last = model.stages[-1][0], model.stages[-1][-1]
    layer3, batch_stats = run(batch_stats, normalize(batch["image"]), stop=fourth)
    before_last, batch_stats = run(batch_stats, layer3, start=fourth, stop=last)
    pooled, batch_stats = run(batch_stats, before_last, start=last, stop="head")
    found = losses(heads.apply({"params": params["heads"]}, layer3, before_last, pooled), batch)
    return {name: found[name] for name in questions}, batch_stats

  def pictures(stream, number, faces, parameters):
    key = random.fold_in(random.fold_in(random.key(config.seed), stream), number)
    key = random.fold_in(key, jax.lax.axis_index(AXIS))
    batch = make_batch(key, faces, parameters, size=share, crop=config.crop, classes=config.classes)
    return batch | {"residual": residuals.statistics(batch["image"])}

  def labelled(stream, number, faces, parameters, whitening):
    batch, (mean, matrix) = pictures(stream, number, faces, parameters), whitening
    return batch | {"residual": (batch["residual"] - mean) @ matrix}

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, None, None, 0), out_axes=None, donate_argnums=0,
           devices=devices)
  def step(state, faces, parameters, number):
    batch = labelled(TRAINING, number, faces, parameters, state.whitening)

    def loss_of(params):
      found, batch_stats = ask(params, state.batch_stats, batch, train=True)
      return sum(WEIGHTS.get(name, 1.0) * loss for name, loss in found.items()), (found, batch_stats)

    grads, (found, batch_stats) = jax.grad(loss_of, has_aux=True)(state.params)
    grads, found = jax.lax.pmean((grads, found), AXIS)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    totals = jax.tree.map(jnp.add, state.totals, found)
    return state.replace(
        params=optax.apply_updates(state.params, updates), batch_stats=batch_stats, opt_state=opt_state, totals=totals)

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, None, None, 0), out_axes=None, devices=devices)
  def validate(state, faces, parameters, number):
    batch = labelled(VALIDATION, number, faces, parameters, state.whitening)
    return jax.lax.pmean(ask(state.params, state.batch_stats, batch, train=False)[0], AXIS)

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, None, 0), devices=devices)
  def measure(faces, parameters, number):
    return pictures(MEASURED, number, faces, parameters)["residual"]

  return step, validate, measure
