"""Curves, thresholds and shares by kind of fake, on cases worked by hand."""

import json

import numpy as np
import pytest

from fakeface_jax.data.schema import REGIONS
from fakeface_jax.evaluation.detection import detection, threshold_for
from fakeface_jax.evaluation.intervals import wilson

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
PROBABILITIES = np.array([0.05, 0.15, 0.45, 0.85, 0.25, 0.55, 0.75, 0.96])


def regions(**fakes):
  """bool[8, 9]: which of the fakes 4 to 7 have which region."""
  bits = np.zeros((8, len(REGIONS)), bool)
  for name, members in fakes.items():
    bits[members, REGIONS.index(name)] = True
  return bits


def test_threshold_lets_at_most_the_share_through():
  reals = np.array([0.1, 0.2, 0.3, 0.4])
  assert (reals >= threshold_for(reals, 0.0)).sum() == 0
  assert (reals >= threshold_for(reals, 0.25)).sum() == 1
  assert (reals >= threshold_for(reals, 0.49)).sum() == 1
  assert threshold_for(reals, 0.5) == np.nextafter(0.2, 2)  # the lowest that does: 0.2 itself must not pass
  assert threshold_for(reals, 1.0) == 0.0


def test_threshold_never_splits_ties():
  reals = np.array([0.5, 0.5, 0.5, 0.1])
  assert (reals >= threshold_for(reals, 0.5)).sum() == 0


def test_threshold_is_set_on_other_images_and_measured_on_these():
  validation = np.zeros(100, int), np.linspace(0, 0.99, 100)
  rows = detection(LABELS, PROBABILITIES, validation=validation)["thresholds"]
  assert [row["wanted"] for row in rows] == [0.01, 0.05, 0.1]
  assert [row["validation_reals"] for row in rows] == [100] * 3
  assert rows[1]["threshold"] == pytest.approx(0.94)  # 0.95 to 0.99 are five of a hundred
  assert rows[1]["recall"] == wilson(1, 4) and rows[1]["false_alarm_rate"] == wilson(0, 4)
  assert rows[2]["threshold"] == pytest.approx(0.89) and rows[2]["recall"] == wilson(1, 4)


@pytest.mark.parametrize(("validation", "words"), [
    ("the images are the same", "the same"), (None, "no validation"), (([1, 1], [0.2, 0.3]), "no real")])
def test_without_other_images_there_is_no_threshold(validation, words):
  assert words in detection(LABELS, PROBABILITIES, validation=validation)["thresholds"]["reason"]


def test_recall_by_region_and_difficulty():
  groups = detection(
      LABELS, PROBABILITIES, regions=regions(nose=[0, 4, 5], mouth=[5, 6, 7]),  # 0 is a real
      difficulties=np.array([0, 0, 0, 0, 3, 3, 1, 0]))["groups"]
  assert groups["regions"] == [
      {"name": "nose", "images": 2, "caught": 1, "recall": wilson(1, 2)},
      {"name": "mouth", "images": 3, "caught": 3, "recall": wilson(3, 3)}]
  assert groups["difficulty"] == [
      {"name": "easy", "images": 1, "caught": 1, "recall": wilson(1, 1)},
      {"name": "hard", "images": 2, "caught": 1, "recall": wilson(1, 2)}]
  assert groups["source"] == []


def test_recall_by_quarters_of_the_size_of_what_was_changed():
  sizes = np.r_[np.full(5, np.nan), np.linspace(0.04, 0.24, 41)]  # five reals, and fakes of which the small are missed
  labels, found = np.isfinite(sizes).astype(int), np.where(sizes > 0.1, 0.9, 0.1)
  rows = detection(labels, found, sizes=sizes)["groups"]["size"]
  assert [(row["name"], row["images"], row["caught"]) for row in rows] == [
      ("4.0 to 9.0 %", 10, 0), ("9.0 to 14.0 %", 10, 7),
      ("14.0 to 19.0 %", 10, 10), ("19.0 to 24.0 %", 11, 11)]
  assert detection(labels[:-2], found[:-2], sizes=sizes[:-2])["groups"]["size"] == []  # quarters of 39 are too few


