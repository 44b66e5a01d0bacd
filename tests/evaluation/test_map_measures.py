"""Sparseness, max-sensitivity, infidelity and ROAD's imputation: cases worked by hand, and what is degenerate."""

import numpy as np
import pytest

from fakeface_jax.evaluation.infidelity import infidelity, squares, sums_inside, unexplained
from fakeface_jax.evaluation.map_measures import MEASURES, map_measures
from fakeface_jax.evaluation.sensitivity import DRAWS, RADIUS, disturbances, max_sensitivity
from fakeface_jax.evaluation.sparseness import sparseness
from fakeface_jax.explain.noisy_linear import NOISE, impute


def test_sparseness_by_hand():
  # 0, 1, 1, 2: 1 - 2 * (1/4 * 2.5/4 + 1/4 * 1.5/4 + 2/4 * 0.5/4); one of d values has all: 1 - 1 / d
  found = sparseness([[[1, 0], [2, 1]], [[0, 0], [7, 0]], [[3, 3], [3, 3]], [[0, 0], [0, 0]]])
  np.testing.assert_allclose(found, [0.375, 0.75, 0, 0], atol=1e-12)
  assert sparseness(np.zeros((0, 2, 3))).shape == (0,)


def test_a_copy_of_every_value_does_not_change_the_sparseness():
  coarse = np.random.default_rng(0).exponential(size=(3, 7, 5))
  np.testing.assert_allclose(sparseness(coarse.repeat(3, 1).repeat(2, 2) * 1e6), sparseness(coarse))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1])
def test_sparseness_refuses_what_is_no_map(bad):
  with pytest.raises(ValueError, match="finite, >= 0"):
    sparseness([[[1, bad]]])


def test_max_sensitivity_by_hand():
  maps = [[[3, 4, 0]], [[0, 0, 2]], [[0, 0, 0]]]
  disturbed = [[[[3, 4, 1]], [[0, 0, 2]], [[0, 0, 0]]], [[[0, 8, 0]], [[0, 0, 2]], [[1, 0, 0]]]]
  np.testing.assert_allclose(max_sensitivity(maps, disturbed), [5 / 5, 0, np.nan])


def test_max_sensitivity_refuses_other_shapes_and_nan():
  for disturbed in (np.ones((2, 1, 3, 2)), np.ones((0, 1, 2, 3))):
    with pytest.raises(ValueError, match=r"expected maps\[N, h, w\] and disturbed"):
      max_sensitivity(np.ones((1, 2, 3)), disturbed)
  with pytest.raises(ValueError, match="finite"):
    max_sensitivity(np.ones((1, 2, 3)), np.full((2, 1, 2, 3), np.nan))


def test_disturbances_are_small_and_stay_within_a_picture():
  pixels = np.zeros((2, 6, 9, 3), np.uint8)
  pixels[:, 2:4], pixels[:, 4:] = 100, 255
  several = np.stack(list(disturbances(pixels)))
  assert several.shape == (DRAWS, 2, 6, 9, 3) and several.dtype == np.uint8
  change = several.astype(int) - pixels
  assert (change[:, :, 2:4].min(), change[:, :, 2:4].max()) == (-RADIUS, RADIUS)
  assert (change[:, :, :2] >= 0).all() and (change[:, :, 4:] <= 0).all() and (several[0] != several[1]).any()


def test_infidelity_by_hand():
  said, fallen = [[1, 2, 0], [0, 0, 0], [2, 4, -6]], [[1, 1, 2], [1, 1, 2], [1, 2, -3]]
  np.testing.assert_allclose(infidelity(said, fallen, scaled=False), [5 / 3, 2, (1 + 4 + 9) / 3])
  # the first suits best times (1 + 2) / (1 + 4) = 0.6
  np.testing.assert_allclose(infidelity(said, fallen), [(0.4**2 + 0.2**2 + 4) / 3, 2, 0], atol=1e-12)
  np.testing.assert_allclose(unexplained(said, fallen), [4.2 / 6, 1, 0], atol=1e-12)
  assert unexplained([[1, 2]], [[0, 0]]).tolist() == [1]  # nothing falls: nothing is explained
  assert unexplained([[1, 2, 3]], [[-1, -2, -3]]).tolist() == [1]  # it marks what speaks against


