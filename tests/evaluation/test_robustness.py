import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from fakeface_jax.detector import Detector
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.corruptions import CORRUPTIONS, corrupted
from fakeface_jax.evaluation.intervals import wilson
from fakeface_jax.evaluation.robustness import corrupted_probabilities, robustness
from tests.explain.tiny import SIZE, pictures, small

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
CLEAN = np.array([0.1, 0.2, 0.3, 0.8, 0.9, 0.7, 0.6, 0.4])  # one false alarm, one miss
# The first real becomes a false alarm as well, two of the fakes are lost.
DARK = np.array([0.6, 0.2, 0.3, 0.7, 0.9, 0.3, 0.2, 0.4])


def test_eight_images_worked_out_by_hand():
  result = robustness(LABELS, CLEAN, {"brightness": {0.5: DARK}})
  assert json.loads(json.dumps(result)) == result and result["images"] == 8
  clean, (corruption,) = result["clean"], result["corruptions"]
  assert clean["level"] is None and clean["flipped"] == wilson(0, 8)
  assert clean["recall_fake"] == wilson(3, 4) and clean["false_alarm_rate"] == wilson(1, 4)
  assert (corruption["name"], corruption["title"]) == ("brightness", "brightness")
  (level,) = corruption["levels"]
  assert level["level"] == 0.5 and level["flipped"] == wilson(3, 8)
  assert level["real_to_fake"] == 1 / 4 and level["fake_to_real"] == 2 / 4
  assert level["recall_fake"] == wilson(1, 4) and level["false_alarm_rate"] == wilson(2, 4)
  assert level["f1_macro"][0] == pytest.approx(f1_score(LABELS, DARK >= 0.5, average="macro"))
  assert level["roc_auc"][0] == pytest.approx(roc_auc_score(LABELS, DARK))
  assert level["f1_macro"][1] < level["f1_macro"][0] < level["f1_macro"][2]
  assert result["verdict"] == (
      "The verdicts do not last at 0.5 times the brightness (38% flip, macro F1 0.75 to 0.37): these are the mildest"
      " levels at which more than 10% of the verdicts flip or macro F1 falls by more than 0.05.")


def test_the_mildest_level_is_named_on_either_side_and_what_lasts_too():
  by_level = {
      "brightness": {0.5: DARK, 0.75: DARK, 1.25: CLEAN, 1.5: DARK},
      "jpeg": {95: CLEAN, 60: DARK, 30: DARK}, "blur": {0.5: CLEAN, 3: CLEAN}, "crop": {0.9: CLEAN}}
  result = robustness(LABELS, CLEAN, by_level, bootstrap=10)
  assert [one["name"] for one in result["corruptions"]] == ["jpeg", "blur", "brightness", "crop"]
  assert [level["level"] for level in result["corruptions"][0]["levels"]] == [95, 60, 30]
  verdict = result["verdict"]
  assert "last at JPEG of quality 60 (38% flip, macro F1 0.75 to 0.37), 0.75 times the brightness (" in verdict
  assert "and 1.5 times the brightness (38%" in verdict and "0.5 times" not in verdict
  assert verdict.endswith("They last at all levels of blur and crop.")
  lasting = robustness(LABELS, CLEAN, {"blur": {3: CLEAN}, "noise": {2: CLEAN}}, bootstrap=10)["verdict"]
  assert lasting.startswith("The verdicts last: at no level that was tried, of blur and noise, more than 10%")
  assert robustness(LABELS, CLEAN, {}, bootstrap=10)["verdict"] == "No corruption was tried."


def test_a_fall_of_f1_counts_as_well_as_flips():
  labels, clean = np.tile(LABELS, 10), np.where(np.tile(LABELS, 10) == 1, 0.9, 0.1)
  of = lambda flips: robustness(labels, clean, {"noise": {5: np.where(np.arange(80) < flips, 1 - clean, clean)}},
                                bootstrap=10)["verdict"]
  assert of(3).startswith("The verdicts last")
  assert "noise of 5 grey values (6% flip, macro F1 1.00 to 0.94)" in of(5)


@pytest.mark.parametrize("label", [0, 1])
def test_with_one_class_what_needs_the_other_is_none_and_the_rest_goes_on(label):
  one = label == LABELS
  result = robustness(LABELS[one], CLEAN[one], {"brightness": {0.5: DARK[one]}}, bootstrap=10)
  (level,) = result["corruptions"][0]["levels"]
  assert level["f1_macro"] is level["roc_auc"] is None
  assert level["flipped"] == wilson(1 + label, 4)
  absent, present = ("recall_fake", "false_alarm_rate")[:: 1 if label == 0 else -1]
  assert level[absent] is None and level[present] == wilson(2 - label, 4)
  assert (level["fake_to_real"] is None) is (label == 0) and (level["real_to_fake"] is None) is (label == 1)
  assert f"({25 + 25 * label}% flip)" in result["verdict"]


def test_no_image_is_an_error_for_people():
  with pytest.raises(UserError, match="no images"):
    robustness([], [], {})


@pytest.fixture(scope="module")
def detector():
  model, variables = small()
  return Detector(model, variables, resize=SIZE + 4, crop=SIZE, batch_size=4)


class Lazy:
  """Pictures that are only there while they are looked at."""

  def __init__(self, images):
    self._images = images

  def __len__(self):
    return len(self._images)

  def __getitem__(self, i):
    return self._images[i].copy()


@pytest.mark.parametrize("name, level", [("noise", 10), ("crop", 0.7), ("blur", 3)])
def test_probabilities_are_those_of_each_corrupted_photograph(detector, name, level):
  images = [*pictures(5, 40), pictures(1, 23)[0], pictures(1, 60, seed=1)[0][:, :31]]
  expected = [
      detector.predict([corrupted(image, name, level, resize=detector.resize, key=(7, i))])[0]
      for i, image in enumerate(images)]
  got = corrupted_probabilities(detector, Lazy(images), name, level, seed=7)
  assert got.dtype == np.float64 and got.shape == (7,)
  np.testing.assert_allclose(got, expected, rtol=1e-6)
  assert np.abs(got - detector.predict(images)).max() > 1e-4


def test_no_image_has_no_probability(detector):
  assert corrupted_probabilities(detector, [], "jpeg", CORRUPTIONS["jpeg"].levels[0]).shape == (0,)