def test_folders_are_compared_within_a_class_that_has_several():
  sources = [f"test/real/{i}.jpg" for i in range(4)] + ["fake/a/0", "fake/a/1", "fake/b/2", "fake/b/3"]
  rows = detection(LABELS, PROBABILITIES, sources=sources)["groups"]["source"]
  facts = lambda rows: [(row["name"], row["images"], row["caught"]) for row in rows]
  assert facts(rows) == [("fake/a (fake)", 2, 1), ("fake/b (fake)", 2, 2)]
  rows = detection(LABELS, PROBABILITIES, sources=["a/1", "b/2", "b/3", "b/4", *sources[4:]])["groups"]["source"]
  # Of reals the ones recognised: of b one of three is taken for a fake.
  assert ("b (real)", 3, 2) in facts(rows)


def test_curves():
  curves = detection(LABELS, PROBABILITIES)["curves"]
  area = np.trapezoid(curves["roc"]["recall"], curves["roc"]["false_alarm_rate"])
  assert area == pytest.approx(12 / 16)  # of the pairs: 0.25 loses two, 0.55 and 0.75 one each
  assert curves["roc"]["recall"][0] == 0 and curves["roc"]["recall"][-1] == 1
  points = list(zip(curves["precision_recall"]["recall"], curves["precision_recall"]["precision"], strict=True))
  assert points[0] == (0, 1) and (0.25, 1) in points and (0.75, 0.75) in points
  assert curves["histogram"]["edges"][1] == pytest.approx(0.05)
  assert np.flatnonzero(curves["histogram"]["fake"]).tolist() == [5, 11, 15, 19]
  assert sum(curves["histogram"]["real"]) == 4
  assert [row["images"] for row in curves["calibration"]] == [1] * 8
  assert curves["calibration"][0]["share_fake"] == wilson(0, 1)
  assert curves["calibration"][-1] | {"high": 1} == {
      "low": 0.9, "high": 1, "images": 1, "confidence": 0.96, "share_fake": wilson(1, 1)}


def test_long_curves_are_thinned_and_keep_their_ends():
  random = np.random.default_rng(0)
  labels = random.integers(0, 2, 5000)
  curves = detection(labels, random.random(5000))["curves"]
  assert len(curves["roc"]["recall"]) <= 200 and curves["roc"]["recall"][0] == 0 and curves["roc"]["recall"][-1] == 1


def test_verdict_says_no():
  random = np.random.default_rng(0)
  guessing = detection(random.integers(0, 2, 200), random.random(200))["verdict"]
  assert "not surely better than guessing" in guessing
  assert "guessing" not in detection(np.arange(60) % 2, np.arange(60) % 2 * 0.8 + 0.1)["verdict"]


def test_verdict_names_the_region_most_missed_and_whether_that_may_be_chance():
  labels = np.array([0] * 40 + [1] * 40)
  bits = np.zeros((80, len(REGIONS)), bool)
  bits[40:60, REGIONS.index("nose")] = bits[60:, REGIONS.index("left_eye")] = True
  missed = np.where(np.arange(80) < 40, 0.1, 0.9)
  missed[40:55] = 0.2
  verdict = detection(labels, missed, regions=bits)["verdict"]
  assert "Most often missed: nose (25% of 20 caught); best caught: left eye (100% of 20)" in verdict
  assert "larger than chance explains" in verdict
  missed[40:53] = 0.9
  assert "may be chance" in detection(labels, missed, regions=bits)["verdict"]


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone(label):
  found = detection(np.full(4, label), PROBABILITIES[:4], validation=(LABELS, PROBABILITIES))
  assert f"no {('fake', 'real')[label]} image" in found["verdict"]
  assert "roc" not in found["curves"] and len(found["curves"]["calibration"]) == 4
  row = found["thresholds"][0]
  assert (row["recall"] == [None] * 3) == (label == 0) and (row["false_alarm_rate"] == [None] * 3) == (label == 1)
  json.dumps(found, allow_nan=False)
