import json

import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.detector import Detector
from fakeface_jax.evaluation.faithfulness import (
    FILLS,
    FRACTIONS,
    area_under,
    baseline_maps,
    curve_ends,
    faithfulness,
    faithfulness_of_map,
    pixel_ranks,
    probability_without,
)
from fakeface_jax.explain.fill import blur
from fakeface_jax.models.network import normalize
from tests.explain.tiny import Network, linear, pictures

SIZE = 16
QUADRANT = np.zeros((SIZE, SIZE), np.float32)
QUADRANT[:8, 8:] = 1  # a quarter of the pixels
CUTS = [round(fraction * SIZE**2) for fraction in FRACTIONS]
sigmoid = lambda x: 1 / (1 + np.exp(-np.float64(x)))


def detector_of(model):
  return Detector(model, {}, resize=SIZE, crop=SIZE, batch_size=4)


def looks_at_the_quadrant(x):
  """White there, of black, turns the logit from about -4 to 4."""
  return 1.8 * x[:, :8, 8:].mean(axis=(1, 2, 3))


@pytest.fixture(scope="module")
def planted():
  """A detector that looks at a quadrant, and black pictures that are white there."""
  pixels = np.uint8(255 * QUADRANT)[None, ..., None].repeat(3, 0).repeat(3, -1)
  detector = detector_of(Network(looks_at_the_quadrant))
  return detector, pixels, curve_ends(detector, pixels)


def areas(curves):
  return {kind: {fill: area_under(curves[kind][fill]) for fill in FILLS} for kind in curves}


def test_the_right_map_takes_all_away_with_its_area_and_brings_all_with_its_first_pixels(planted):
  detector, pixels, ends = planted
  curves = faithfulness_of_map(detector, pixels, np.stack([QUADRANT] * 3), ends)
  black, white = detector.predict(np.stack([0 * pixels[0], 0 * pixels[0] + 255]))
  assert black < 0.05 and white > 0.95
  deletion, insertion = curves["deletion"]["inpaint"], curves["insertion"]["inpaint"]
  gone, grey = np.array(FRACTIONS) > 0.25, sigmoid(0)
  np.testing.assert_allclose(deletion[:, 0], white, rtol=1e-5)
  np.testing.assert_allclose(deletion[:, gone][:, :-1], black, rtol=1e-4)  # all around it is black, and so is the patch
  np.testing.assert_allclose(deletion[:, -1], grey, rtol=1e-5)
  few = (np.array(FRACTIONS) > 0) & ~gone
  np.testing.assert_allclose(insertion[:, few], white, rtol=1e-5)  # all that is left is white
  np.testing.assert_allclose(insertion[:, 0], grey, rtol=1e-5)
  assert (np.diff(deletion[:, : 1 + few.sum()]) < 1e-6).all()


def test_less_can_be_asked_for(planted):
  detector, pixels, ends = planted
  maps = np.stack([QUADRANT] * 3)
  everything = faithfulness_of_map(detector, pixels, maps, ends)
  one = faithfulness_of_map(detector, pixels, maps, ends, ("inpaint",), ("deletion",))
  np.testing.assert_array_equal(one["deletion"]["inpaint"], everything["deletion"]["inpaint"])
  assert list(one) == ["deletion"] and list(one["deletion"]) == ["inpaint"]
  other = faithfulness_of_map(detector, pixels, maps, ends, ("blur",), ("insertion",))
  np.testing.assert_array_equal(other["insertion"]["blur"], everything["insertion"]["blur"])


def test_a_region_painted_over(planted):
  detector, pixels, _ = planted
  black, white = detector.predict(np.stack([0 * pixels[0], 0 * pixels[0] + 255]))
  nothing = np.zeros((3, SIZE, SIZE), bool)
  inside = nothing.copy()
  inside[0] = inside[2, :, :8] = True
  inside[1] = QUADRANT > 0
  said = probability_without(detector, pixels, inside)
  np.testing.assert_allclose(said, [sigmoid(0), black, white], rtol=1e-4)  # all of it, the quadrant, the other half
  np.testing.assert_allclose(probability_without(detector, pixels, nothing), white, rtol=1e-5)


def test_wrong_maps_are_worse_than_random_ones_and_these_than_the_right_one(planted):
  detector, pixels, ends = planted
  maps = {"right": np.stack([QUADRANT] * 3), "wrong": np.stack([1 - QUADRANT] * 3), **baseline_maps(3, SIZE)}
  of = {name: areas(faithfulness_of_map(detector, pixels, values, ends)) for name, values in maps.items()}
  for fill, margin in (("inpaint", 0.05), ("blur", 0)):  # a blurred quadrant is nearly as bright
    for chance in ("random", "random patches"):
      low, middle, high = (of[name]["deletion"][fill] for name in ("right", chance, "wrong"))
      assert (low + margin < middle).all() and (middle < high).all(), (fill, chance)
      low, middle, high = (of[name]["insertion"][fill] for name in ("wrong", chance, "right"))
      assert (low < middle).all() and (middle < high).all(), (fill, chance)


