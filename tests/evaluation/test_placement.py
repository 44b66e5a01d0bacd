"""Planted maps, cases worked by hand, and agreement with scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from fakeface_jax.evaluation.placement import (
  BASELINES,
  MEASURES,
  baseline_measures,
  centred_gaussian,
  edge_map,
  enlarged,
  moved,
  placed,
  rectified,
  why_unusable,
)
from fakeface_jax.explain.methods import ATTRIBUTION, CHANNELS, HEATMAP, SENSITIVITY

drawn = settings(max_examples=60, deadline=None, derandomize=True, database=None)
usable_masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12),
                          elements=st.sampled_from([0, 128, 255])).filter(lambda mask: why_unusable(mask) is None)


def of_one(values, mask):
  """{measure: float} of one map and its mask, and whether it is empty."""
  return {name: several[0] for name, several in placed(np.float32(values)[None], np.uint8(mask)[None]).items()}


def share(mask):
  return (mask == 255).sum() / (mask != 128).sum()


# --- one map of one image


@drawn
@given(usable_masks, st.floats(2**-10, 2**10, width=32))
def test_a_map_equal_to_the_mask_scores_1_everywhere(mask, height):
  result = of_one((mask == 255) * np.float32(height), mask)
  assert {name: result[name] for name in MEASURES} == pytest.approx(dict.fromkeys(MEASURES, 1))
  assert not result["empty"]


@drawn
@given(usable_masks, st.floats(2**-100, 2**100, width=32), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_a_uniform_map_scores_chance(mask, height, shape):
  area = share(mask)
  result = of_one(np.full(shape, height), mask)
  assert {name: result[name] for name in MEASURES} == pytest.approx(
      {"energy": area, "pointing": area, "iou": area / (2 - area), "rank_accuracy": area,
       "pixel_auc": 0.5})
  assert not result["empty"]


@drawn
@given(usable_masks)
def test_an_empty_map_points_nowhere_and_counts_as_a_uniform_one(mask):
  empty, uniform = of_one(np.zeros(mask.shape), mask), of_one(np.ones(mask.shape), mask)
  assert empty.pop("empty") and not uniform.pop("empty")
  assert empty == pytest.approx(uniform)


@drawn
@given(usable_masks.filter(lambda mask: share(mask) <= 0.5))
def test_an_inverted_map_scores_0(mask):
  result = of_one(mask == 0, mask)
  assert {name: result[name] for name in MEASURES} == dict.fromkeys(MEASURES, 0)


def test_by_hand():
  mask = [[255, 255, 0, 0], [0, 0, 0, 0]]
  values = [[8, 2, 5, 1], [2, 0, 0, 2]]
  # the two highest are 8 (inside) and 5; inside beats outside: 8 all six, 2 three of them and draws with two
  assert of_one(values, mask) == pytest.approx(
      {"energy": 10 / 20, "pointing": 1, "iou": 1 / 3, "rank_accuracy": 1 / 2, "pixel_auc": (6 + 3 + 2 / 2) / 12,
       "empty": False})


def test_ties_by_hand():
  mask = [[255, 255, 255, 0, 0, 0]]
  values = [[4, 1, 0, 4, 1, 1]]
  # both highest are 4, one inside; the third place goes to one of three, one of them inside: 1 + 1/3 in common of 3 + 3
  result = of_one(values, mask)
  assert result["pointing"] == 1 / 2 and result["energy"] == pytest.approx(5 / 11)
  assert result["iou"] == pytest.approx((4 / 3) / (6 - 4 / 3))
  assert result["rank_accuracy"] == pytest.approx((4 / 3) / 3)
  # inside 4 beats two and draws with one, 1 draws with two, 0 beats none
  assert result["pixel_auc"] == pytest.approx((2.5 + 1 + 0) / 9)
  assert of_one([[0.0, -0.0]], [[255, 0]])["pixel_auc"] == of_one([[-0.0, 0.0]], [[255, 0]])["pixel_auc"] == 0.5


@drawn
@given(st.data())
def test_pixel_auc_is_that_of_scikit_learn(data):
  mask = data.draw(usable_masks)
  values = data.draw(hnp.arrays(np.float32, mask.shape, elements=st.sampled_from([0, 1e-42, 1e-5, 0.1, 0.3, 1, 7e8])))
  known = mask != 128
  assert of_one(values, mask)["pixel_auc"] == pytest.approx(roc_auc_score(mask[known] == 255, values[known]))


def test_pixel_auc_without_ties_on_a_large_map():
  random = np.random.default_rng(0)
  mask = np.uint8(255) * (random.random((90, 110)) < 0.1)
  values = random.exponential(size=mask.shape).astype(np.float32) * (1 + (mask > 0))
  result = of_one(values, mask)
  assert result["pixel_auc"] == pytest.approx(roc_auc_score(mask.ravel() == 255, values.ravel()), abs=1e-12)
  highest = np.argsort(-values, axis=None)[: (mask > 0).sum()]
  common = (mask.ravel()[highest] > 0).sum()
  assert result["iou"] == pytest.approx(common / (2 * len(highest) - common))
  assert result["rank_accuracy"] == pytest.approx(common / len(highest))
  assert result["pointing"] == (mask.ravel()[values.argmax()] > 0)


@drawn
@given(usable_masks, st.randoms(use_true_random=False))
def test_unknown_pixels_change_nothing(mask, random):
  seed = np.random.default_rng(random.randrange(2**32))
  values = seed.integers(0, 4, mask.shape).astype(np.float32)
  other = np.where(mask == 128, 1000 * seed.random(mask.shape), values)
  assert of_one(values, mask) == of_one(other, mask)
  known = mask != 128  # as if they were cut out
  assert of_one(values, mask) == pytest.approx(of_one(values[known][None], mask[known][None]))


@drawn
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 1000))
def test_a_map_and_its_enlarged_copy_score_the_same(height, width, seed):
  random = np.random.default_rng(seed)
  mask = np.zeros((24, 16), np.uint8)
  mask[random.integers(20):, random.integers(12):] = 255
  mask[0, 0] = 0
  values = random.random((height, width), np.float32)
  large = enlarged(values, mask.shape)
  assert large.shape == mask.shape and of_one(values, mask) == of_one(large, mask)


def test_maps_are_enlarged_with_pixel_centres_at_a_half():
  large = enlarged(np.float32([[0, 4]]), (2, 8))  # centres at 2 and 6 of 8; 2.5 is an eighth of the way between them
  np.testing.assert_allclose(large, [[0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]] * 2, atol=1e-6)
  same = np.float32([[1, 2]])
  assert enlarged(same, (1, 2)) is same


def test_images_stay_apart():
  masks = np.zeros((3, 4, 4), np.uint8)
  masks[0, 0], masks[1, 1], masks[2, :, 0] = 255, 255, 255
  maps = np.stack([masks[0] == 255, masks[0] == 255, np.zeros((4, 4))]).astype(np.float32)
  result = placed(maps, masks)
  assert result["energy"].tolist() == [1, 0, 0.25] and result["empty"].tolist() == [False, False, True]
  assert all(result[name].dtype == np.float64 for name in MEASURES) and result["empty"].dtype == bool
  assert placed(maps[:0], masks[:0])["iou"].shape == (0,)


def test_what_cannot_be_measured_is_refused():
  maps, masks = np.ones((2, 4, 4), np.float32), np.zeros((2, 4, 4), np.uint8)
  masks[:, 0] = 255
  for bad in (np.nan, np.inf, -1e-3):
    with pytest.raises(ValueError, match="finite values >= 0"):
      placed(np.where(np.eye(4), np.float32(bad), maps), masks)
  for several in (maps[0], maps[:1], maps[..., None]):
    with pytest.raises(ValueError, match=r"maps\[N, h, w\] and masks"):
      placed(several, masks)
  with pytest.raises(ValueError, match="empty mask: leave such an image out"):
    placed(maps, np.zeros_like(masks))


@pytest.mark.parametrize(("mask", "reason"), [
    ([[128]], "no mask"), ([[128, 128], [128, 128]], "no mask"), ([[0]], "empty mask"), ([[0, 128]], "empty mask"),
    ([[255]], "nothing outside the mask"), ([[255, 128]], "nothing outside the mask"),
    ([[255, 0, 3]], "a mask with other values than 0, 128 and 255"), ([[255, 0]], None), ([[255, 128, 0]], None),
])
def test_why_unusable(mask, reason):
  assert why_unusable(np.uint8(mask)) == reason


def test_rectified():
  signed = np.float32([[[[1, -2, 3], [-1, -1, 1]]]])  # one image of 1 x 2 pixels
  heat = np.float32([[0, 2]])
  assert rectified(HEATMAP, heat) is heat
  np.testing.assert_array_equal(rectified(SENSITIVITY, signed), [[[6, 3]]])
  np.testing.assert_array_equal(rectified(ATTRIBUTION, signed), [[[2, 0]]])
  np.testing.assert_array_equal(rectified(ATTRIBUTION, signed[0]), [[2, 0]])
  np.testing.assert_array_equal(rectified(ATTRIBUTION, np.float64([[[1, -2, 3, -1]]])), [[[1, 0, 3, 0]]])
  assert rectified(ATTRIBUTION, np.float64([[1, 2]])).dtype == np.float32
  with pytest.raises(ValueError, match="'channels' point nowhere"):
    rectified(CHANNELS, signed)


def test_the_centred_blob_is_symmetrical_and_as_wide_as_it_says():
  blob = centred_gaussian(64)
  assert blob.shape == (64, 64) and blob.dtype == np.float32
  assert (blob == blob.T).all() and (blob == blob[::-1]).all() and blob[31, 31] == blob.max() <= 1
  # one standard deviation, 16 pixels, from the middle: exp(-1/2), as far as pixel centres are that
  assert blob[32, 48] / blob[32, 32] == pytest.approx(np.exp(-0.5 * (16.5**2 - 0.5**2) / 16**2))


def test_baselines():
  masks = np.zeros((2, 20, 30), np.uint8)
  masks[0, 8:12, 12:18], masks[1, :4, :6] = 255, 255  # in the middle, and in a corner: 24 of 600 pixels each
  pixels = np.full((2, 20, 30, 3), 90, np.uint8)
  pixels[1, 1:3, 1:5] = 200  # the second has an outline, all of it within its mask
  found = baseline_measures(masks, pixels)
  assert found["chance"]["energy"].tolist() == found["chance"]["pointing"].tolist() == [0.04, 0.04]
  assert found["centre"]["pointing"].tolist() == [1, 0] and found["centre"]["pixel_auc"][0] > 0.95
  assert found["centre"]["energy"][1] < 0.02 < 0.08 < found["centre"]["energy"][0]
  assert found["edges"]["empty"].tolist() == [True, False]  # a flat picture points nowhere
  assert found["edges"]["energy"].tolist() == pytest.approx([0.04, 1]) and list(found) == list(BASELINES)


def test_edges_are_as_steep_as_the_picture():
  ramp = np.arange(0, 60, 3, np.uint8)[None, :, None].repeat(9, 0).repeat(3, 2)
  edges = edge_map(ramp)
  assert edges.dtype == np.float32 and edges.shape == (9, 20)
  np.testing.assert_allclose(edges[:, 1:-1], 6 / np.sqrt(2), rtol=1e-6)  # along x 6 in two pixels, along y 0
  np.testing.assert_allclose(edge_map(ramp.swapaxes(0, 1)), edges.T, rtol=1e-6)


def test_a_shape_is_moved_to_where_it_was_not():
  masks = np.zeros((3, 20, 30), np.uint8)
  masks[0, 3:8, 4:10], masks[1, :, :20], masks[2, 0, 0] = 255, 255, 128
  other = moved(masks, seed=1)
  assert other.dtype == bool and other.sum((1, 2)).tolist() == [30, 400, 0]
  assert not (other[0] & (masks[0] == 255)).any()  # there is room
  assert 200 <= (other[1] & (masks[1] == 255)).sum() < 300  # two thirds cannot go where a third is free
  assert (moved(masks, seed=1) == other).all() and (moved(masks, seed=2) != other).any()
