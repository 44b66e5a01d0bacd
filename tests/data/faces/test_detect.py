"""On a photograph of Eileen Collins, which NASA gave to everyone and scikit-image ships."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from skimage import data

from fakeface_jax.data.faces.detect import Box, find_faces

ASTRONAUT = data.astronaut()  # 512 x 512; the face is about 80 px wide
FACE = ASTRONAUT[30:190, 145:305]
PARTS = np.array([(203, 101), (246, 102), (224, 127), (203, 140), (245, 141)])  # seen in a print: pupils, nose, lips


def scene(height=600, width=800):
  return np.array(Image.fromarray(data.coffee()).resize((width, height)))


def test_boxes_overlap_as_their_areas_do():
  box = Box(0, 0, 10, 20, 1.0)
  assert box.iou(box) == pytest.approx(1) and box.iou(Box(10, 0, 20, 20, 1.0)) == 0
  assert box.iou(Box(0, 10, 10, 30, 1.0)) == pytest.approx(1 / 3)
  assert box.side == pytest.approx(200**0.5) and box.centre == (5, 10)


def test_a_face_is_found_with_its_eyes_nose_and_mouth():
  (box,) = find_faces(ASTRONAUT)
  assert box.score > 0.99
  np.testing.assert_allclose(box.points, PARTS, atol=4)
  assert box.left < 190 and box.right > 260 and box.top < 90 and 165 < box.bottom < 185


def test_in_another_place_size_and_grey_it_is_the_same_face():
  (alone,) = find_faces(FACE)
  for left, top, size, grey in ((0, 0, 160, False), (640, 440, 160, True), (301, 97, 320, False), (33, 470, 60, False)):
    picture = Image.fromarray(FACE).convert("L" if grey else "RGB").convert("RGB").resize((size, size))
    photograph = scene()
    photograph[top : top + size, left : left + size] = picture
    (box,) = find_faces(photograph)
    scale = size / 160
    moved = Box(*(edge * scale + by for edge, by in zip(
        (alone.left, alone.top, alone.right, alone.bottom), (left, top, left, top), strict=True)), 1.0)
    assert box.iou(moved) > 0.85


def test_what_shows_no_face_gives_none():
  for photograph in (scene(), np.full((300, 200, 3), 128, np.uint8), np.zeros((1, 5000, 3), np.uint8),
                     np.zeros((80, 80, 3), np.uint8), np.zeros((11, 11, 3), np.uint8)):
    assert find_faces(photograph) == []


def test_forty_faces_are_forty_the_largest_first():
  photograph = scene(960, 1240)
  for number in range(40):
    size = 70 + number
    y, x = 8 + number // 8 * 180, 8 + number % 8 * 150
    photograph[y : y + size, x : x + size] = Image.fromarray(FACE).resize((size, size), Image.Resampling.LANCZOS)
  boxes = find_faces(photograph)
  assert len(boxes) == 40 and boxes == sorted(boxes, key=lambda box: -box.side)


def test_a_large_photograph_is_searched_reduced_and_measured_at_its_own_size():
  size = 1600
  photograph = scene(2600, 4000)
  photograph[500 : 500 + size, 2000 : 2000 + size] = Image.fromarray(FACE).resize((size, size))
  (box,) = find_faces(photograph)
  np.testing.assert_allclose((np.array(box.points) - (2000, 500)) / 10, PARTS - (145, 30), atol=4)


def test_threads_find_the_same():
  alone = find_faces(ASTRONAUT)
  with ThreadPoolExecutor(4) as pool:
    assert list(pool.map(find_faces, [ASTRONAUT] * 8)) == [alone] * 8