def test_with_a_blurred_fill_the_best_and_the_worst_order_of_a_linear_network_are_known():
  pixels = pictures(3, SIZE, seed=4)
  images = np.asarray(normalize(pixels))
  change = images - np.asarray(blur(jnp.asarray(images)))
  weights = np.random.default_rng(0).standard_normal((SIZE, SIZE, 3)).astype(np.float32) / 60
  gain = (weights * change).sum(-1).reshape(3, -1)  # of the logit, where a pixel stands in the place of its blur
  nothing = (weights * (images - change)).sum(axis=(1, 2, 3))
  detector = detector_of(linear(weights))
  for sign in (1, -1):
    order = np.sort(sign * gain)[:, ::-1] * sign
    first = np.hstack([np.zeros((3, 1)), np.cumsum(order, axis=1)])
    maps = sign * gain - (sign * gain).min(axis=1, keepdims=True)
    curves = faithfulness_of_map(detector, pixels, maps.reshape(3, SIZE, SIZE).astype(np.float32))
    np.testing.assert_allclose(
        curves["insertion"]["blur"], sigmoid(nothing[:, None] + first[:, CUTS]), rtol=1e-4)
    np.testing.assert_allclose(
        curves["deletion"]["blur"], sigmoid((nothing + gain.sum(1))[:, None] - first[:, CUTS]), rtol=1e-4)


def test_all_curves_share_their_ends_and_these_need_computing_once(planted):
  detector, pixels, ends = planted
  maps = np.random.default_rng(0).random((3, 5, 5), np.float32)
  curves = faithfulness_of_map(detector, pixels, maps)
  given = faithfulness_of_map(detector, pixels, maps, {name: values + 7 for name, values in ends.items()})
  for kind in curves:
    for fill in FILLS:
      assert curves[kind][fill].shape == (3, len(FRACTIONS))
      expected = curves[kind][fill].copy()
      expected[:, [0, -1]] += 7
      np.testing.assert_allclose(given[kind][fill], expected, rtol=1e-6)
  np.testing.assert_allclose(curves["deletion"]["blur"][:, 0], detector.predict(pixels), rtol=1e-6)


def test_a_map_of_one_image_does_not_depend_on_the_others():
  detector, pixels = detector_of(Network(looks_at_the_quadrant)), pictures(3, SIZE)
  maps = np.random.default_rng(0).random((3, 4, 4), np.float32)
  together, alone = (faithfulness_of_map(detector, pixels[s], maps[s]) for s in (slice(None), slice(1, 2)))
  np.testing.assert_allclose(together["insertion"]["inpaint"][1], alone["insertion"]["inpaint"][0], rtol=1e-5)


def test_pixels_are_ranked_from_the_most_and_ties_at_random():
  values = np.random.default_rng(0).permutation(SIZE**2).reshape(1, SIZE, SIZE).astype(np.float32)
  np.testing.assert_array_equal(pixel_ranks(values, (SIZE, SIZE)), SIZE**2 - 1 - values)
  empty, halves = np.zeros((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), np.float32)
  halves[8:] = 1
  of_empty, of_halves = pixel_ranks(np.stack([empty, halves]), (SIZE, SIZE))
  assert sorted(of_empty.ravel()) == list(range(SIZE**2))
  rows = np.indices((SIZE, SIZE))[0]
  assert abs(np.corrcoef(of_empty.ravel(), rows.ravel())[0, 1]) < 0.2  # and not from the top down
  assert of_halves[8:].max() < of_halves[:8].min()
  assert abs(np.corrcoef(of_halves[:8].ravel(), rows[:8].ravel())[0, 1]) < 0.2
  coarse = pixel_ranks(np.float32([[[0, 0], [0, 1]]]), (SIZE, SIZE))[0]
  assert coarse[-4:, -4:].max() == 15 and coarse[:4, :4].min() > 100


def test_the_area_is_the_mean_over_the_share_of_pixels():
  assert area_under(np.full(len(FRACTIONS), 0.3)) == pytest.approx(0.3)
  assert area_under(1 - np.array(FRACTIONS)) == pytest.approx(0.5)
  step = np.where(np.array(FRACTIONS) < 0.1, 1.0, 0.0)
  assert area_under(step) == pytest.approx(0.075)  # 1 up to 0.05, then down to 0 at 0.1


