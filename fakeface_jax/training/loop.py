"""The loop of all training, fine-tuning or pretraining: epochs, their figures, checkpoints, going on from them."""

import abc
import logging
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fakeface_jax.errors import UserError
from fakeface_jax.progress import Bar
from fakeface_jax.training.processes import of_first_process

log = logging.getLogger(__name__)

STEPS_IN_FLIGHT = 8  # how far the host runs ahead of the devices


class Loop(abc.ABC):
  """Epochs until there are enough; what is learned, and from what, a subclass says.

  Attributes:
    state: what a step carries on, with an `opt_state` of `make_optimizer` and with `totals`; the subclass sets it.
    position: {"epoch": epochs finished, "step": steps done in the one after}.
    history: the row of every epoch so far.
  """

  state: Any

  def __init__(self, config, images_per_epoch, checkpoints, logs, stopwatch):
    self.config, self.images_per_epoch = config, images_per_epoch
    self.steps_per_epoch = -(-images_per_epoch // config.batch_size)
    self.checkpoints, self.logs, self.stopwatch = checkpoints, logs, stopwatch
    self.position, self.history = {"epoch": 0, "step": 0}, []

  def resume(self, like):
    """As `Checkpoints.resume`, and takes up position and history."""
    saved, progress = self.checkpoints.resume(like)
    if saved is not None:
      self.stopwatch.add(progress.get("seconds", {}))
      self.position, self.history = dict(progress["position"]), list(progress["history"])
      log.info("Going on after epoch %d, step %d.", self.position["epoch"], self.position["step"])
    return saved, progress

  @abc.abstractmethod
  def steps(self, epoch: int, first: int) -> Iterator[int]:
    """Does the steps of an epoch from step `first`, leaving each one's result in `state`.

    Yields: the number of steps done, every `STEPS_IN_FLIGHT` or so, and after the last.
    """

  @abc.abstractmethod
  def learning_rate(self) -> float:
    """Of the epoch that begins."""

  @abc.abstractmethod
  def judge(self, totals: dict[str, float]) -> dict[str, float]:
    """Scores the epoch, of {name: sum over its steps}, and decides what follows from it.

    Returns: its figures, {name: number}, `train_loss` and `val_loss` among them.
    """

  @abc.abstractmethod
  def describe(self, row: dict[str, float]) -> str:
    """An epoch's line, of its row in `metrics.jsonl`."""

  @abc.abstractmethod
  def arrays(self) -> dict[str, Any]:
    """What a checkpoint holds; see `Checkpoints.save`."""

  def progress(self) -> dict[str, Any]:
    """What else than position and history goes with the arrays."""
    return {}

  @property
  def finished(self):
    return self.position["epoch"] >= self.config.epochs

  def fit(self):
    """Trains until `finished`.

    Raises: UserError for a loss that is no longer finite, or a checkpoint that cannot be written.
    """
    saved = time.monotonic()
    while not self.finished:
      epoch, first = self.position["epoch"], self.position["step"]
      learning_rate = self.learning_rate()
      self.state.opt_state.hyperparams["learning_rate"] = np.float32(learning_rate)
      started = time.monotonic()
      images = self._images(first)
      bar = Bar(f"epoch {epoch + 1}/{self.config.epochs}", self.images_per_epoch, done=images, shown=self.logs.enabled)
      with bar, self.stopwatch("epochs"):
        for step in self.steps(epoch, first):
          self._check_finite(sum(self._totals().values()))
          bar.update(self._images(step) - self._images(self.position["step"]))
          self.position["step"] = step
          due = of_first_process(time.monotonic() - saved > 60 * self.config.checkpoint_minutes)
          if due and step < self.steps_per_epoch:  # the end of the epoch is saved with its scores
            self._save()
            saved = time.monotonic()
      seconds = time.monotonic() - started
      self._finish_epoch(learning_rate, (self.images_per_epoch - images) / seconds)
      saved = time.monotonic()
    with self.stopwatch("checkpoints"):
      self.checkpoints.wait(self.arrays())

  def _images(self, step):
    """How many images the first steps of an epoch go over; the last batch is filled up with others."""
    return min(step * self.config.batch_size, self.images_per_epoch)

  def _totals(self):
    return {name: float(total) for name, total in self.state.totals.items()}

  def _check_finite(self, loss):
    if not np.isfinite(loss):
      best = self.checkpoints.best
      kept = "no checkpoint was written yet" if best is None else f"the best epoch so far is kept (step {best})"
      raise UserError(
          f"the loss became {loss} in epoch {self.position['epoch'] + 1}, so training stops; {kept}; lower"
          f" config.learning_rate (now {self.config.learning_rate}) and use a new workdir")

  def _finish_epoch(self, learning_rate, images_per_second):
    with self.stopwatch("validation"):
      figures = self.judge(self._totals())
    self._check_finite(figures["val_loss"])
    self.position = {"epoch": self.position["epoch"] + 1, "step": 0}
    self.state = self.state.replace(totals=jax.tree.map(jnp.zeros_like, self.state.totals))
    row = {"epoch": self.position["epoch"], **figures, "learning_rate": learning_rate,
           "images_per_second": images_per_second}
    self.history.append(row)
    with self.stopwatch("checkpoints"):
      self._save(figures["val_loss"])
    self.logs.epoch(row, f"epoch {row['epoch']:3d}  {self.describe(row)}")

  def _save(self, val_loss=None):
    step = self.position["epoch"] * self.steps_per_epoch + self.position["step"]
    progress = {"position": self.position, "history": self.history, "seconds": dict(self.stopwatch.parts),
                **self.progress()}
    # Copies: the next step donates these buffers while Orbax is still writing.
    self.checkpoints.save(step, jax.tree.map(np.array, self.arrays()), progress, val_loss)
