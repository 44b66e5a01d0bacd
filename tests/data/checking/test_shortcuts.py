"""Sets whose classes differ in one thing: the line of that thing speaks, and unrelated ones do not."""


import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from fakeface_jax.data.checking import shortcuts as shortcuts_module
from fakeface_jax.data.checking.shortcuts import MEANINGS, TEXTURE, shortcuts
from fakeface_jax.data.checking.statistics import file_figures, picture_figures
from fakeface_jax.data.reading.images import decode_image, encode_image

COUNT = 140  # images of a set, half of them fake


def figures_of(random, *, sides=(80, 80), quality=(70, 96), warmth=0, **options):
  """Figures of a picture that nobody knows anything about, saved at a random quality."""
  coarse = Image.fromarray(random.integers(0, 256, (7, 7, 3), np.uint8)).resize(sides, Image.Resampling.BICUBIC)
  noise = random.normal(0, random.uniform(2, 8), (*sides[::-1], 1))  # grey, as colour's would go with its subsampling
  pixels = np.clip(np.asarray(coarse) * 0.7 + random.uniform(10, 60) + noise + [warmth, 0, -warmth], 0, 255)
  data = encode_image(pixels.astype(np.uint8), "JPEG", quality=int(random.integers(*quality)), **options)
  return {**file_figures(data, "a"), **picture_figures(decode_image(data, "a"))}


def lines_of(**fakes):
  """The report on a set whose fakes alone were made so."""
  random = np.random.default_rng(2)
  labels = np.arange(COUNT) % 2
  return shortcuts([figures_of(random, **(fakes if label else {})) for label in labels], labels)


def found(lines):
  return {name for name, line in lines.items() if line["found"]}


def test_a_fair_set_says_nothing():
  lines = lines_of()
  assert found(lines) == set() and lines.keys() == MEANINGS.keys()
  assert lines["size"] == {
      "auc": 0.5, "interval": [0.5, 0.5], "found": False, "verdict": "the same in all images"}
  for line in lines.values():
    assert line["interval"][0] <= 0.55 and line["verdict"] in (
        "the same in all images", "no better than chance", "too few images to tell")


@pytest.mark.parametrize(("fakes", "expected"), [
    ({"quality": (40, 55)}, {"JPEG tables", "file bytes"}),
    ({"subsampling": 0}, {"JPEG tables", "file bytes"}),
    ({"sides": (96, 96)}, {"size", "file bytes"}),
    ({"comment": b"made by a machine"}, {"metadata"}),
    ({"warmth": 40}, {"colour"}),
])
def test_the_right_line_speaks(fakes, expected):
  lines = lines_of(**fakes)
  assert found(lines) - set(TEXTURE) == expected  # texture feels compression and scale as well
  first = min(expected)
  assert lines[first]["auc"] > 0.9 and lines[first]["verdict"] == f"gives the class away: {MEANINGS[first]}"
  assert 0.8 < lines[first]["interval"][0] < lines[first]["auc"]


def test_shape_speaks():
  assert "aspect ratio" in found(lines_of(sides=(80, 88)))


def figure(values):
  return [{"size": {"x": float(value)}} for value in values]


def line(values, labels, groups=None):
  return shortcuts(figure(values), labels, groups)["size"]


def test_a_difference_in_spread_only_is_found():
  labels = np.arange(600) % 2
  values = np.random.default_rng(0).normal(0, np.where(labels, 0.3, 2.0))
  assert abs(roc_auc_score(labels, values) - 0.5) < 0.05
  assert line(values, labels)["auc"] > 0.75


def test_which_class_is_larger_does_not_matter():
  labels = np.arange(400) % 2
  values = np.random.default_rng(0).normal(labels * 0.8)
  more, less = line(values, labels), line(-values, labels)
  assert more["found"] and less["found"] and more["auc"] == pytest.approx(less["auc"], abs=0.02)
  assert more["auc"] == pytest.approx(0.714, abs=0.06)  # of two normals 0.8 apart
  assert more["verdict"].startswith("says much: ")


@pytest.mark.slow
def test_a_slight_difference_among_many_images_is_not_called_and_a_clear_one_is_not_acquitted():
  labels = np.arange(12000) % 2
  random = np.random.default_rng(0)
  slight = line(random.normal(labels * 0.13), labels)
  assert 0.51 < slight["interval"][0] < slight["auc"] < 0.55 and not slight["found"]
  assert slight["verdict"] == "no more than a trace"
  called = line(random.normal(labels * 0.35), labels)
  assert called["found"] and called["verdict"].startswith("says a little: ")


def test_few_images_do_not_shout():
  for count in (4, 6, 10):
    labels = np.arange(count) % 2
    alone = line(labels, labels)
    assert not alone["found"] and alone["verdict"] == "too few images to tell"
    low, high = alone["interval"]
    assert high == 1 and low < 0.8
  labels = np.arange(60) % 2
  assert line(labels, labels)["found"]


@pytest.mark.slow
def test_chance_is_rarely_called():
  random, labels = np.random.default_rng(0), np.arange(60) % 2
  lines = [line(random.normal(size=60), labels) for _ in range(40)]
  assert not any(one["found"] for one in lines)
  assert np.mean([one["interval"][0] <= 0.5 <= one["interval"][1] for one in lines]) > 0.8
  assert abs(np.mean([one["auc"] for one in lines]) - 0.5) < 0.04


def test_copies_stay_together_and_count_once():
  """Forty people, each ten times: who knows a person knows the class, but nothing else tells it."""
  random = np.random.default_rng(0)
  people = np.arange(400) // 10
  values = random.normal(size=40)[people] + random.normal(0, 0.01, 400)
  labels = (random.random(40) < 0.5)[people].astype(int)
  apart, together = line(values, labels), line(values, labels, people + 1000)
  assert apart["found"] and apart["auc"] > 0.8
  assert not together["found"] and np.ptp(together["interval"]) > 3 * np.ptp(apart["interval"])


def test_the_error_is_that_of_repeated_draws():
  labels, random = np.arange(200) % 2, np.random.default_rng(0)
  aucs = [roc_auc_score(labels, random.normal(labels * 1.0)) for _ in range(400)]
  assert shortcuts_module._error_of(0.76, 100, 100) == pytest.approx(np.std(aucs), rel=0.12)
  assert shortcuts_module._error_of(0.5, 30, 50) == pytest.approx(np.sqrt(81 / (12 * 30 * 50)))  # Mann-Whitney


def test_one_class_or_copies_only():
  alone = line([1, 2, 3], [0, 0, 0])
  assert alone["auc"] is alone["interval"] is None and not alone["found"]
  assert alone["verdict"] == "cannot be told: no fake to compare with"
  assert line([1, 2, 3], [0, 0, 1])["verdict"] == "cannot be told: 1 fake to compare with"
  assert line(range(8), [0, 1] * 4, [0] * 8)["auc"] is None
  assert shortcuts([], [])["colour"]["verdict"] == "cannot be told: no real and no fake to compare with"


def test_the_same_set_gives_the_same_figures():
  labels = np.arange(80) % 2
  values = np.random.default_rng(0).normal(labels)
  assert line(values, labels) == line(values, labels)
