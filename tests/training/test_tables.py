import types

import jax
import numpy as np
import pytest

from fakeface_jax.data.batches import plan_batches, plan_epoch
from fakeface_jax.data.reading.order import epoch_order
from fakeface_jax.errors import UserError
from fakeface_jax.training import tables
from fakeface_jax.training.epochs import own_records
from fakeface_jax.training.tables import choose_home, make_table


def rows_of(records, views, home, folder):
  """Row of record r's view v: [r, v, ...]."""
  rows = np.array([[record, view, 7] for record in records for view in range(views)], np.uint16)
  if home != "file":
    return rows
  np.save(folder / "rows.npy", rows)
  return np.load(folder / "rows.npy", mmap_mode="r")


def handed_out(table, slots, views, start=0):
  """(records, views, weights) [steps, B], as the devices would gather them, and the steps that were the last ones."""
  parts, stops = [], []
  for stop, rows, which, weights in table.pieces(slots, views, start):
    taken = np.stack([np.asarray(rows)[d][np.asarray(which)[d]] for d in range(len(which))])  # [D, L, B, 3]
    taken = taken.swapaxes(0, 1).reshape(taken.shape[1], -1, 3)
    parts.append((taken[..., 0], taken[..., 1], weights.swapaxes(0, 1).reshape(len(taken), -1)))
    stops.append(stop)
  return tuple(np.concatenate(part) for part in zip(*parts, strict=True)), stops


@pytest.mark.parametrize("home", ["device", "host", "file"])
@pytest.mark.parametrize(("length", "views", "start"), [(21, 1, 0), (21, 3, 2), (21, 3, 3), (16, 2, 0), (3, 1, 0)])
def test_every_home_hands_out_the_batches_of_the_plan(tmp_path, monkeypatch, home, length, views, start):
  monkeypatch.setattr(tables, "PIECE_STEPS", 2)
  monkeypatch.setattr(tables, "PIECE_BYTES", 100)  # five rows or so at once
  batch_size, length = 2 * jax.local_device_count(), length * max(1, jax.local_device_count() // 2)
  records = own_records(length, batch_size)
  table = make_table(home, "train", rows_of(records, views, home, tmp_path), records, length, batch_size, views)
  order = [np.asarray(part) for part in epoch_order(
      5, 1, table.columns, length=length, batch_size=batch_size, views=views)]
  plan = plan_epoch(length, batch_size, seed=5, epoch=1, views=views).from_step(start)
  (given, drawn, weights), stops = handed_out(table, *order, start=start)
  np.testing.assert_array_equal(given, plan.indices)
  np.testing.assert_array_equal(drawn, plan.views)
  np.testing.assert_array_equal(weights, plan.weights)
  assert stops[-1] == table.steps and stops == sorted(set(stops))


def test_all_records_in_order_for_validation(tmp_path):
  batch_size = 4 * jax.local_device_count()
  length = 2 * batch_size + 2
  records = own_records(length, batch_size)
  table = make_table("device", "val", rows_of(records, 1, "device", tmp_path), records, length, batch_size, 1)
  slots = np.arange(3)[:, None].repeat(batch_size, axis=1)
  (given, _, weights), _ = handed_out(table, slots, np.zeros_like(slots))
  plan = plan_batches(length, batch_size)
  np.testing.assert_array_equal(given, plan.indices)
  np.testing.assert_array_equal(weights, plan.weights)


def test_a_process_owns_the_records_of_its_columns(monkeypatch):
  monkeypatch.setattr(jax, "process_count", lambda: 2)
  for process, expected in ((0, [0, 1, 4, 5]), (1, [0, 2, 3, 6])):  # 7 is none: record 0 fills up
    monkeypatch.setattr(jax, "process_index", lambda process=process: process)
    np.testing.assert_array_equal(own_records(7, 4), expected)


def memory(monkeypatch, device, host):
  monkeypatch.setattr(tables, "available_memory", lambda: device // jax.local_device_count())
  monkeypatch.setattr(tables.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=host))


def test_the_first_home_with_room_is_chosen(tmp_path, monkeypatch):
  rows = np.memmap(tmp_path / "rows", np.uint16, "w+", shape=(1024, 512))  # 1 MiB
  for device, host, expected in ((3, 3, "device"), (1, 3, "host"), (1, 1, "file")):
    memory(monkeypatch, device * 2**20, host * 2**20)
    assert choose_home("auto", rows) == expected
  memory(monkeypatch, 1 * 2**20, 1 * 2**20)
  assert choose_home("auto", np.zeros((1024, 512), np.uint16)) == "host"  # it is there already
  devices = jax.local_device_count()
  message = rf"trunk=device: 1 MiB of features do not fit \(free: 1 MiB on {devices} device\(s\), 1 MiB in host memory"
  with pytest.raises(UserError, match=message):
    choose_home("device", rows)


def test_where_one_process_lacks_room_on_its_devices_none_uses_them(tmp_path, monkeypatch):
  rows = np.memmap(tmp_path / "rows", np.uint16, "w+", shape=(1024, 512))
  memory(monkeypatch, 3 * 2**20, 3 * 2**20)
  monkeypatch.setattr(tables.jax, "process_count", lambda: 2)
  monkeypatch.setattr(tables.multihost_utils, "process_allgather", lambda value: np.array([bool(value), False]))
  assert choose_home("auto", rows) == "host"
