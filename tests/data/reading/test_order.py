import numpy as np

from fakeface_jax.data.reading.order import epoch_order

SIZES = dict(length=103, batch_size=10)


def order(seed=0, epoch=0, columns=range(10), **options):
  return [np.asarray(table) for table in epoch_order(seed, epoch, np.array(columns, np.int32), **(SIZES | options))]


def test_every_record_comes_once_and_fillers_come_last():
  slots, views = order()
  assert slots.shape == (11, 10) and not views.any()
  np.testing.assert_array_equal(np.sort(slots, 0), np.arange(11)[:, None].repeat(10, 1))
  np.testing.assert_array_equal(slots[-1, 3:], 10)  # records 100 to 102 exist, 103 to 109 do not


def test_a_column_is_shuffled_the_same_whoever_asks_for_it_and_unlike_the_others():
  slots, views = order(views=3)
  part, part_views = order(columns=(7, 2), views=3)
  np.testing.assert_array_equal(part, slots[:, [7, 2]])
  np.testing.assert_array_equal(part_views, views[:, [7, 2]])
  assert len({tuple(column) for column in slots[:10].T}) == 10


def test_seed_and_epoch_change_the_order():
  assert len({order(seed, epoch)[0].tobytes() for seed in (1, 2) for epoch in (1, 2)}) == 4


def test_places_and_views_are_uniform():
  tables = [order(epoch=epoch, length=40, views=4) for epoch in range(200)]
  first = np.concatenate([slots[0] for slots, _ in tables])
  drawn = np.concatenate([views.ravel() for _, views in tables])
  for values, count in ((first, 4), (drawn, 4)):
    share = np.bincount(values, minlength=count) / len(values)
    np.testing.assert_allclose(share, 1 / count, atol=0.05)


def test_pairs_stand_side_by_side_and_every_record_comes_once():
  for length in (100, 103):  # 103: the last record has no partner, and stands in the last batch
    slots, views = order(epoch=3, length=length, views=5, pairs=True)
    records = slots * 10 + np.arange(10)
    assert sorted(records[records < length]) == list(range(length))
    np.testing.assert_array_equal(records[:, ::2] + 1, records[:, 1::2])
    np.testing.assert_array_equal(views[:, ::2], views[:, 1::2])
  assert len({tuple(column) for column in slots[:, ::2].T}) == 5
  assert order(epoch=4, length=103, pairs=True)[0].tolist() != slots.tolist()
