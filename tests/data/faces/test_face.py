import numpy as np
import pytest

from fakeface_jax.data.faces.detect import Box
from fakeface_jax.data.faces.face import check_which, faces_of
from fakeface_jax.data.faces.framing import Framing
from fakeface_jax.data.reading.square import resize_and_crop
from fakeface_jax.errors import UserError

SIZE = 100  # px of the training images; their faces fill the middle half
FRAMING = Framing(0.25, 0.25, 0.75, 0.75, SIZE, 1.0, (0.02, 0.02, 0.05), ((0, 0), (0, 0), (0.69, 0.69)))


def photograph(height, width):
  return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def box(x, y, side):
  """A face about a point."""
  return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2, 1.0)


def judged(image, *boxes, faces="auto", resize=SIZE):
  boxes = sorted(boxes, key=lambda box: -box.side)
  return faces_of(image, FRAMING, lambda given: boxes, faces, resize)


def test_every_face_is_cut_from_the_photographs_pixels_with_its_window():
  image = photograph(400, 600)
  small, large = box(100, 100, 50), box(400, 200, 90)
  first, second = judged(image, small, large)
  assert (first.box, first.window, first.note) == (large, (310, 110, 180), "")
  assert (second.box, second.window, second.note) == (small, (50, 50, 100), "")
  np.testing.assert_array_equal(first.pixels, image[110:290, 310:490])
  (only,) = judged(image, small, large, faces="largest")
  assert only.box == large
  assert judged(image) == judged(image, faces="all") == judged(image, faces="largest") == []


def test_a_side_near_that_of_the_training_images_is_made_the_same():
  image = photograph(400, 600)
  assert [judged(image, box(300, 200, side))[0].window[2] for side in (44, 46, 55, 56)] == [88, 100, 100, 112]


def test_a_picture_that_sits_as_the_training_images_do_is_taken_whole():
  image = photograph(300, 360)
  whole, = judged(image, box(182, 148, 152))  # its window would be 30 to 334 of 360, and -4 to 300 of 300
  assert whole.window is None and whole.pixels is image and whole.note == ""
  behind = box(20, 20, 30)
  (whole,) = judged(image, box(182, 148, 152), behind)  # somebody in the background
  assert whole.window is None
  assert [face.window is None for face in judged(image, box(182, 148, 152), behind, faces="all")] == [False, False]
  (face,) = judged(image, box(182, 148, 110))  # smaller than they are
  assert face.window == (72, 38, 220)
  (face,) = judged(image, box(230, 148, 150))  # more to the right
  assert face.window == (60, 0, 300)


def test_a_window_over_the_edge_is_moved_in_and_the_note_says_where_it_shows():
  image = photograph(400, 600)
  (near,) = judged(image, box(48, 200, 50))
  assert (near.window, near.note) == ((0, 150, 100), "")  # 2 px aside: within what the training images differ
  (nearer,) = judged(image, box(30, 200, 50))
  assert nearer.window == (0, 150, 100) and "so near the border that it does not sit" in nearer.note
  (cut,) = judged(image, box(595, 395, 50))
  assert cut.window == (500, 300, 100) and cut.note == "the face is cut by the border"
  np.testing.assert_array_equal(cut.pixels, image[300:, 500:])
  (huge,) = judged(image, box(300, 200, 300))  # no picture of 600 px can be had around it
  assert huge.window == (100, 0, 400) and "so near the border" in huge.note


def test_a_face_much_smaller_than_the_training_faces_is_said_to_be():
  image = photograph(400, 600)
  (small,) = judged(image, box(300, 200, 12))
  assert small.window == (288, 188, 24) and small.pixels.shape == (24, 24, 3)
  assert small.note == "too small: 24 px are enlarged 4.2 times, the training faces' pictures have 100 px"
  assert judged(image, box(300, 200, 30))[0].note == ""
  assert judged(image, box(300, 200, 12), resize=40)[0].note == ""  # the network sees no more than 40 px anyway
  (whole,) = judged(photograph(30, 30), box(15, 15, 15))
  assert whole.window is None and "too small: 30 px are enlarged 3.3 times" in whole.note


def test_another_word_is_refused_with_those_there_are():
  with pytest.raises(UserError, match=r"^faces='larges' is not known; use one of auto, all, largest, none; did you"):
    check_which("larges")


def test_where_pixels_are_taken_as_they_are_a_window_is_brought_to_the_size_of_the_training_images():
  image = photograph(400, 600)
  large, same, whole = (judged(image, box(300, 200, side), resize=None)[0] for side in (90, 52, 150))
  assert large.window == (210, 110, 180) and large.pixels.shape == (SIZE, SIZE, 3)
  np.testing.assert_array_equal(large.pixels, resize_and_crop(image[110:290, 210:390], SIZE, SIZE))
  assert same.window[2] == SIZE and same.pixels.shape == (SIZE, SIZE, 3)
  left, top = same.window[:2]
  np.testing.assert_array_equal(same.pixels, image[top : top + SIZE, left : left + SIZE])  # nothing is resampled
  assert whole.window == (150, 50, 300)
  small = judged(image, box(300, 200, 12), resize=None)[0]
  assert "too small: 24 px are enlarged 4.2 times" in small.note
