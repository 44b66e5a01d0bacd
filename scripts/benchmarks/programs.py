"""Everything that this project compiles, as programs that can be lowered for any devices without an array."""

from functools import partial

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from configs import pretrain
from fakeface_jax.devices import AXIS
from fakeface_jax.evaluation.predict import make_predict_step
from fakeface_jax.explain.engine import lower
from fakeface_jax.explain.methods import DEFAULT_METHODS, METHODS, resolve_methods
from fakeface_jax.models.network import normalize
from fakeface_jax.pretraining.backbone import first_state
from fakeface_jax.pretraining.pretexts import Heads, chosen_questions
from fakeface_jax.pretraining.rendered import SIDE, render_faces
from fakeface_jax.pretraining.steps import make_steps
from fakeface_jax.training import steps
from fakeface_jax.training.optimizer import first_trained_cut, make_optimizer, split_params, trainable_mask
from fakeface_jax.training.trunk import DEVICE_BATCH, Trunk, make_trunk_step

EXPLAIN_BATCH, TRAIN_BATCH, PRETRAIN_BATCH = 64, 32, 64  # images a device
SAMPLED_BATCH = 8  # evaluations at a time of a method that makes many
ROWS, BACKGROUND = 1024, 32

SAMPLED = [name for name, method in METHODS.items() if method.sampled and not method.from_logits]
EXPLAINING = {
    "forward": [], "gradcam": ["gradcam"], "set": DEFAULT_METHODS,
    "one_pass": [name for name, method in METHODS.items() if not method.sampled], **{name: [name] for name in SAMPLED}}
FORWARD = ("trunk_forward", "tail_forward")  # what the steps are measured by
TRAINING = ("trunk", "cached_step", "cached_validation", "image_step", "validation", "all_layers_step")
PROGRAMS = (*EXPLAINING, *FORWARD, *TRAINING, "pretraining_step")


def lowered(name, model, size, devices):
  """One of `PROGRAMS` for images of `size` px over devices.

  Returns: (`jax.stages.Lowered`, images a device that it takes at once, bytes of what it trains).
  """
  if name in EXPLAINING:
    return _explaining(name, model, size, devices)
  if name == "pretraining_step":
    return _pretraining(model, devices)
  return _training(name, model, size, devices)


def _shape(dtype, *dimensions):
  return jax.ShapeDtypeStruct(dimensions, dtype)


def _bytes(tree):
  return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _lower(step, devices, *arguments):
  """`step.lower(*arguments)` of a mapped step, also with JAX before 0.8, whose pmap asks for a GPU that is there."""
  if jax.__version_info__ >= (0, 8) or devices[0].platform == "tpu":
    return step.lower(*arguments)
  return jax.jit(lambda *arguments: step(*arguments)).lower(*_everywhere(devices, arguments))


def _everywhere(devices, tree):
  place = NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec())
  return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), tree)


def _explaining(name, model, size, devices):
  methods = resolve_methods(model, EXPLAINING[name]) if EXPLAINING[name] else {}
  mesh = Mesh(np.array(devices), (AXIS,))
  everywhere = partial(_everywhere, devices)
  needs_background = any("background" in METHODS[method].arguments for method in methods)
  background = everywhere(_shape(np.uint8, BACKGROUND, size, size, 3)) if needs_background else None
  batch = SAMPLED_BATCH if name in SAMPLED else EXPLAIN_BATCH
  return lower(model, methods, batch, mesh, everywhere(model.shapes), batch * len(devices),
               (size, size, 3), background), batch, 0


def _training(name, model, size, devices):
  variables, count, batch = model.shapes, len(devices), TRAIN_BATCH
  trainable = "all" if name == "all_layers_step" else "last_block"
  mask = trainable_mask(model, variables["params"], trainable)
  params, frozen = split_params(variables["params"], mask)
  tx = make_optimizer(1e-3, mask)
  tail = steps.make_tail_step(model, tx, mask)
  trunk = None if trainable == "all" else Trunk(model, first_trained_cut(model, mask), variables, size)
  state = jax.eval_shape(
      lambda params, stats: steps.TrainState(params, stats, tx.init(params), steps.zero_totals()), params,
      variables["batch_stats"])
  if name == "trunk":
    batch = DEVICE_BATCH
  images = {
      "image": _shape(np.uint8, count, batch, size, size, 3), "label": _shape(np.int32, count, batch),
      "weight": _shape(np.float32, count, batch), "index": _shape(np.int32, count, batch)}
  step_images = {key: images[key] for key in ("image", "label", "weight")}
  if name in FORWARD:
    pixels = _shape(np.uint8, batch, size, size, 3)
    features = jax.eval_shape(trunk, trunk.variables, pixels)
    run, given = {
        "trunk_forward": (lambda v, x: model.apply(v, normalize(x), stop=trunk.cut), pixels),
        "tail_forward": (lambda v, x: model.apply(v, x, start=trunk.cut), features)}[name]
    given = jax.tree.map(lambda leaf: _shape(leaf.dtype, count, *leaf.shape), given)
    step, arguments = jax.pmap(run, in_axes=(None, 0), devices=devices), (variables, given)
  elif name == "trunk":
    step, arguments = make_trunk_step(trunk, devices), (trunk.variables, step_images)
  elif name == "validation":
    step, arguments = make_predict_step(model, trunk, devices), (variables, images)
  elif name in ("image_step", "all_layers_step"):
    step, arguments = steps.make_image_step(tail, trunk, devices), (state, frozen, step_images)
  else:
    table = _shape(np.uint16, count, ROWS, trunk.width)
    rows, weights = _shape(np.int32, count, 1, batch), _shape(np.float32, count, 1, batch)
    step, arguments = {
        "cached_validation": (steps.make_feature_predict(model, trunk, devices), (variables, table, rows, weights)),
        "cached_step": (steps.make_feature_steps(tail, trunk, devices), (
            state, frozen, table, rows, weights, *[_shape(np.int32)] * 2))}[name]
  return _lower(step, devices, *arguments), batch, _bytes(params) if name.endswith("step") else 0


def _pretraining(model, devices):
  """In configs/pretrain.py's size, whatever the others have."""
  config = pretrain.get_config()
  config.batch_size = PRETRAIN_BATCH * len(devices)
  questions, tx = chosen_questions(config.pretexts), make_optimizer(config.learning_rate)
  parameters = render_faces(1, 0)[1].shape[1]
  heads = Heads(config.classes, parameters)
  state = jax.eval_shape(lambda: first_state(config, model, heads, tx, questions))
  step, _, _ = make_steps(config, model, heads, tx, questions, devices)
  faces = _shape(np.uint8, config.faces, SIDE, SIDE, 3), _shape(np.float32, config.faces, parameters)
  return _lower(step, devices, state, *faces, _shape(np.int32, len(devices))), PRETRAIN_BATCH, _bytes(state.params)
