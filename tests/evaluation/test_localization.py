"""Planted maps, cases worked by hand, agreement with scikit-learn, and verdicts that say yes, hardly and no."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from fakeface_jax.evaluation import localization as module
from fakeface_jax.evaluation.localization import (
  MEASURES,
  UNTRIED,
  baseline_measures,
  centred_gaussian,
  enlarged,
  localization,
  moved,
  placed,
  rectified,
  usable,
)
from fakeface_jax.explain.methods import ATTRIBUTION, CHANNELS, HEATMAP, SENSITIVITY

drawn = settings(max_examples=60, deadline=None, derandomize=True, database=None)
usable_masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12),
                          elements=st.sampled_from([0, 128, 255])).filter(lambda mask: usable(mask) is None)


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
      {"energy": area, "pointing": area, "iou": area / (2 - area), "pixel_auc": 0.5})
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
      {"energy": 10 / 20, "pointing": 1, "iou": 1 / 3, "pixel_auc": (6 + 3 + 2 / 2) / 12, "empty": False})


def test_ties_by_hand():
  mask = [[255, 255, 255, 0, 0, 0]]
  values = [[4, 1, 0, 4, 1, 1]]
  # both highest are 4, one inside; the third place goes to one of three, one of them inside: 1 + 1/3 in common of 3 + 3
  result = of_one(values, mask)
  assert result["pointing"] == 1 / 2 and result["energy"] == pytest.approx(5 / 11)
  assert result["iou"] == pytest.approx((4 / 3) / (6 - 4 / 3))
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
def test_usable(mask, reason):
  assert usable(np.uint8(mask)) == reason


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
  both = baseline_measures(masks)
  assert both["chance"]["energy"].tolist() == both["chance"]["pointing"].tolist() == [0.04, 0.04]
  assert both["centre"]["pointing"].tolist() == [1, 0] and both["centre"]["pixel_auc"][0] > 0.95
  assert both["centre"]["energy"][1] < 0.02 < 0.08 < both["centre"]["energy"][0]


# --- many maps of many images


def measured(energy, title="Grad-CAM", layer="layer4_1/conv2", images=None):
  """A map's entry in which all measures are equal to `energy`."""
  energy = np.float64(energy)
  images = np.arange(len(energy)) if images is None else np.asarray(images)
  return {"method": title.lower(), "title": title, "layer": layer, "images": images,
          "empty": np.zeros(len(images), bool), **dict.fromkeys(MEASURES, energy)}


def studied(per_map, count, chance=0.1, centre=0.2, caught=None, **options):
  baselines = {name: dict.fromkeys(MEASURES, np.full(count, value)) for name, value in
               (("chance", chance), ("centre", centre))}
  caught = np.arange(count) % 4 > 0 if caught is None else caught
  return localization(per_map, baselines, caught, np.full(count, chance), **options)


def scattered(mean, count=100, spread=0.1, seed=0):
  """`count` energies of exactly this mean."""
  noise = np.random.default_rng(seed).normal(0, spread, count)
  return mean + noise - noise.mean()


def test_the_tables():
  caught = np.array([True] * 6 + [False] * 4)
  first, sampled = measured([0.5] * 6 + [0.2] * 4), measured([0.3, 0.3], "SHAP", None, images=[1, 3])
  sampled["empty"] = np.array([True, False])
  result = studied([first, sampled], 10, caught=caught, left_out={"no mask": 3})
  counts = {name: result[name] for name in ("images", "caught", "missed", "area", "left_out")}
  assert counts == {"images": 10, "caught": 6, "missed": 4, "area": pytest.approx(0.1), "left_out": {"no mask": 3}}
  assert list(result["measures"]) == ["energy", "pointing", "iou", "pixel_auc"]
  one, two = result["maps"]
  assert (one["images"], one["empty"], two["images"], two["empty"]) == (10, 0, 2, 0.5)
  for name in MEASURES:
    value, low, high = one["all"][name]
    assert value == pytest.approx(0.38) and 0.25 < low < 0.33 < 0.42 < high < 0.5
    assert one["caught"][name] == pytest.approx([0.5] * 3) and one["missed"][name] == pytest.approx([0.2] * 3)
    # the same resamples of the same images: a constant less
    assert one["over_chance"][name] == pytest.approx(np.subtract((value, low, high), 0.1))
    assert one["over_centre"][name] == pytest.approx(np.subtract((value, low, high), 0.2))
    assert two["all"][name] == two["caught"][name] == pytest.approx([0.3] * 3)
  assert two["missed"] is None  # neither of its images was
  assert result["baselines"]["centre"]["missed"]["iou"] == pytest.approx([0.2] * 3)
  assert (two["method"], two["title"], two["layer"]) == ("shap", "SHAP", None)
  assert json.loads(json.dumps(result)) == result


