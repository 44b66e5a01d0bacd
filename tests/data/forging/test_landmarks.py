import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from fakeface_jax.data.forging import landmarks
from fakeface_jax.data.forging.landmarks import (
  BLOB,
  FRAME_POINTS,
  FRAMINGS,
  LANDMARKS,
  TEMPLATE,
  choose_framing,
  find_points,
)
from fakeface_jax.data.reading.images import read_image

PHOTOS = Path(__file__).parents[4] / "shared" / "faces"


@pytest.fixture
def no_dlib(monkeypatch):
  monkeypatch.setattr(landmarks, "has_dlib", lambda: False)


def drawing(framing, seed=0, size=96):
  """A face of dark spots so framed, on noise."""
  cx, cy, across, down = framing
  image = np.full((size, size), 190.0)
  for x, y, radius in ((-0.5, 0, 0.12), (0.5, 0, 0.12), (-0.25, 1, 0.12), (0, 1, 0.12), (0.25, 1, 0.12)):
    column, row = (cx + x * across) * size, (cy + y * down) * size
    rows, columns = np.ogrid[:size, :size]
    image[np.hypot(rows - row, columns - column) < radius * across * size * 1.6] = 60
  image = ndimage.gaussian_filter(image, 2) + np.random.default_rng(seed).normal(0, 12, image.shape)
  return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, 2)


def test_the_template_is_a_symmetrical_face_in_its_own_frame():
  left, right = FRAME_POINTS[36:42].mean(0), FRAME_POINTS[42:48].mean(0)
  np.testing.assert_allclose(left, (-0.5, 0), atol=0.01)
  np.testing.assert_allclose(right, (0.5, 0), atol=0.01)
  np.testing.assert_allclose(FRAME_POINTS[48:68].mean(0), (0, 1), atol=0.01)
  assert {tuple(point) for point in FRAME_POINTS.tolist()} == {(-x, y) for x, y in FRAME_POINTS.tolist()}
  assert (FRAME_POINTS[17:27, 1] < 0).all() and FRAME_POINTS[8, 1] == FRAME_POINTS[:, 1].max()


@pytest.mark.parametrize("framing", FRAMINGS)
def test_photographs_tell_their_framing_and_the_template_lies_on_them(framing, no_dlib):
  faces = [drawing(framing, seed) for seed in range(4)]
  odd = drawing(FRAMINGS[1 - FRAMINGS.index(framing)], 9)
  assert choose_framing(iter([*faces, odd])) == framing
  points, how = find_points(faces[0], framing)
  cx, cy, across, down = framing
  assert how == TEMPLATE
  np.testing.assert_allclose(points[36:42].mean(0) / 96, (cx - across / 2, cy), atol=0.01)
  np.testing.assert_allclose(points[48:68].mean(0) / 96, (cx, cy + down), atol=0.01)
  wide, _ = find_points(np.repeat(faces[0], 2, 0)[:, :: 1].repeat(2, 1), framing)
  np.testing.assert_allclose(wide, 2 * points, rtol=1e-5)


def test_what_shows_no_upright_face_is_left_to_chance(no_dlib):
  face = drawing(FRAMINGS[0])
  assert find_points(255 - face, FRAMINGS[0]) == (None, BLOB)  # what should be dark is light
  for grey in (7, 80, 255):
    assert find_points(np.full_like(face, grey), FRAMINGS[0]) == (None, BLOB)
  assert find_points(np.concatenate([face, face]), FRAMINGS[0]) == (None, BLOB)  # no square


def test_without_dlib_or_its_model_there_are_no_landmarks(monkeypatch):
  landmarks.has_dlib.cache_clear()
  monkeypatch.setattr(landmarks, "_model_file", lambda: None)
  assert not landmarks.has_dlib()
  landmarks.has_dlib.cache_clear()
  monkeypatch.setattr(landmarks, "_model_file", lambda: Path("model.dat"))
  monkeypatch.setitem(sys.modules, "dlib", None)
  monkeypatch.setattr(landmarks.importlib.util, "find_spec", lambda name: None)
  assert not landmarks.has_dlib()
  landmarks.has_dlib.cache_clear()


def test_dlib_and_the_template_agree_on_aligned_photographs():
  if not landmarks.has_dlib() or not PHOTOS.is_dir():
    pytest.skip("needs pip install '.[landmarks]', and photographs in ../shared/faces")
  offsets = []
  for path in sorted((PHOTOS / "gan" / "val" / "real").glob("*.jpg"))[:20]:
    image = read_image(path)
    points, how = find_points(image, FRAMINGS[0])
    assert how == LANDMARKS and points.shape == (68, 2) and points.dtype == np.float32
    template = landmarks._placed(image, FRAMINGS[0])
    if template is not None:  # few fit it too badly
      offsets.append((points - template)[17:] / 256)
  assert len(offsets) >= 15
  assert np.median(np.hypot(*np.moveaxis(offsets, -1, 0))) < 0.03
