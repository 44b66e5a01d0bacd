import io
import sys
import types

import numpy as np
import pytest
from PIL import Image

from fakeface_jax.data.collect.cropping import LeftOut, cut_out, encode, face_square, haar_detector, in_srgb
from fakeface_jax.data.drawn.examples import render_example
from fakeface_jax.data.reading.images import decode_image
from fakeface_jax.errors import UserError
from tests.data.collect.site import face, jpeg


def test_the_largest_face_is_taken_with_a_quarter_more_around_a_point_above_its_middle():
  faces = [(10, 20, 30), (100, 50, 40), (0, 0, 8)]
  assert face_square(face(0), lambda image: faces) == (95, 43, 50)  # 45 - 0.06 * 40 down
  with pytest.raises(LeftOut, match="no face found"):
    face_square(face(0), lambda image: [])


def test_the_square_is_cut_out_and_reduced():
  pixels = np.zeros((90, 120, 3), np.uint8)
  pixels[10:70, 40:100] = np.arange(60, dtype=np.uint8)[:, None, None] // 2 * 2
  np.testing.assert_array_equal(cut_out(pixels, (40, 10, 60), 60), pixels[10:70, 40:100])
  reduced = cut_out(pixels, (40, 10, 60), 30)[3:-3, 3:-3, 0]
  np.testing.assert_allclose(reduced, np.tile(np.arange(6, 54, 2)[:, None], 24), atol=1)


@pytest.mark.parametrize("square", [(-1, 0, 50), (0, -1, 50), (71, 0, 50), (0, 41, 50)])
def test_what_reaches_over_an_edge_or_would_be_enlarged_is_left_out(square):
  image = np.zeros((90, 120, 3), np.uint8)
  with pytest.raises(LeftOut, match="face too near the edge"):
    cut_out(image, square, 40)
  with pytest.raises(LeftOut, match="50 px with its surroundings, 51 px needed"):
    cut_out(image, (0, 0, 50), 51)
  assert cut_out(image, (70, 40, 50), 50).shape == (50, 50, 3)


def test_pictures_carry_nothing_but_pixels():
  picture = Image.open(io.BytesIO(encode(face(1))))
  assert set(picture.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_without_a_profile_or_with_a_broken_one_pixels_stay():
  pixels = face(2)
  for profile in (None, b"broken" * 40, bytes(16) + b"RGB " + bytes(99)):
    assert in_srgb(pixels, jpeg(pixels, icc_profile=profile)) is pixels


def test_the_real_detector_finds_drawn_faces():
  try:
    detect = haar_detector()
  except UserError as error:
    pytest.skip(str(error))
  central = 0
  for index in range(20):
    faces = detect(decode_image(render_example(0, index, size=160)["image"], "drawn"))
    central += any(abs(left + side / 2 - 80) < 24 and side > 48 for left, _, side in faces)
  assert central >= 6  # it is made for photographs; of drawn faces it finds about half
  assert detect(np.full((160, 160, 3), 128, np.uint8)) == detect(np.zeros((1, 5000, 3), np.uint8)) == []


def test_without_a_cascade_it_is_said_how_to_get_one(monkeypatch):
  monkeypatch.setitem(sys.modules, "cv2", None)
  with pytest.raises(UserError, match=r"needs OpenCV: pip install '\.\[collect\]'"):
    haar_detector()
  monkeypatch.setitem(sys.modules, "cv2", types.SimpleNamespace(__version__="5.0.0"))
  with pytest.raises(UserError, match=r"OpenCV 5\.0\.0 has no face cascade any more, 4 has: pip install"):
    haar_detector()