def test_differences_are_taken_on_the_same_images():
  """A map that is everywhere 0.05 above a chance that scatters widely is surely above it."""
  chance = np.linspace(0.01, 0.6, 20)
  result = studied([measured(chance[5:] + 0.05, images=np.arange(5, 20))], 20, chance)
  assert result["maps"][0]["over_chance"]["energy"] == pytest.approx([0.05] * 3)
  value, low, high = result["maps"][0]["all"]["energy"]
  assert low < value - 0.05 and high > value + 0.05


def test_intervals_follow_the_seed():
  of_seed = lambda seed: studied([measured(scattered(0.5))], 100, seed=seed)["maps"][0]["all"]["energy"]
  assert of_seed(0) == of_seed(0) != of_seed(1)


def test_it_looks_where_the_fake_is():
  result = studied([measured(scattered(0.48))], 100, 0.08)
  value, low, high = result["best"]["energy"]
  assert value == pytest.approx(0.48) and 0.44 < low < 0.47 < 0.49 < high < 0.52
  assert result["verdict"] == (
      "It looks where the fake is: Grad-CAM of layer4_1/conv2 puts 48% (46 to 50) of the energy inside the changed "
      "region, chance 8%, a blob in the middle 20%.")


@pytest.mark.parametrize(("energy", "answer"), [
    (0.21, "It looks nearer to the fake than chance, but no nearer than what always points at the middle"),
    (0.15, "It looks nearer to the fake than chance, but less near than what always points at the middle"),
    (0.105, "There is no sign that it looks where the fake is"),
    (0.05, "It looks elsewhere than where the fake is"),
])  # fmt: skip
def test_it_can_say_no(energy, answer):
  verdict = studied([measured(scattered(energy), "gradient", None)], 100)["verdict"]
  assert verdict.startswith(f"{answer}: gradient puts {100 * energy:.0f}% (")
  assert verdict.endswith("chance 10%, a blob in the middle 20%.")


def test_above_the_middle_but_not_above_chance_is_no_sign():
  assert studied([measured(scattered(0.1))], 100, 0.1, 0.02)["verdict"].startswith("There is no sign")


def test_few_fakes_are_said():
  twelve = studied([measured(scattered(0.5, 12))], 12)
  _, low, high = twelve["best"]["energy"]
  assert twelve["verdict"].startswith("It looks where the fake is: ")
  assert twelve["verdict"].endswith(f"With only 12 fakes, the interval is {100 * (high - low):.0f} points wide.")
  assert "With only" not in studied([measured(scattered(0.5, 30))], 30)["verdict"]
  three = studied([measured([0.9] * 3), measured([0.8] * 3)], 3)
  assert three["verdict"].startswith("Too few fakes with a mask (3) to tell whether it looks where the fake is: ")
  assert "on the same 3 fakes" in three["best"]["how"] and "too good" in three["best"]["how"]
  assert "With only 1 fake, the" in studied([measured([0.9])], 1)["verdict"]


def test_small_shares_are_not_rounded_away():
  assert "chance 0.4%, a blob in the middle 0%" in studied([measured(scattered(0.5))], 100, 0.004, 0)["verdict"]


def test_whether_caught_fakes_are_better_localised():
  caught = np.arange(100) < 60
  better = scattered(0.5) + 0.15 * caught
  assert "localised" not in studied([measured(better)], 100, 0.1 + 0.15 * caught, caught=caught)["verdict"]
  said = studied([measured(better)], 100, caught=caught)["verdict"]
  gains = [better[group].mean() - 0.1 for group in (caught, ~caught)]
  expected = r" Caught fakes .* missed ones: {:.0f} points above chance \(\d+ to \d+\) against {:.0f} \(\d+ to \d+\)\.$"
  assert re.search(expected.format(*(100 * gain for gain in gains)), said)
  said = studied([measured(better)], 100, caught=~caught)["verdict"]
  assert " Missed fakes are better localised than caught ones: " in said
  assert "localised" not in studied([measured(better)], 100, caught=np.arange(100) < 93)["verdict"]  # seven missed


