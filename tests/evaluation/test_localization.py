"""All maps beside chance, the best of them, and what is said of it."""

import json
import re

import numpy as np
import pytest

from fakeface_jax.evaluation import localization as module
from fakeface_jax.evaluation.localization import UNTRIED, localization
from fakeface_jax.evaluation.placement import MEASURES


def measured(energy, title="Grad-CAM", layer="layer4_1/conv2", images=None):
  """A map's entry in which all measures are equal to `energy`."""
  energy = np.float64(energy)
  images = np.arange(len(energy)) if images is None else np.asarray(images)
  return {"method": title.lower(), "title": title, "layer": layer, "images": images,
          "empty": np.zeros(len(images), bool), **dict.fromkeys(MEASURES, energy)}


def studied(per_map, count, chance=0.1, centre=0.2, edges=0.0, caught=None, **options):
  baselines = {name: dict.fromkeys(MEASURES, np.full(count, value)) for name, value in
               (("chance", chance), ("centre", centre), ("edges", edges))}
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
  assert list(result["measures"]) == ["energy", "pointing", "iou", "rank_accuracy", "pixel_auc"]
  one, two = result["maps"]
  assert (one["images"], one["empty"], two["images"], two["empty"]) == (10, 0, 2, 0.5)
  for name in MEASURES:
    value, low, high = one["all"][name]
    assert value == pytest.approx(0.38) and 0.25 < low < 0.33 < 0.42 < high < 0.5
    assert one["caught"][name] == pytest.approx([0.5] * 3) and one["missed"][name] == pytest.approx([0.2] * 3)
    # the same resamples of the same images: a constant less
    assert one["over_chance"][name] == pytest.approx(np.subtract((value, low, high), 0.1))
    assert one["over_centre"][name] == pytest.approx(np.subtract((value, low, high), 0.2))
    assert one["over_edges"][name] == pytest.approx([value, low, high])
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
      "region, chance 8%, a blob in the middle 20%, the edges of the picture 0%.")


@pytest.mark.parametrize(("energy", "answer"), [
    (0.21, "It looks nearer to the fake than chance, but no nearer than a blob in the middle"),
    (0.15, "It looks nearer to the fake than chance, but less near than a blob in the middle"),
    (0.105, "There is no sign that it looks where the fake is"),
    (0.05, "It looks elsewhere than where the fake is"),
])
def test_it_can_say_no(energy, answer):
  verdict = studied([measured(scattered(energy), "gradient", None)], 100)["verdict"]
  assert verdict.startswith(f"{answer}: gradient puts {100 * energy:.0f}% (")
  assert verdict.endswith("chance 10%, a blob in the middle 20%, the edges of the picture 0%.")


def test_edges_are_to_be_beaten_too():
  said = lambda energy: studied([measured(scattered(energy))], 100, edges=0.4)["verdict"]
  nearer = "It looks nearer to the fake than chance, but "
  assert said(0.3).startswith(f"{nearer}less near than the edges of the picture: ")
  assert said(0.41).startswith(f"{nearer}no nearer than the edges of the picture: ")
  assert said(0.2).startswith(
      f"{nearer}no nearer than a blob in the middle and less near than the edges of the picture: ")
  assert said(0.5).startswith("It looks where the fake is: ")


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
  but = " (not tried for Edges)" if weights is None else ""
  assert f"it depends on the weights{but} and marks what" in result["best"]["how"]


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