def flat(value):
  """Curves whose area is `value`, of each image."""
  curve = np.repeat(np.float64(value)[:, None], len(FRACTIONS), axis=1)
  return {"deletion": dict.fromkeys(FILLS, curve), "insertion": dict.fromkeys(FILLS, 1 - curve)}


def row(title, values, method=None, layer=None):
  return {"method": method, "title": title, "layer": layer, **flat(values)}


NOISE = np.random.default_rng(0).normal(0, 0.05, 12)
BASELINES = [row("random", 0.9 + NOISE), row("random patches", 0.8 + NOISE), row("centre", 0.6 + NOISE)]


def test_maps_stand_beside_the_baselines_and_the_best_is_named():
  good = row("Grad-CAM", 0.4 - NOISE, "gradcam", "layer4_1/conv2")
  bad = row("gradient", 0.9 - NOISE, "gradient")
  checked = {"methods": {"gradcam": {"same_when_random": 0.1, "depends_on_weights": True, "ssim": []}}}
  result = faithfulness([bad, good, *BASELINES], checked)
  assert json.loads(json.dumps(result)) == result
  assert result["images"] == 12 and result["fractions"] == list(FRACTIONS) and result["sanity"] is checked
  of = {one["title"]: one for one in result["maps"]}
  mean, low, high = of["Grad-CAM"]["deletion"]["blur"]["auc"]
  assert mean == pytest.approx(0.4 - NOISE.mean()) and low < mean < high
  np.testing.assert_allclose(of["Grad-CAM"]["insertion"]["inpaint"]["curve"], 0.6 + NOISE.mean())
  for kind in ("deletion", "insertion"):
    assert of["Grad-CAM"]["gain"]["centre"][kind]["inpaint"][0] == pytest.approx(0.2 + 2 * NOISE.mean())
    assert of["gradient"]["gain"]["centre"][kind]["inpaint"][2] < 0
  assert of["Grad-CAM"]["sanity"] == {"same_when_random": 0.1, "depends_on_weights": True}
  assert of["gradient"]["sanity"] is None and of["random"]["gain"] == {} and of["random"]["sanity"] is None
  others = NOISE[1::2].mean()
  assert result["verdict"].startswith(
      "Removing what Grad-CAM of layer4_1/conv2 marks lowers the probability of fake faster than removing patches at"
      f" random: with the removed pixels painted in, it is {0.4 - others:.2f} on average against {0.8 + others:.2f}, a"
      f" gain of {0.4 + 2 * others:.2f} (95 % interval ")
  assert "Removing the middle of the picture first is surely slower" in result["verdict"]
  assert result["verdict"].endswith(
      "This map was the best of 2 on half of the images; the figures are of the others. On all 12 images, of 2 maps 1"
      " surely beat patches at random and 1 surely beat the middle of the picture first.")


def test_the_verdict_can_say_no():
  verdict = lambda *rows, sanity=None: faithfulness([*rows, *BASELINES], sanity or {"reason": "not asked"})["verdict"]
  as_good_as_chance = row("Grad-CAM", 0.8 - NOISE, "gradcam", "layer4_1/conv2")
  said = verdict(as_good_as_chance)
  assert said.startswith("Removing what Grad-CAM of layer4_1/conv2 marks does not surely lower the probability of fake")
  assert "Removing the middle of the picture first is surely faster" in said and "best of" not in said
  # Good on the images it is chosen on and nowhere else: a map that wins by luck does not win twice.
  lucky = row("gradient", np.where(np.arange(12) % 2, 0.9, 0.1) + NOISE, "gradient")
  said = verdict(as_good_as_chance, lucky)
  assert said.startswith("Removing what gradient marks does not surely lower")
  failing = {"methods": {"gradient": {"same_when_random": 0.9, "depends_on_weights": False}}}
  assert "But these maps hardly depend on what the network has learned" in verdict(lucky, sanity=failing)
  # One that depends on the weights goes before a better one that does not.
  assert verdict(as_good_as_chance, lucky, sanity=failing).startswith("Removing what Grad-CAM of layer4_1/conv2 marks")
  assert "hardly depend" not in said


def test_of_few_images_and_of_no_map_nothing_is_said():
  few = [{**one, **flat(np.full(3, 0.5))} for one in (row("gradient", NOISE, "gradient"), *BASELINES)]
  assert faithfulness(few, {"reason": "x"})["verdict"].startswith("Nothing can be said of 1 maps of 3 images")
  assert faithfulness(BASELINES, {"reason": "x"})["verdict"].startswith("Nothing can be said of 0 maps")
  assert faithfulness([], {"reason": "x"})["images"] == 0