def test_without_fakes_or_maps_the_reason():
  assert studied([], 0) == {"reason": "there is no fake with a mask"}
  assert studied([], 0, left_out={"no mask": 3, "empty mask": 1}) == {
      "reason": "no fake has a usable mask (3 no mask, 1 empty mask)"}
  for nothing in ([], [measured([])]):
    assert studied(nothing, 5) == {"reason": "no method was asked for whose maps point somewhere"}


# --- the best map


def test_the_choice_is_not_paid_for_by_its_own_figure():
  """Of 40 maps without any merit the best looks good on the images it was chosen on, and not on others."""
  random = np.random.default_rng(5)
  maps = [measured(np.clip(random.normal(0.1, 0.2, 60), 0, 1), layer=f"l{i}") for i in range(40)]
  chance = np.mean([one["energy"] for one in maps])
  result = studied(maps, 60, chance)
  luckiest = max(one["over_chance"]["energy"][1] for one in result["maps"])
  assert luckiest > 0  # taken alone it seems surely better than chance
  value, low, _ = result["best"]["over_chance"]
  assert low < 0 and value < 0.03
  assert result["verdict"].startswith("There is no sign that it looks where the fake is: its best maps (Grad-CAM of l")


def test_a_map_that_is_good_on_one_half_only(monkeypatch):
  half = np.arange(40) < 20
  monkeypatch.setattr(module, "_halves", lambda caught, seed: half)
  lucky, solid = measured(np.where(half, 0.8, 0), "lucky", "a"), measured(np.full(40, 0.35), "solid", None)
  best = studied([lucky, solid], 40)["best"]
  # the half on which it is good chooses it, and it is measured on the other; that one chooses the solid map
  assert best["energy"][0] == pytest.approx((0 + 0.35) / 2)
  assert (best["method"], best["layer"]) == ("lucky", "a")  # 0.4 on all
  assert "One half chose lucky of a, the other solid; the figures are of both." in best["how"]
  both = studied([measured(np.full(40, 0.3)), solid], 40)
  best = both["best"]
  assert best["energy"] == pytest.approx([0.35] * 3) and best["how"].endswith(f"Both halves chose solid.{UNTRIED}")
  assert "Chosen among 2 maps by the mean energy on one random half of 40 fakes" in best["how"]
  assert (best["chance"], best["centre"]) == (pytest.approx(0.1), pytest.approx(0.2))


def test_halves_share_out_caught_and_missed():
  caught = np.arange(41) < 11
  halves = [module._halves(caught, seed) for seed in range(20)]
  for half in halves:
    assert abs(half.sum() - 20.5) == 0.5 and half[caught].sum() in (5, 6)
  assert len({tuple(half) for half in halves}) == 20
  assert (module._halves(caught, 3) == halves[3]).all()


def test_only_maps_of_the_most_fakes_can_be_the_best():
  sampled = measured([0.9] * 10, "SHAP", None, images=np.arange(10))
  best = studied([sampled, measured([0.3] * 20)], 20)["best"]
  assert best["method"] == "grad-cam" and best["how"] == f"There was no other map to choose from.{UNTRIED}"
  alone = studied([sampled, measured([0.8] * 10, "occlusion", None, images=np.arange(10))], 20)["best"]
  assert alone["method"] == "shap" and "2 maps" in alone["how"] and "10 fakes" in alone["how"]
  others = measured([0.95] * 10, "occlusion", None, images=np.arange(10, 20))
  assert studied([sampled, others], 20)["best"]["how"].startswith("There was no other map")  # on the same fakes


# --- who may speak


def on_trial(energy, title, deletion=(0.2, 0.1, 0.3), depends_on_weights=True):
  trials = {"deletion": list(deletion), "depends_on_weights": depends_on_weights}
  return measured(scattered(energy), title) | {"trials": trials}


@pytest.mark.parametrize(("deletion", "weights", "passing"), [
    ((0.2, 0.1, 0.3), True, True), ((0.2, 0.1, 0.3), None, True),  # the weights were not tried
    ((0.2, 0.1, 0.3), False, False), ((0.1, -0.01, 0.3), True, False), ((-0.2, -0.3, -0.1), True, False)])
