"""Where rows of features are kept while a run trains on them: device memory, else host memory, else their file.

Every table hands out the same work, in pieces for one compiled call each: a part of the rows that is on the devices,
and which of them make up which batch.
"""

import itertools
import logging
import mmap
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from jax.experimental import multihost_utils

from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.devices import available_memory
from fakeface_jax.errors import UserError
from fakeface_jax.training.feature_file import bytes_in_words

log = logging.getLogger(__name__)

HOMES = ("device", "host", "file")
SHARE = 0.5  # of the memory that is free may hold a table
PIECE_BYTES = 64 * 2**20  # moved at once
PIECE_STEPS = 128  # in one compiled call, so that a run can be watched and saved


def choose_home(wanted, rows):
  """One of `HOMES` for the rows of this process.

  Args: wanted: 'auto', or one of them. rows: uint16[R, width]; a memmap where they have a file.
  Raises: UserError where what is wanted does not fit.
  """
  on_devices, in_memory = available_memory() * jax.local_device_count(), psutil.virtual_memory().available
  in_file = isinstance(rows, np.memmap)
  fits = {
      "device": rows.nbytes <= SHARE * on_devices,
      "host": not in_file or rows.nbytes <= SHARE * in_memory,
      "file": in_file,
  }
  if wanted == "auto":
    if jax.process_count() > 1:  # all run the same calls, so all use the devices or none does
      fits["device"] = bool(multihost_utils.process_allgather(np.array(fits["device"])).all())
    return next(home for home in HOMES if fits[home])
  if not fits[wanted]:
    raise UserError(
        f"config.trunk={wanted}: {bytes_in_words(rows.nbytes)} of features do not fit (free:"
        f" {bytes_in_words(on_devices)} on {jax.local_device_count()} device(s), {bytes_in_words(in_memory)} in host"
        " memory, of which features may take half); use config.trunk=auto")
  return wanted


class Table:
  """The features of a split, for batches in which record i stands in column i % batch_size.

  Attributes:
    length: number of records; `batch_size`: images a step over all devices; `steps`: batches that hold them all.
    columns: int32[C], those of this process.
  """

  def __init__(self, rows, records, length, batch_size, views):
    self.length, self.batch_size, self.steps = length, batch_size, -(-length // batch_size)
    width = batch_size // jax.process_count()
    self.columns = np.arange(width, dtype=np.int32) + jax.process_index() * width
    self._rows, self._views = rows, views
    there = (np.arange(self.steps)[:, None] * batch_size + self.columns) % length
    self._first_row = np.searchsorted(records, there) * views  # [steps, C]

  def pieces(self, slots, views, start=0):
    """Yields (stop, table uint16[D, R, width], rows int32[D, L, B], weights float32[D, L, B]) for D local devices.

    Args: slots, views: int32[steps, C], as `order.epoch_order` returns them. start: the first step.
    `stop` is the step after the piece's last; a filler has weight 0.
    """
    weights = (slots * self.batch_size + self.columns < self.length).astype(np.float32)
    for begin, stop, table, rows in self._pieces(slots, views, start):
      yield stop, table, rows, by_device(weights[begin:stop])

  def _spans(self, steps, start, most):
    """Steps [start, ...) in equal pieces of at most `most`, the same ones from wherever a run goes on."""
    bounds = np.linspace(0, steps, -(-steps // most) + 1).astype(int).tolist()
    return [(max(a, start), b) for a, b in itertools.pairwise(bounds) if b > start]


class DeviceTable(Table):
  """All rows on the devices, each with those of its own columns."""

  def __init__(self, *arguments):
    super().__init__(*arguments)
    devices = jax.local_device_count()
    order = by_device(self._first_row)[..., None] + np.arange(self._views)
    order = order.reshape(devices, -1)  # [D, steps * B * views]
    height, width = order.shape[1], self._rows.shape[1]
    put = jax.pmap(
        partial(jax.lax.dynamic_update_slice_in_dim, axis=0), in_axes=(0, 0, None), donate_argnums=0)
    self._table = jax.pmap(lambda _: jnp.zeros((height, width), jnp.uint16))(np.arange(devices))
    at_once = min(height, max(1, PIECE_BYTES // (2 * width * devices)))
    for start in range(0, height, at_once):
      start = min(start, height - at_once)  # the last overlaps, for one compiled call
      self._table = put(self._table, take(self._rows, order[:, start : start + at_once]), start)
    self._rows = None

  def _pieces(self, slots, views, start):
    columns = np.arange(slots.shape[1] // jax.local_device_count(), dtype=np.int32)
    rows = (by_device(slots) * len(columns) + columns) * self._views + by_device(views)
    for begin, stop in self._spans(len(slots), start, PIECE_STEPS):
      yield begin, stop, self._table, rows[:, begin:stop]


class StreamedTable(Table):
  """Rows in host memory, or mapped from a file: while the devices use one part, the next is read."""

  def _pieces(self, slots, views, start):
    slots, views = np.asarray(slots), np.asarray(views)
    chosen = by_device(np.take_along_axis(self._first_row, slots, axis=0) + views)  # [D, steps, B]
    most = min(PIECE_STEPS, max(1, PIECE_BYTES // (2 * self._rows.shape[1] * slots.shape[1])))
    spans = self._spans(len(slots), start, most)

    def read(span):
      begin, stop = span
      part = chosen[:, begin:stop]
      rows = np.broadcast_to(np.arange(part[0].size, dtype=np.int32).reshape(part.shape[1:]), part.shape)
      return begin, stop, take(self._rows, part.reshape(len(part), -1)), rows

    yield from in_order(read, spans, threads=1, ahead=1)


def make_table(wanted, name, rows, records, length, batch_size, views):
  """The table of a split, called `name`, in the home of `choose_home(wanted, rows)`; logged with its size."""
  home = choose_home(wanted, rows)
  place = {"device": "device memory", "host": "host memory", "file": "their file"}[home]
  log.info("Features of the %s images: %s, kept in %s.", name, bytes_in_words(rows.nbytes), place)
  if home == "host" and isinstance(rows, np.memmap):
    rows = np.array(rows)
  return (DeviceTable if home == "device" else StreamedTable)(rows, records, length, batch_size, views)


def by_device(values):
  """[steps, C] -> [D, steps, C / D] for D local devices."""
  steps, devices = len(values), jax.local_device_count()
  return values.reshape(steps, devices, -1).swapaxes(0, 1)


def take(rows, numbers):
  """rows[numbers], without what a file has mapped for it staying in memory."""
  taken = rows[numbers]
  if isinstance(rows, np.memmap):
    rows._mmap.madvise(mmap.MADV_DONTNEED)
  return taken
