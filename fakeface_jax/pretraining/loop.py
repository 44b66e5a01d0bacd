"""Pretraining from start to finish: generated batches, epochs, checkpoints, and the weights file at the end.

A step is a function of (seed, step, device) alone: the pictures are drawn on the device, in the same compiled call that
learns from them. So a killed run goes on to the same weights, and no picture is ever stored.
"""

import json
import logging
import math
import time
from functools import partial
from pathlib import Path

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import random
from tqdm import tqdm

from fakeface_jax.devices import AXIS, check_batch_size, replicate
from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables, make_model
from fakeface_jax.models.pretrained import save_safetensors
from fakeface_jax.models.resnet import normalize
from fakeface_jax.pretraining import residuals
from fakeface_jax.pretraining.pretexts import FORMULAS, WEIGHTS, Heads, chosen_questions, losses, make_batch
from fakeface_jax.pretraining.rendered import render_faces
from fakeface_jax.training.checkpoints import Checkpoints
from fakeface_jax.training.logs import Logs
from fakeface_jax.training.optimizer import make_optimizer
from fakeface_jax.training.stopwatch import Stopwatch
from fakeface_jax.workdir import SECONDS_FILE, WEIGHTS_FILE, claim_workdir, write_whole

log = logging.getLogger(__name__)

TRAINING, VALIDATION, MEASURED = range(3)  # streams of pictures that never meet
MEASURED_CELLS = 25_000  # that the spread of the residuals' statistics is taken from


@flax.struct.dataclass
class PretrainState:
  """What a step carries on.

  Attributes:
    params: {"network", "heads"}. batch_stats: the network's. opt_state: of Adam.
    totals: {question: sum of its losses over this epoch's steps}. whitening: of `residuals.statistics`.
  """

  params: dict
  batch_stats: dict
  opt_state: tuple
  totals: dict
  whitening: tuple


def pretrain(config, workdir):
  """Trains a backbone on generated pictures and writes it to `weights.safetensors`, in half precision.

  Args:
    config: as `configs/pretrain.py` returns it.
    workdir: folder of the run; where it holds an unfinished run of the same config, that one goes on.
  Returns: the last epoch's figures by name, as in `metrics.jsonl`.
  Raises: UserError for what the user can mend, a loss that is no longer finite among it.
  """
  check_batch_size(config.batch_size)
  questions = chosen_questions(config.pretexts)
  check_sizes(config)
  claim_workdir(workdir, config)
  with Stopwatch() as stopwatch, Checkpoints(workdir) as checkpoints, Logs(workdir) as logs:
    with stopwatch("faces"):
      faces = render_faces(config.faces, config.seed)
    run = Pretraining(config, questions, faces, checkpoints, logs, stopwatch)
    run.fit()
    save_safetensors(
        Path(workdir) / WEIGHTS_FILE, run.network_variables(), dtype=np.float16,
        pretrained_on=f"generated images; {config.pretexts}")
  write_whole(Path(workdir) / SECONDS_FILE, json.dumps(
      {"parts": stopwatch.parts, "compiling": stopwatch.compiling}, indent=2) + "\n")
  log.info("This took %s.", stopwatch)
  return run.history[-1]