def test_only_a_map_that_passes_its_trials_can_be_the_best(deletion, weights, passing):
  """A map that lies on the fakes by nature, and not by what the network has learned, must not answer for it."""
  result = studied([on_trial(0.6, "Edges", deletion, weights), on_trial(0.3, "Other")], 100)
  assert [row["passes"] for row in result["maps"]] == [passing, True]
  assert result["best"]["title"] == ("Edges" if passing else "Other")
  assert f"{1 + passing} of 2 maps passed" in result["best"]["how"]


def test_where_no_map_passes_nothing_is_claimed():
  result = studied([on_trial(0.6, "Edges", depends_on_weights=False), on_trial(0.5, "Other", (0, -0.1, 0.1))], 100)
  assert "Nothing can be said of where it looks: of 2 maps none" in result["verdict"]
  assert result["best"] == {"reason": result["verdict"]} and len(result["maps"]) == 2


def test_maps_that_nobody_tried_take_part_and_that_is_said():
  result = studied([measured(scattered(0.6), "Untried"), on_trial(0.3, "Other")], 100)
  assert result["best"]["title"] == "Untried" and result["maps"][0]["passes"] is None
  assert "1 of 1 maps passed" in result["best"]["how"]
  alone = studied([measured(scattered(0.6), "Untried")], 100)
  assert "No map was put to a trial" in alone["best"]["how"]


# --- painted over


def test_a_shape_is_moved_to_where_it_was_not():
  masks = np.zeros((3, 20, 30), np.uint8)
  masks[0, 3:8, 4:10], masks[1, :, :20], masks[2, 0, 0] = 255, 255, 128
  other = moved(masks, seed=1)
  assert other.dtype == bool and other.sum((1, 2)).tolist() == [30, 400, 0]
  assert not (other[0] & (masks[0] == 255)).any()  # there is room
  assert 200 <= (other[1] & (masks[1] == 255)).sum() < 300  # two thirds cannot go where a third is free
  assert (moved(masks, seed=1) == other).all() and (moved(masks, seed=2) != other).any()


def painted(inside, elsewhere, count=100, untouched=0.9):
  values = {"untouched": untouched, "inside": inside, "elsewhere": elsewhere}
  return {name: np.full(count, value) for name, value in values.items()}


@pytest.mark.parametrize(("inside", "elsewhere", "start", "rests"), [
    (0.2, 0.85, "It looks where the fake is", "The verdicts rest on it: "),
    (0.88, 0.85, "Its maps lie where the fake is, but it may not look there", "The verdicts rest on something else: "),
    (0.80, 0.84, "Its maps lie where the fake is, but it may not look there", "The verdicts rest on something else: ")])
def test_maps_alone_are_not_believed(inside, elsewhere, start, rests):
  result = studied([measured(scattered(0.5))], 100, painted=painted(inside, elsewhere))
  assert result["verdict"].startswith(f"{start}: ") and rests in result["verdict"]
  told = f"from 0.90 to {inside:.2f} on average; with the same shape elsewhere painted over, to {elsewhere:.2f}"
  assert told in result["verdict"]
  assert result["painted"]["drop"] == pytest.approx([elsewhere - inside] * 3)


def test_painting_over_is_told_of_caught_fakes_and_of_enough_of_them():
  values = painted(0.2, 0.8)
  values["inside"][::2] = 0.7
  result = studied([measured(scattered(0.5))], 100, caught=np.arange(100) % 2 == 1, painted=values)
  assert result["painted"]["images"] == 50 and result["painted"]["inside"][0] == pytest.approx(0.2)
  few = studied([measured(scattered(0.5))], 100, caught=np.arange(100) < 5, painted=values)
  assert "painted over" not in few["verdict"] and few["verdict"].startswith("It looks where the fake is")
  assert studied([measured(scattered(0.5))], 100, caught=np.zeros(100, bool), painted=values)["painted"] is None


def test_no_sign_that_verdicts_rest_on_it():
  values = painted(0.2, 0.8)
  values["inside"] = np.where(np.arange(100) % 5, 0.8, 0.5)  # 0.06 on average, not surely more than the least
  result = studied([measured(scattered(0.5))], 100, painted=values)
  assert "There is no sign that the verdicts rest on it: " in result["verdict"]
