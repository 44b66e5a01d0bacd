
import numpy as np
import pytest

from fakeface_jax.data.batches import plan_batches, plan_epoch, read_batches
from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.errors import UserError


def png(value, size=8):
  """A picture whose pixel (y, x) is (value, y, x)."""
  y, x = np.indices((size, size))
  return encode_image(np.stack([np.full_like(y, value), y, x], -1).astype(np.uint8), "PNG")


RECORDS = [{"image": png(i), "label": i % 2, "source": f"{i}.png".encode()} for i in range(5)]


def read(plan, **options):
  return list(read_batches(RECORDS, plan, resize=8, crop=options.pop("crop", 8), **options))


def test_a_plan_holds_every_record_once_and_fills_the_last_batch_with_weight_zero():
  plan = plan_batches(5, 4)
  np.testing.assert_array_equal(plan.indices, [[0, 1, 2, 3], [4, 0, 1, 2]])
  np.testing.assert_array_equal(plan.weights, [[1, 1, 1, 1], [1, 0, 0, 0]])
  shuffled = plan_epoch(5, 4, seed=1, epoch=3, views=1)
  assert sorted(shuffled.indices[shuffled.weights == 1]) == [0, 1, 2, 3, 4]


def test_the_order_depends_on_seed_and_epoch_alone():
  order = lambda seed, epoch: plan_epoch(100, 10, seed=seed, epoch=epoch, views=1).indices.ravel().tolist()
  assert order(1, 1) == order(1, 1)
  assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (1, 2)}) == 4


def test_processes_read_their_columns_and_a_position_is_a_step():
  plan = plan_batches(12, 4)
  np.testing.assert_array_equal(plan.from_step(1).shard(1, 2).indices, [[6, 7], [10, 11]])


def test_batches_hold_the_pixels_of_the_plan():
  first, last = read(plan_batches(5, 4))
  np.testing.assert_array_equal(first["image"][:, 0, 0, 0], [0, 1, 2, 3])
  np.testing.assert_array_equal(last["index"], [4, 0, 1, 2])
  np.testing.assert_array_equal(first["label"], [0, 1, 0, 1])
  assert first["image"].dtype == np.uint8


def test_without_augmentation_the_centre_is_cut_out():
  (batch,) = read(plan_batches(1, 1), crop=4)
  np.testing.assert_array_equal(batch["image"][0, :, 0, 1], [2, 3, 4, 5])
  np.testing.assert_array_equal(batch["image"][0, 0, :, 2], [2, 3, 4, 5])


def test_augmentation_crops_anywhere_flips_half_and_depends_on_the_epoch_alone():
  corners, flips = set(), []
  for epoch in range(40):
    plan = plan_epoch(5, 5, seed=0, epoch=epoch, views=0)
    (batch,) = read(plan, crop=4, augment=("crop", "flip"))
    (again,) = read(plan, crop=4, augment=("crop", "flip"))
    np.testing.assert_array_equal(batch["image"], again["image"])
    rows, columns = batch["image"][..., 0, 1].astype(int), batch["image"][:, 0, :, 2].astype(int)
    np.testing.assert_array_equal(np.diff(rows), 1)
    assert set(np.unique(np.diff(columns, axis=1))) <= {-1, 1}
    corners |= set(zip(rows.min(1).tolist(), columns.min(1).tolist(), strict=True))
    flips += (columns[:, 0] > columns[:, 1]).tolist()
  assert len(corners) == 25  # five places each way
  assert 0.35 < np.mean(flips) < 0.65


def test_a_record_that_was_damaged_since_it_was_written_is_one_line_that_names_it():
  records = [*RECORDS[:3], {**RECORDS[3], "image": RECORDS[3]["image"][:60]}, RECORDS[4]]
  with pytest.raises(UserError, match=r"^3\.png: truncated or damaged \(.*\); it was sound .*: remove the"):
    list(read_batches(records, plan_batches(5, 5), resize=8, crop=8))
