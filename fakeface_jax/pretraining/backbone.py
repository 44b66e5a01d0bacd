"""Pretraining from start to finish: generated batches, epochs, checkpoints, and the weights file at the end.

A killed run goes on to the same weights, see `steps.py`.
"""

import math
from functools import reduce
from operator import getitem
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from fakeface_jax.config_fields import PRETRAINING, check_config
from fakeface_jax.devices import check_batch_size, replicate
from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables, make_model
from fakeface_jax.models.pretrained import save_safetensors
from fakeface_jax.pretraining import residuals
from fakeface_jax.pretraining.pretexts import FORMULAS, Heads, chosen_questions
from fakeface_jax.pretraining.rendered import render_faces
from fakeface_jax.pretraining.steps import PretrainState, make_steps, on_each
from fakeface_jax.training.checkpoints import Checkpoints
from fakeface_jax.training.logs import Logs
from fakeface_jax.training.loop import STEPS_IN_FLIGHT, Loop
from fakeface_jax.training.optimizer import make_optimizer
from fakeface_jax.training.stopwatch import Stopwatch
from fakeface_jax.workdir import WEIGHTS_FILE, claim_workdir, held

MEASURED_CELLS = 25_000  # that the spread of the residuals' statistics is taken from


def pretrain(config, workdir):
  """Trains a backbone on generated pictures and writes it to `weights.safetensors`, in half precision.

  Args:
    config: as `configs/pretrain.py` returns it.
    workdir: folder of the run; where it holds an unfinished run of the same config, that one goes on.
  Returns: the last epoch's figures by name, as in `metrics.jsonl`.
  Raises: UserError for what the user can mend, a loss that is no longer finite among it.
  """
  check_config(config, PRETRAINING)
  check_batch_size(config.batch_size)
  questions = chosen_questions(config.pretexts)
  check_sizes(config)
  with held(workdir), Stopwatch() as stopwatch:
    claim_workdir(workdir, config)
    with Checkpoints(workdir) as checkpoints, Logs(workdir) as logs:
      with stopwatch("faces"):
        faces = render_faces(config.faces, config.seed)
      run = Pretraining(config, questions, faces, checkpoints, logs, stopwatch)
      run.fit()
      network = {name: leaf for name, leaf in run.state.params["network"].items() if name != "head"}  # never asked
      save_safetensors(
          Path(workdir) / WEIGHTS_FILE, {"params": network, "batch_stats": run.state.batch_stats}, dtype=np.float16,
          pretrained_on=f"generated images; {config.pretexts}")
    stopwatch.write(workdir)
  return run.history[-1]


def check_sizes(config):
  """Raises UserError for a crop or a batch that cannot be divided as is needed."""
  if config.crop % 32:
    raise UserError(f"config.crop={config.crop} must be a multiple of 32 px, the grid of the network's last layer")
  share = config.batch_size // jax.device_count()
  if share % FORMULAS:
    enough = -(-share // FORMULAS) * FORMULAS * jax.device_count()
    raise UserError(
        f"config.batch_size={config.batch_size} gives each device {share} images; a quarter of them show formulas, so"
        f" give a multiple of {FORMULAS} to each, such as {enough} in all")


class Pretraining(Loop):
  """One run: a network and a head for each question, on pictures that the steps draw."""

  def __init__(self, config, questions, faces, checkpoints, logs, stopwatch):
    super().__init__(config, config.steps_per_epoch * config.batch_size, checkpoints, logs, stopwatch)
    model = make_model(config.model)
    heads = Heads(config.classes, faces[1].shape[1])
    tx = make_optimizer(config.learning_rate)
    self.faces = tuple(replicate(jnp.asarray(array)) for array in faces)
    self._step, self._validate, measure = make_steps(config, model, heads, tx, questions)
    self.state = first_state(config, model, heads, tx, questions)
    saved, _ = self.resume(self.arrays())
    if saved is not None:
      self.state = PretrainState(**saved["variables"], **saved["training"])
    elif "residual" in questions:
      self.state = self.state.replace(whitening=self._whitening(measure))
    size = sum(leaf.size for leaf in jax.tree.leaves(self.state.params["network"]))
    logs.start(self.history, (
        f"{model.title} from scratch, {size:,} parameters, on generated images of {config.crop} px:"
        f" {config.pretexts}\n{config.epochs} epochs of {config.steps_per_epoch} batches of {config.batch_size} on"
        f" {jax.device_count()} {jax.devices()[0].device_kind} device(s)"))

  def _whitening(self, measure):
    batches = -(-MEASURED_CELLS // (self.config.batch_size * (self.config.crop // residuals.CELL) ** 2))
    found = [np.array(measure(*self.faces, on_each(number))) for number in range(batches)]
    return residuals.whitening(np.concatenate(found).reshape(-1, found[0].shape[-1]))

  def learning_rate(self):
    """It falls from epoch to epoch along half a cosine."""
    return self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * self.position["epoch"] / self.config.epochs))

  def steps(self, epoch, first):
    for step in range(first, self.steps_per_epoch):
      self.state = self._step(self.state, *self.faces, on_each(epoch * self.steps_per_epoch + step))
      done = step + 1
      if done % STEPS_IN_FLIGHT == 0 or done == self.steps_per_epoch:
        yield done

  def judge(self, totals):
    train = {name: total / self.steps_per_epoch for name, total in totals.items()}
    results = [self._validate(self.state, *self.faces, on_each(step)) for step in range(self.config.val_steps)]
    val = {name: float(np.mean([result[name] for result in results])) for name in totals}
    return {"train_loss": sum(train.values()), "val_loss": sum(val.values())} | {
        f"{split}_{name}": loss for split, losses in (("train", train), ("val", val)) for name, loss in losses.items()}

  def describe(self, row):
    answers = "  ".join(f"{name} {row[f'val_{name}']:.3f}" for name in self.state.totals)
    return f"{answers}  lr {row['learning_rate']:.1e}  {row['images_per_second']:,.0f} images/s"

  def arrays(self):
    state = self.state
    return {"variables": {"params": state.params, "batch_stats": state.batch_stats},
            "training": {"opt_state": state.opt_state, "totals": state.totals, "whitening": state.whitening}}


def first_state(config, model, heads, tx, questions):
  """The `PretrainState` of random weights; every other kernel of the first layer sees no smooth picture."""
  variables = init_variables(model, random.key(config.seed), config.crop)
  images = jnp.zeros((FORMULAS, config.crop, config.crop, 3))
  features = [
      jax.eval_shape(lambda stop=stop: model.apply(variables, images, stop=stop))
      for stop in (model.stages[-1][0], model.stages[-1][-1], "head")]
  head_params = heads.init(
      random.key(config.seed), *(jnp.zeros(like.shape, like.dtype) for like in features))["params"]
  stem = reduce(getitem, model.convolutions[0].split("/"), variables["params"])
  stem["kernel"] = stem["kernel"].at[..., ::2].set(high_pass(stem["kernel"][..., ::2]))
  params = {"network": variables["params"], "heads": head_params}
  totals = {name: jnp.zeros(()) for name in questions}
  return PretrainState(params, variables["batch_stats"], tx.init(params), totals, whitening=residuals.UNMEASURED)


def high_pass(kernels):
  """[k, k, C, D] without their part that answers to smooth pictures: to polynomials up to the second degree."""
  size = len(kernels)
  x, y = np.meshgrid(*[np.linspace(-1, 1, size)] * 2)
  smooth, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(size**2, 6))
  flat = kernels.reshape(size**2, -1)
  return (flat - smooth @ (smooth.T @ flat)).reshape(kernels.shape)