def check_sizes(config):
  """Raises UserError for a crop or a batch that cannot be divided as is needed."""
  if config.crop < 32 or config.crop % 32:
    raise UserError(f"--config.crop={config.crop} must be a multiple of 32 px, the grid of the network's last layer")
  share = config.batch_size // jax.device_count()
  if share % FORMULAS:
    enough = -(-share // FORMULAS) * FORMULAS * jax.device_count()
    raise UserError(
        f"--config.batch_size={config.batch_size} gives each device {share} images; a quarter of them show formulas, so"
        f" give a multiple of {FORMULAS} to each, such as {enough} in all")
  for name in ("faces", "classes", "epochs", "steps_per_epoch", "val_steps"):
    if config[name] < 1:
      raise UserError(f"--config.{name}={config[name]} must be at least 1")


class Pretraining:
  """The moving parts of one run. Attributes: `history`: the figures of every epoch so far."""

  def __init__(self, config, questions, faces, checkpoints, logs, stopwatch):
    self.config, self.checkpoints, self.logs, self.stopwatch = config, checkpoints, logs, stopwatch
    self.model = make_model(config.model)
    heads = Heads(config.classes, faces[1].shape[1])
    variables = init_variables(self.model, random.key(config.seed), config.crop)
    images = jnp.zeros((FORMULAS, config.crop, config.crop, 3))
    features = [
        jax.eval_shape(lambda stop=stop: self.model.apply(variables, images, stop=stop))
        for stop in ("layer4_0", self.model.blocks[-1], "head")]
    head_params = heads.init(
        random.key(config.seed), *(jnp.zeros(like.shape, like.dtype) for like in features))["params"]
    stem = variables["params"]["conv1"]
    stem["kernel"] = stem["kernel"].at[..., ::2].set(high_pass(stem["kernel"][..., ::2]))
    params = {"network": variables["params"], "heads": head_params}
    tx = make_optimizer(config.learning_rate)
    self.faces = tuple(replicate(jnp.asarray(array)) for array in faces)
    self._step, self._validate, measure = make_steps(config, self.model, heads, tx, questions)
    totals = {name: jnp.zeros(()) for name in questions}
    self.state = PretrainState(
        params, variables["batch_stats"], tx.init(params), totals, whitening=residuals.UNMEASURED)
    self.history = []
    if checkpoints.latest is not None:
      saved = checkpoints.restore(checkpoints.latest, self._arrays())
      self.state = PretrainState(**saved["variables"], **saved["training"])
      self.history = list(checkpoints.progress(checkpoints.latest)["history"])
      log.info("Going on after epoch %d.", len(self.history))
    elif "residual" in questions:
      self.state = self.state.replace(whitening=self._whitening(measure))
    size = sum(leaf.size for leaf in jax.tree.leaves(params["network"]))
    logs.start(self.history, (
        f"ResNet-{config.model.depth} from scratch, {size:,} parameters, on generated images of {config.crop} px:"
        f" {config.pretexts}\n{config.epochs} epochs of {config.steps_per_epoch} batches of {config.batch_size} on"
        f" {jax.device_count()} {jax.devices()[0].device_kind} device(s)"))

  def _whitening(self, measure):
    batches = -(-MEASURED_CELLS // (self.config.batch_size * (self.config.crop // residuals.CELL) ** 2))
    found = [np.array(measure(*self.faces, on_each(number))) for number in range(batches)]
    return residuals.whitening(np.concatenate(found).reshape(-1, found[0].shape[-1]))

  def fit(self):
    """Trains until the last epoch; the learning rate falls from epoch to epoch along half a cosine."""
    config = self.config
    while len(self.history) < config.epochs:
      epoch, started = len(self.history), time.monotonic()
      rate = config.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
      self.state.opt_state.hyperparams["learning_rate"] = np.float32(rate)
      first = epoch * config.steps_per_epoch
      bar = tqdm(range(first, first + config.steps_per_epoch), f"epoch {epoch + 1}/{config.epochs}", unit="step",
                 leave=False, disable=None)
      with self.stopwatch("epochs"):
        for step in bar:
          self.state = self._step(self.state, *self.faces, on_each(step))
          if step % 8 == 0:
            jax.block_until_ready(self.state.totals)
        train = {name: float(total) / config.steps_per_epoch for name, total in self.state.totals.items()}
      seconds = time.monotonic() - started
      with self.stopwatch("validation"):
        val = self._validation()
      self._finish_epoch(rate, train, val, config.steps_per_epoch * config.batch_size / seconds)
    with self.stopwatch("checkpoints"):
      self.checkpoints.wait(self._arrays())

  def _validation(self):
    results = [
        self._validate(self.state, *self.faces, on_each(step))
        for step in range(self.config.val_steps)]
    return {name: float(np.mean([result[name] for result in results])) for name in results[0]}

  def _finish_epoch(self, rate, train, val, images_per_second):
    val_loss = sum(val.values())
    if not np.isfinite(val_loss):
      raise UserError(
          f"the loss became {val_loss} in epoch {len(self.history) + 1}, so training stops; lower"
          f" --config.learning_rate (now {self.config.learning_rate}) and use a new --workdir")
    row = {"epoch": len(self.history) + 1, "train_loss": sum(train.values()), "val_loss": val_loss}
    row |= {f"train_{name}": value for name, value in train.items()}
    row |= {f"val_{name}": value for name, value in val.items()}
    row |= {"learning_rate": rate, "images_per_second": images_per_second}
    self.history.append(row)
    self.state = self.state.replace(totals=jax.tree.map(jnp.zeros_like, self.state.totals))
    with self.stopwatch("checkpoints"):
      self.checkpoints.save(
          row["epoch"] * self.config.steps_per_epoch, jax.tree.map(np.array, self._arrays()),
          {"history": self.history}, val_loss)
    answers = "  ".join(f"{name} {value:.3f}" for name, value in val.items())
    self.logs.epoch(row, f"epoch {row['epoch']:3d}  {answers}  lr {rate:.1e}  {images_per_second:,.0f} images/s")

  def _arrays(self):
    state = self.state
    return {"variables": {"params": state.params, "batch_stats": state.batch_stats},
            "training": {"opt_state": state.opt_state, "totals": state.totals, "whitening": state.whitening}}

  def network_variables(self):
    """The network's variables as they stand now, without the head, which nothing was asked of."""
    params = {name: leaf for name, leaf in self.state.params["network"].items() if name != "head"}
    return {"params": params, "batch_stats": self.state.batch_stats}


def high_pass(kernels):
  """[k, k, C, D] without their part that answers to smooth pictures: to polynomials up to the second degree."""
  size = len(kernels)
  x, y = np.meshgrid(*[np.linspace(-1, 1, size)] * 2)
  smooth, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(size**2, 6))
  flat = kernels.reshape(size**2, -1)
  return (flat - smooth @ (smooth.T @ flat)).reshape(kernels.shape)


def on_each(number):
  return np.full(jax.local_device_count(), number, np.int32)


def make_steps(config, model, heads, tx, questions):
  """Compiles a training step and a validation step over all devices.

  Returns: (`step(state, faces, parameters, number) -> state`, `state` donated; `validate(state, faces, parameters,
    number) -> {question: loss}`; `measure(faces, parameters, number) -> float32[D, N, h, w, S]`, the statistics of
    pictures that neither sees); number: int32[D], the step's number for each device.
  """
  share = config.batch_size // jax.device_count()
  model = model.clone(axis_name=AXIS)

  def ask(params, batch_stats, batch, train):
    def run(stats, features, **span):
      variables = {"params": params["network"], "batch_stats": stats}
      features, updated = model.apply(variables, features, train=train, mutable=["batch_stats"], **span)
      return features, updated.get("batch_stats", stats)

    fourth, last = "layer4_0", model.blocks[-1]
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

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, None, None, 0), out_axes=None, donate_argnums=0)
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

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, None, None, 0), out_axes=None)
  def validate(state, faces, parameters, number):
    batch = labelled(VALIDATION, number, faces, parameters, state.whitening)
    return jax.lax.pmean(ask(state.params, state.batch_stats, batch, train=False)[0], AXIS)

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, None, 0))
  def measure(faces, parameters, number):
    return pictures(MEASURED, number, faces, parameters)["residual"]

  return step, validate, measure