def test_infidelity_refuses_other_shapes_and_nan():
  for said, fallen in (([[1, 2]], [[1, 2, 3]]), ([1], [1]), ([[np.nan]], [[1]])):
    with pytest.raises(ValueError, match="expected finite said"):
      infidelity(said, fallen)


def test_squares_are_square_and_lie_within_the_picture():
  removed = squares((40, 64))
  sides = np.stack([removed.any(2).sum(1), removed.any(1).sum(1)])
  assert (sides[0] == sides[1]).all() and (removed.sum((1, 2)) == sides[0] ** 2).all()
  assert sides.min() >= 5 and sides.max() <= 15 and len(set(sides[0])) > 4
  assert (squares((40, 64)) == removed).all()
  np.testing.assert_allclose(sums_inside(np.full((2, 40, 64), 0.5), removed), np.stack([sides[0] ** 2 / 2] * 2))


def test_an_imputed_pixel_is_the_mean_of_its_neighbours_by_hand():
  image = np.zeros((1, 3, 4, 1), np.float32).repeat(3, -1)
  image[0, 0, 1], image[0, 0, 0], image[0, 1, 1] = 6, 12, 99
  keep = np.ones((1, 3, 4), bool)
  keep[0, 1, 1] = False
  found = np.asarray(impute(image, keep, noise=0.0))
  assert found[0, 1, 1] == pytest.approx([6 / 6 + 12 / 12] * 3, abs=1e-5)
  # in the corner three neighbours are left, of weights 1/6, 1/6, 1/12, in sum 5/12
  corner = np.ones((1, 3, 4), bool)
  corner[0, 0, 0] = False
  assert np.asarray(impute(image, corner, noise=0.0))[0, 0, 0] == pytest.approx(
      [(6 / 6 + 99 / 12) / (5 / 12)] * 3, rel=1e-5)


def test_what_is_flat_stays_flat_and_where_nothing_is_kept_all_is_grey():
  image = np.full((2, 12, 9, 3), 1.5, np.float32)
  keep = np.zeros((2, 12, 9), bool)
  keep[0, 11, 8] = True
  found = np.asarray(impute(image, keep, noise=0.0))
  np.testing.assert_allclose(found[0], 1.5, atol=1e-5)
  np.testing.assert_array_equal(found[1], 0)
  noisy = np.asarray(impute(image, keep))
  assert (noisy[keep] == image[keep]).all() and noisy[1].std() == pytest.approx(NOISE, rel=0.2)


def test_the_sentences_name_the_best_of_each_measure():
  one = lambda method, title, **values: {
      "method": method, "title": title, "layer": None, **{name: np.full(8, values.get(name, 0.5)) for name in MEASURES}}
  rows = [one("a", "A", infidelity=0.2, max_sensitivity=0.4), one("b", "B", road=0.1, max_sensitivity=0.05),
          one(None, "random patches", infidelity=0.9, road=0.6) | {"max_sensitivity": None}]
  found = map_measures(rows, 8)
  assert found["maps"][0]["infidelity"] == pytest.approx([0.2] * 3)
  assert found["maps"][2]["max_sensitivity"] == [None] * 3
  assert "What A holds" in found["verdict"] and "20 % of it stays unexplained" in found["verdict"]
  assert "90 % of random patches" in found["verdict"] and "fastest is B: 0.10" in found["verdict"]
  assert "B changes least, at worst by 5 % of itself, and A most, by 40 %." in found["verdict"]
  assert "None" not in found["verdict"]
  rows[1]["max_sensitivity"] = rows[0]["max_sensitivity"] = np.full(8, 1.2)
  assert map_measures(rows, 8)["verdict"].endswith("None is steady: the evidence is of the kind that such noise hides.")
  assert map_measures(rows, 7)["verdict"] == "Measured on 7 caught fakes, too few to compare maps."


def test_an_image_of_which_a_measure_cannot_be_taken_is_left_out():
  row = {"method": "a", "title": "A", "layer": "x", **{name: np.array([0.25, np.nan]) for name in MEASURES}}
  assert map_measures([row], 2)["maps"][0]["road"] == [0.25] * 3
