import io

import numpy as np
import pytest
from PIL import Image

from fakeface_jax.data.collect.cropping import LeftOut, cut_out, encode, face_square, in_srgb
from fakeface_jax.data.faces.detect import Box
from tests.data.collect.site import face, jpeg


def test_the_largest_face_is_taken_with_a_quarter_more_around_a_point_above_its_middle():
  faces = [Box(10, 20, 40, 50, 1.0), Box(102, 45, 134, 95, 1.0), Box(0, 0, 8, 8, 1.0)]  # 32 x 50: as 40 x 40
  assert face_square(face(0), lambda image: faces) == (93, 43, 50)  # 118 and 70 - 0.06 * 40 is its middle
  for nothing in ([], faces[2:]):  # what is smaller than a fifth of the picture is somebody in its background
    with pytest.raises(LeftOut, match="no face found"):
      face_square(face(0), lambda image, found=nothing: found)


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
