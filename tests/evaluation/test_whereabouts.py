"""Where a map lies, in words."""

import numpy as np
import pytest

from fakeface_jax.data.forging.landmarks import FRAME_POINTS
from fakeface_jax.evaluation.whereabouts import AROUND, FACE_PARTS, face_parts, whereabouts

POINTS = FRAME_POINTS * (0.26, 0.29) + (0.5, 0.47)  # a face framed as in FFHQ


def spot(x, y, spread=0.06, side=28):
  """A blob at a place in fractions of the picture."""
  line = (np.arange(side) + 0.5) / side
  return np.float32(np.exp(-0.5 * (np.square((line - x) / spread)[None] + np.square((line - y) / spread)[:, None])))


@pytest.mark.parametrize(("x", "y", "words"), [
    (0.2, 0.2, "in the upper left of the picture"), (0.8, 0.8, "in the lower right of the picture"),
    (0.5, 0.5, "in the middle of the picture"), (0.5, 0.88, "in the lower middle of the picture"),
    (0.1, 0.5, "on the left of the picture, half-way up")])
def test_a_spot_is_somewhere_in_the_picture(x, y, words):
  assert whereabouts(spot(x, y)) == words


def test_halves_and_bands_are_named_where_nothing_smaller_holds_most():
  upper, band = np.zeros((2, 2), np.float32), np.zeros((16, 16), np.float32)
  upper[0] = 1
  band[:, 6:10] = 1
  assert whereabouts(upper) == "in the upper half of the picture"
  assert whereabouts(upper.T) == "in the left half of the picture"
  assert whereabouts(band) == "down the middle of the picture, from top to bottom"
  assert whereabouts(spot(0.5, 0.5, spread=0.25)) == "around the middle of the picture"
  assert whereabouts(band.T) == "across the middle of the picture, from left to right"


@pytest.mark.parametrize("cam", [
    np.zeros((7, 7)), np.ones((7, 7)), np.ones((1, 1)), np.random.default_rng(0).random((40, 40)),
    spot(0.05, 0.05) + spot(0.95, 0.95) + spot(0.05, 0.95) + spot(0.95, 0.05) + 2 * spot(0.5, 0.5)])
def test_nothing_is_said_of_what_is_empty_or_spread_out(cam):
  assert whereabouts(cam) is None and whereabouts(cam, POINTS) is None


@pytest.mark.parametrize(("places", "words"), [
    ([(0, 1)], "on the mouth"), ([(0, 1), (0, 1.45)], "on the mouth and the chin"), ([(-0.5, 0)], "on the left eye"),
    ([(-0.5, 0), (0.5, 0)], "on the eyes"), ([(0, 0.45)], "on the nose"), ([(0, -0.65)], "on the forehead"),
    ([(0.7, 0.6)], "on the right cheek"), ([(1.7, -1)], "beside the face"),
    ([(-0.5, 0), (0.5, 0), (0, 1), (0, 0.9)], "on the eyes and the mouth"),  # not on one of two equal eyes
    ([(0, -0.65), (-0.5, 0), (0.5, 0), (0, 1)], "on the forehead, the eyes and the mouth")])
def test_a_spot_is_on_a_part_of_a_face_whose_landmarks_are_known(places, words):
  cam = sum(spot(*(np.array(place) * (0.26, 0.29) + (0.5, 0.47)), spread=0.025, side=56) for place in places)
  assert whereabouts(cam, POINTS) == words


def test_the_parts_of_a_face_turn_with_it_and_are_laid_out_as_a_face_is():
  parts = face_parts(POINTS, 100)
  name = lambda x, y: (*FACE_PARTS, "around")[parts[y, x]]
  assert [name(37, 47), name(63, 47), name(50, 60), name(50, 76), name(50, 88), name(30, 65), name(50, 26)] == [
      "the left eye", "the right eye", "the nose", "the mouth", "the chin", "the left cheek", "the forehead"]
  assert parts[2, 2] == parts[98, 98] == AROUND
  turned = face_parts(np.stack([1 - POINTS[:, 1], POINTS[:, 0]], 1), 100)  # a quarter clockwise
  assert (np.rot90(parts, -1) == turned).mean() > 0.999


def test_a_map_of_nothing_in_particular_on_a_face_may_still_be_in_a_part_of_the_picture():
  lower = np.float32([[0.2], [1]])
  assert whereabouts(lower, POINTS) == "in the lower half of the picture"
