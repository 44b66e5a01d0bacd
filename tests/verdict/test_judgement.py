"""What is said of a picture, word for word."""

import numpy as np
import pytest

from fakeface_jax.errors import UserError
from fakeface_jax.verdict.conformal import Calibration
from fakeface_jax.verdict.judgement import judge
from fakeface_jax.verdict.likeness import Reference
from tests.verdict.test_conformal import ten_of_each
from tests.verdict.test_likeness import training_images


def reference(training=None):
  return Reference(ten_of_each(), "validation images", training)


def said(probability, confidence=0.8, **given):
  (judgement,) = judge([probability], None, reference(), confidence, **given)
  return judgement.verdict, judgement.why.split(";")[0].removesuffix(".")


def test_one_class_remains_and_the_sentence_counts_what_speaks_against_it():
  assert said(0.9) == (
      "fake", "At 80 % confidence only 'fake' remains: of 10 real validation images that the detector was checked on,"
      " none looked as fake to it as this picture")
  assert said(0.52)[0] == "cannot tell"  # more fake than 80 % of the reals, more real than 80 % of the fakes
  assert said(0.46)[1] == (
      "At 80 % confidence neither 'real' nor 'fake' remains: to the detector this picture looks more fake than 80 % of"
      " the real validation images and more real than 80 % of the fake ones")
  assert said(0.2) == (
      "real", "At 80 % confidence only 'real' remains: of 10 fake validation images that the detector was checked on,"
      " 1 looked as real to it as this picture")
  assert said(0.3, 0.9) == (
      "cannot tell", "At 90 % confidence both 'real' and 'fake' remain: the detector has seen real as well as fake"
      " validation images that look like this to it")


def test_too_few_images_for_the_confidence_say_so():
  assert said(0.9999, 0.99) == (
      "cannot tell", "The detector was checked on only 10 real and 10 fake validation images, too few to be 99 % sure"
      " of anything (it takes 99 of each)")
  some = Reference(Calibration(np.array([0] * 30 + [1] * 8), np.zeros(38)), "validation images", None)
  assert judge([0.5], None, some, 0.9)[0].why.startswith("The detector was checked on only 8 fake validation images,")


def test_a_picture_beyond_the_limit_gets_no_verdict_and_one_within_keeps_its_own():
  known = reference(training_images(np.eye(5), np.arange(101) / 100 + 1))  # the limit is 1.99
  near, far = judge([0.9, 0.9], np.float32([[1, 0, 0, 0, 0], [5, 0, 0, 0, 0]]), known, 0.8)
  assert (near.verdict, near.limit) == ("fake", pytest.approx(1.99))
  assert near.distance == pytest.approx(3 * np.sqrt(2) / 4) and far.distance == pytest.approx((4 + 3 * 26**0.5) / 4)
  assert far.verdict == "cannot tell" and far.probability == 0.9
  assert far.why == (
      "This picture is unlike what the detector was trained on, so what it says of it is worth nothing.")
  first = near.neighbours[0]
  assert (first.name, first.label, first.distance) == ("train/0.jpg", "real", 0)
  assert {neighbour.label for neighbour in near.neighbours} == {"real", "fake"} and len(near.neighbours) == 4
  assert first.thumbnail.shape == (64, 64, 3) and first.thumbnail.max() < 8


def test_features_that_are_no_numbers_are_unlike_anything():
  known = reference(training_images(np.eye(5), np.ones(9)))
  (judgement,) = judge([0.9], np.full((1, 5), np.nan, np.float32), known, 0.8)
  assert judgement.verdict == "cannot tell" and judgement.why.startswith("This picture is unlike")


def test_without_training_images_that_is_said_and_without_any_nothing_is_claimed():
  (judgement,) = judge([0.9], None, reference(), 0.8)
  assert judgement.verdict == "fake" and (judgement.distance, judgement.limit, judgement.neighbours) == (None, None, [])
  assert judgement.why.endswith(
      "; whether it knows such pictures is not known, as its training images are gone.")
  (judgement,) = judge([0.9999], None, None, 0.8)
  assert judgement.verdict == "cannot tell"
  assert judgement.why == (
      "Nothing says how sure this detector may be: no images are kept with it that it was checked on.")
  with pytest.raises(UserError, match="confidence=90: expected"):
    judge([0.9], None, None, 90)
