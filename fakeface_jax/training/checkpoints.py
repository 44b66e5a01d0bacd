"""A run's checkpoints: the latest, to go on from, and the best, to use. Orbax writes them in the background.

A checkpoint is whole. Its items are `variables` ("params" and "batch_stats"), `training` (`opt_state`, `totals`, and
what else goes on) and, as JSON, `progress` (position in the data, history, and what a `Loop` adds to them).
"""

import errno
import json
import logging
import shutil
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.training.processes import wait_for_all
from fakeface_jax.workdir import CHECKPOINTS, free_space

log = logging.getLogger(__name__)

ITEMS = ("variables", "training")
DAMAGED = "damaged"


class Checkpoints(AbstractContextManager):
  """The checkpoints below `workdir`, to be used as a context manager: leaving it waits for the last save.

  Of several processes all open it together, to save and restore in step; with `reading` each does so by itself, and
  nothing is written.
  """

  def __init__(self, workdir, *, reading=False):
    here = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"reader{here}")
    self.folder = Path(workdir).resolve() / CHECKPOINTS
    for path in self.folder.glob("*/metrics/metrics") if reading or here == 0 else ():
      try:
        float(json.loads(path.read_text())["val_loss"])
        continue
      except (ValueError, KeyError, TypeError):  # Orbax would fail on it at once
        if not path.parents[1].name.isdigit():
          continue
      if reading:
        raise UserError(f"{path} is {DAMAGED}; give the command of the training again, which does without it")
      set_aside(path.parents[1])
    if not reading:
      for left in self.folder.glob("*.orbax-checkpoint-tmp*") if here == 0 else ():  # by a process that was killed
        shutil.rmtree(left)
      wait_for_all("checkpoints looked through")
    keep = checkpoint_managers.AnyPreservationPolicy([
        checkpoint_managers.LatestN(1),
        checkpoint_managers.BestN(
            get_metric_fn=lambda metrics: -metrics["val_loss"], n=1, keep_checkpoints_without_metrics=False),
    ])
    handlers = {name: ocp.StandardCheckpointHandler() for name in ITEMS} | {"progress": ocp.JsonCheckpointHandler()}
    self._manager = ocp.CheckpointManager(
        self.folder, item_handlers=handlers,
        options=ocp.CheckpointManagerOptions(
            preservation_policy=keep, best_fn=lambda metrics: metrics["val_loss"], best_mode="min",
            create=not reading, read_only=reading,
            multiprocessing_options=alone if reading else ocp.options.MultiprocessingOptions()))

  def __exit__(self, *_):
    self._manager.close()

  @property
  def latest(self):
    """Step of the newest checkpoint, or None."""
    return self._manager.latest_step()

  @property
  def best(self):
    """Step of the checkpoint with the lowest validation loss, or None before the first validation."""
    return self._manager.best_step()

  def save(self, step, arrays, progress, val_loss=None):
    """Starts to save; with `val_loss` the checkpoint can become the best one.

    Args:
      step: number of training steps so far.
      arrays: {item: tree of arrays} for all of `ITEMS`.
      progress: what JSON can hold.
    Raises: UserError where this or the last save failed, on a full disk say; what was whole before stays so.
    """
    items = {name: ocp.args.StandardSave(arrays[name]) for name in ITEMS}
    metrics = None if val_loss is None else {"val_loss": val_loss}
    with self._failures(arrays):
      free = free_space(self.folder)
      if free < size_of(arrays):  # found out half-way, it would litter the terminal with Orbax's tracebacks
        raise OSError(errno.ENOSPC, f"only {free / 2**20:,.0f} MiB are free")
      self._manager.save(
          step, metrics=metrics, args=ocp.args.Composite(progress=ocp.args.JsonSave(progress), **items))

  def wait(self, arrays):
    """Waits until the last save is on the disk; raises as `save` does."""
    with self._failures(arrays):
      self._manager.wait_until_finished()

  @contextmanager
  def _failures(self, arrays):
    try:
      yield
    except (OSError, ValueError, RuntimeError) as error:
      raise UserError(
          f"the checkpoint ({size_of(arrays) / 2**20:,.0f} MiB) could not be written to {self.folder}:"
          f" {of_disk(error)[:500]}; the last whole checkpoint is kept, and training goes on from it") from error

  def restore(self, step, like):
    """Items of that step, {name: tree of jax.Array}; `like` ({name: tree}) says which, and gives shapes and dtypes."""
    place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), like)
    items = {name: ocp.args.StandardRestore(tree) for name, tree in target.items()}
    with self._reading(step):
      return dict(self._manager.restore(step, args=ocp.args.Composite(**items)))

  @contextmanager
  def _reading(self, step):
    try:
      yield
    except (OSError, ValueError, KeyError, TypeError) as error:
      reason = f"{type(error).__name__}: {of_disk(error)[:200]}"
      there = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
      what = "cannot be read" if there else f"is {DAMAGED}"
      raise UserError(
          f"{self.folder / str(step)} {what} ({reason}); rename it and give the command of the training again:"
          " it goes on from the checkpoint before, or begins anew") from error

  def progress(self, step):
    """What was saved as `progress` at that step."""
    with self._reading(step):
      found = self._manager.restore(step, args=ocp.args.Composite(progress=ocp.args.JsonRestore()))["progress"]
      numbers = [*map(found["position"].__getitem__, ("epoch", "step")), *(row["epoch"] for row in found["history"])]
      if not all(type(number) is int for number in numbers):
        raise ValueError("its progress is garbled")
      return found

  def resume(self, like):
    """(items, progress) of the newest checkpoint that is whole, see `restore` and `progress`; (None, None) without any.

    Those that turn out to be damaged are renamed, and that is said.
    """
    while self.latest is not None:
      try:
        return self.restore(self.latest, like), self.progress(self.latest)
      except UserError as error:
        if DAMAGED not in str(error):
          raise
        log.warning("%s", error)
        if jax.process_index() == 0:
          set_aside(self.folder / str(self.latest))
        wait_for_all("checkpoint set aside")
        self._manager.reload()
    return None, None


def set_aside(folder):
  """Renames a damaged checkpoint, so that nobody takes it for a whole one."""
  number = sum(1 for _ in folder.parent.glob(f"damaged_{folder.name}_*")) + 1
  place = folder.rename(folder.with_name(f"damaged_{folder.name}_{number}"))
  log.warning("The damaged checkpoint is now %s; training goes on from the one before, or begins anew.", place)


def size_of(tree):
  """Bytes of all arrays in a tree."""
  return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
