"""A run's checkpoints: the latest, to go on from, and the best, to use. Orbax writes them in the background.

A checkpoint is whole. Its items are `variables` ("params" and "batch_stats"), `training` (`opt_state`, `totals`, and
what else goes on) and, as JSON, `progress` (position in the data, history, and what a `Loop` adds to them).
"""

import shutil
from contextlib import contextmanager
from pathlib import Path

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from fakeface_jax.errors import UserError
from fakeface_jax.workdir import CHECKPOINTS

ITEMS = ("variables", "training")


class Checkpoints:
  """The checkpoints below `workdir`, to be used as a context manager: leaving it waits for the last save.

  Of several processes all open it together, to save and restore in step; with `reading` each does so by itself, and
  nothing is written.
  """

  def __init__(self, workdir, *, reading=False):
    here = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"reader{here}")
    self.folder = Path(workdir).resolve() / CHECKPOINTS
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

  def __enter__(self):
    return self

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
      free = shutil.disk_usage(self.folder).free
      if free < size_of(arrays):  # found out half-way, it would litter the terminal with Orbax's tracebacks
        raise OSError(f"only {free / 2**20:,.0f} MiB are free")
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
          f" {str(error).splitlines()[0]}; make room there"
          f" and give the same command again: it goes on from the last whole checkpoint") from error

  def restore(self, step, like):
    """Items of that step, {name: tree of jax.Array}; `like` ({name: tree}) says which, and gives shapes and dtypes."""
    place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), like)
    items = {name: ocp.args.StandardRestore(tree) for name, tree in target.items()}
    try:
      return dict(self._manager.restore(step, args=ocp.args.Composite(**items)))
    except (OSError, ValueError, KeyError) as error:
      raise UserError(f"{self.folder / str(step)} cannot be read: {str(error).splitlines()[0]}") from error

  def progress(self, step):
    """What was saved as `progress` at that step."""
    return self._manager.restore(step, args=ocp.args.Composite(progress=ocp.args.JsonRestore()))["progress"]


def size_of(tree):
  """Bytes of all arrays in a tree."""
  return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
