"""Which classes remain possible, by hand and in simulations."""

import math

import numpy as np
import pytest

from fakeface_jax.errors import UserError
from fakeface_jax.verdict.conformal import Calibration, coverage, images_needed, in_words, limit

TEN = [0.31, 0.02, 0.55, 0.07, 0.20, 0.11, 0.90, 0.04, 0.42, 0.15]


@pytest.mark.parametrize(("confidence", "expected"), [
    (0.9, 0.90),  # ceil(11 * 0.9) = 10: the largest
    (0.8, 0.55),  # ceil(8.8) = 9
    (0.5, 0.20),  # ceil(5.5) = 6
    (0.05, 0.02),  # ceil(0.55) = 1: the smallest
    (0.95, math.inf)])  # ceil(10.45) = 11 of ten
def test_the_limit_is_the_papers_quantile_of_ten_numbers(confidence, expected):
  assert limit(np.array(TEN), confidence) == expected


def test_rounding_does_not_move_the_limit():
  nine = np.arange(9) / 10
  assert limit(nine, 0.9) == 0.8  # ceil(10 * 0.9) is 9, not 10
  assert limit(np.arange(99) / 100, 0.07) == 0.06  # 100 * 0.07 is 7.000000000000001 in floats
  assert [images_needed(confidence) for confidence in (0.5, 0.8, 0.9, 0.95, 0.99)] == [1, 4, 9, 19, 99]
  for confidence in (0.5, 0.8, 0.9, 0.95, 0.99):
    needed = images_needed(confidence)
    assert math.isfinite(limit(np.zeros(needed), confidence)) and math.isinf(limit(np.zeros(needed - 1), confidence))


def ten_of_each():
  """Reals that look fake by 0.05, 0.10, ... 0.50, and fakes by 0.95, 0.90, ... 0.50 of which one was missed, 0.20."""
  reals = np.arange(1, 11) / 20
  fakes = np.array([0.95, 0.90, 0.85, 0.80, 0.75, 0.70, 0.65, 0.60, 0.55, 0.20])
  return Calibration(np.repeat([0, 1], 10), np.concatenate([reals, fakes]))


def test_each_class_has_a_limit_of_its_own():
  calibration = ten_of_each()
  np.testing.assert_allclose(calibration.limits(0.8), [0.45, 0.45])  # the 9th of each: 0.45 and 1 - 0.55
  np.testing.assert_allclose(calibration.limits(0.9), [0.50, 0.80])  # the 10th: 0.50 and 1 - 0.20
  remaining = calibration.remaining([0.1, 0.45, 0.5, 0.56, 0.9], 0.8)
  np.testing.assert_array_equal(remaining, [[1, 0], [1, 0], [0, 0], [0, 1], [0, 1]])
  np.testing.assert_array_equal(calibration.remaining([0.1, 0.3, 0.6], 0.9), [[1, 0], [1, 1], [0, 1]])
  assert calibration.remaining([0.0, 1.0], 0.95).all()  # ten are too few to rule anything out
  assert calibration.short_of(0.9) == [] and calibration.short_of(0.95) == ["real", "fake"]


def test_coverage_counts_what_remains_and_what_cannot_be_told():
  found = coverage(ten_of_each(), [0, 0, 1, 1, 1], [0.1, 0.9, 0.5, 0.6, 0.2], 0.8)
  value = {name: interval[0] for name, interval in found.items() if isinstance(interval, list)}
  # {real} right, {fake} wrong, {} of a fake, {fake} right, {real} wrong
  assert value == pytest.approx(
      {"coverage": 2 / 5, "coverage_real": 1 / 2, "coverage_fake": 1 / 3, "cannot_tell": 1 / 5, "right": 2 / 4})
  assert (found["confidence"], found["n"], found["validation"]) == (0.8, 5, {"real": 10, "fake": 10})
  assert in_words(found) == (
      "at 80 % confidence the truth remains for 40.0 % of the images (real 50.0 %, fake 33.3 %); 'cannot tell' for"
      " 20.0 %")
  assert coverage(ten_of_each(), [0], [0.1])["coverage_fake"] == [None, None, None]
  assert "real 100.0 %, fake -" in in_words(coverage(ten_of_each(), [0], [0.1]))


def test_the_truth_remains_as_often_as_asked_for_of_each_class_whatever_their_shares():
  """A mediocre detector, checked on 500 images of which a fifth are fake, then met with four fifths of fakes."""
  random, kept, told = np.random.default_rng(0), [], []

  def met(count, share_fake):
    labels = (random.random(count) < share_fake).astype(int)
    margin = random.normal(1.5 * (2 * labels - 1), 1.5)
    return labels, 1 / (1 + np.exp(-margin))

  for _ in range(60):
    found = coverage(Calibration(*met(500, 0.2)), *met(2000, 0.8), 0.9)
    kept.append([found[name][0] for name in ("coverage", "coverage_real", "coverage_fake")])
    told.append(1 - found["cannot_tell"][0])
  np.testing.assert_allclose(np.mean(kept, 0), 0.9, atol=0.012)
  # 84 % are right at one half: so some stay open, and of the 90 % that are told at most 10 % are wrong
  assert 0.6 < np.mean(told) < 0.95


@pytest.mark.parametrize(("confidence", "advice"), [
    (0, "such as 0.9"), (1.0, "percent are not"), (90, "percent are not"), (-0.1, "0.9"), (float("nan"), "0.9"),
    ("0.9", "0.9")])
def test_another_confidence_is_refused(confidence, advice):
  with pytest.raises(UserError, match=rf"confidence={confidence!r}: expected a number between 0 and 1.*{advice}"):
    ten_of_each().limits(confidence)
