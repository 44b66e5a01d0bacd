"""Records to batches of uint8 pixels, the same ones whatever the number of processes and devices.

A plan says which record stands where in which global batch. So the position in the data is just a step number, and a
process reads its own columns of the plan.
"""


from typing import NamedTuple

import numpy as np

from fakeface_jax.cores import usable_cores
from fakeface_jax.data.reading.order import epoch_order
from fakeface_jax.data.reading.records import decode_record
from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.data.reading.views import view_of

SCRATCH_BYTES = 3 * 1024**2  # enough for a megapixel; larger images get memory of their own


class Plan(NamedTuple):
  """Which records make up which batch."""

  indices: np.ndarray  # int64[steps, batch_size], record numbers; the last batch is filled up from the start
  weights: np.ndarray  # float32[steps, batch_size], 1 for a record that counts and 0 for a filler
  views: np.ndarray  # int64[steps, batch_size], which view of the record (see `views.view_of`)

  @property
  def steps(self):
    return len(self.indices)

  def from_step(self, step):
    """The plan without its first `step` batches."""
    return self._each(lambda table: table[step:])

  def shard(self, process, processes):
    """The columns that this process of several reads."""
    width = self.indices.shape[1] // processes
    return self._each(lambda table: table[:, process * width : (process + 1) * width])

  def _each(self, function):
    return Plan(*map(function, self))


def plan_batches(length, batch_size):
  """Every record once, in order, centred; the last batch is filled up."""
  slots = np.arange(-(-length // batch_size))[:, None].repeat(batch_size, 1)
  return _plan(slots, np.zeros_like(slots), length, batch_size)


def plan_epoch(length, batch_size, *, seed, epoch, views, pairs=False):
  """Every record once, in the epoch's own order; the last batch is filled up.

  Args:
    views: 1 for the centre of every image, n to draw one of its n views, 0 for a new view every epoch.
    pairs: as of `order.epoch_order`.
  """
  columns = np.arange(batch_size, dtype=np.int32)
  slots, drawn = epoch_order(
      seed, epoch, columns, length=length, batch_size=batch_size, views=max(views, 1), pairs=pairs)
  drawn = np.asarray(drawn, np.int64) if views else np.full(slots.shape, epoch + 1)
  return _plan(np.asarray(slots, np.int64), drawn, length, batch_size)


def _plan(slots, views, length, batch_size):
  indices = slots * batch_size + np.arange(batch_size)
  return Plan(indices % length, (indices < length).astype(np.float32), views)


def read_batches(source, plan, *, resize, crop, augment=(), seed=0, threads=None):
  """Yields the plan's batches, each read and decoded by one of several threads.

  Args:
    source: random-access records of `schema`, images as encoded bytes.
    resize, crop, augment, seed: of the views, see `views.view_of`.
  Yields: {"image": uint8[B, crop, crop, 3], "label": int32[B], "weight": float32[B], "index": int32[B]}.
  Raises: UserError as `decode_record`.
  """
  def read(step):
    indices, width = plan.indices[step], plan.indices.shape[1]
    scratch = np.empty(SCRATCH_BYTES, np.uint8)
    batch = {
        "image": np.empty((width, crop, crop, 3), np.uint8), "label": np.empty(width, np.int32),
        "weight": plan.weights[step], "index": indices.astype(np.int32)}
    for column, index in enumerate(indices.tolist()):
      record = source[index]
      key = seed, int(plan.views[step, column]), index
      batch["image"][column] = view_of(
          decode_record(record, scratch), key, resize=resize, crop=crop, augment=augment)
      batch["label"][column] = record["label"]
    return batch

  threads = threads or usable_cores() + 1  # one waits for the disk or for Python's lock
  yield from in_order(read, range(plan.steps), threads=threads, ahead=2)
