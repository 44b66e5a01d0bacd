"""Where the parts of a face are: 68 points, measured by dlib where it is installed, guessed from a template elsewhere.

The points are numbered as in the 300-W challenge (Sagonas et al., 2013): 0 to 16 along the jaw, 17 to 26 the brows, 27
to 35 the nose, 36 to 47 the eyes, 48 to 67 the lips, each from the image's left. `pip install '.[landmarks]'` brings
dlib and its model, which was trained on that challenge's photographs: they are for research only.
"""

import functools
import importlib.util
import threading
from pathlib import Path

import numpy as np
from PIL import Image

LANDMARKS, TEMPLATE, BLOB = "landmarks", "template", "blob"  # how a region was found
DETECTOR_SIDES = (128, 256)  # px of the longer side; faces from 80 px on are found
FIT = 0.45  # correlation of a face with the template's pattern; textures stay below
SMALL = 32  # px, side of the picture that the template is laid on

# A face in its own frame: the eyes' midpoint is (0, 0), the eyes are 1 apart, and the mouth's middle is at (0, 1).
_MIDDLE = {8: 1.67, 27: -0.02, 28: 0.16, 29: 0.34, 30: 0.53, 33: 0.72, 51: 0.9, 57: 1.19, 62: 0.97, 66: 1.05}
_LEFT_AND_RIGHT = {  # (left, right): x and y of the right one
    (0, 16): (1.13, 0.0), (1, 15): (1.12, 0.29), (2, 14): (1.09, 0.57), (3, 13): (1.03, 0.85), (4, 12): (0.92, 1.11),
    (5, 11): (0.74, 1.33), (6, 10): (0.52, 1.5), (7, 9): (0.28, 1.64), (17, 26): (0.93, -0.19), (18, 25): (0.78, -0.31),
    (19, 24): (0.58, -0.33), (20, 23): (0.37, -0.3), (21, 22): (0.18, -0.22), (31, 35): (0.24, 0.64),
    (32, 34): (0.12, 0.68), (36, 45): (0.7, 0.0), (37, 44): (0.57, -0.06), (38, 43): (0.43, -0.06),
    (39, 42): (0.29, 0.03), (40, 47): (0.43, 0.05), (41, 46): (0.58, 0.04), (48, 54): (0.47, 0.95),
    (49, 53): (0.29, 0.9), (50, 52): (0.12, 0.87), (59, 55): (0.3, 1.1), (58, 56): (0.13, 1.17), (60, 64): (0.4, 0.96),
    (61, 63): (0.12, 0.96), (67, 65): (0.13, 1.03)}


def _frame_points():
  points = np.zeros((68, 2), np.float32)
  for index, y in _MIDDLE.items():
    points[index] = 0, y
  for (left, right), (x, y) in _LEFT_AND_RIGHT.items():
    points[left], points[right] = (-x, y), (x, y)
  return points


FRAME_POINTS = _frame_points()


def find_points(image):
  """The 68 points of the largest face, and how they were found.

  Args: `image`: uint8[H, W, 3].
  Returns: (float32[68, 2], x and y in pixels, pixel centres at +0.5, or None; LANDMARKS, TEMPLATE or BLOB). BLOB and
    None where dlib finds no face and nothing that looks like one, large and upright, fills the picture.
  """
  points = _measured(image) if has_dlib() else None
  if points is not None:
    return points, LANDMARKS
  points = _fitted(image)
  return points, BLOB if points is None else TEMPLATE


@functools.cache
def has_dlib():
  return _model_file() is not None and importlib.util.find_spec("dlib") is not None


def _model_file():
  """dlib's model, in the package that ships it; that package's own import needs a setuptools that is no more."""
  spec = importlib.util.find_spec("face_recognition_models")
  file = spec and Path(spec.origin).parent / "models" / "shape_predictor_68_face_landmarks.dat"
  return file if file and file.exists() else None


@functools.cache
def _predictor():
  import dlib

  return dlib.shape_predictor(str(_model_file()))


_of_thread = threading.local()  # a detector has memory of its own that threads must not share


def _measured(image):
  import dlib

  if not hasattr(_of_thread, "detector"):
    _of_thread.detector = dlib.get_frontal_face_detector()
  height, width = image.shape[:2]
  for side in DETECTOR_SIDES:
    scale = side / max(height, width)
    small = Image.fromarray(image).resize((max(1, round(width * scale)), max(1, round(height * scale))))
    faces = _of_thread.detector(np.asarray(small), 0)
    if faces:
      face = max(faces, key=lambda face: face.area())
      edges = [round(edge / scale) for edge in (face.left(), face.top(), face.right(), face.bottom())]
      parts = _predictor()(np.ascontiguousarray(image), dlib.rectangle(*edges)).parts()
      return np.float32([(part.x + 0.5, part.y + 0.5) for part in parts])
  return None


@functools.cache
def _placements():
  """The ways a large face may lie in a square picture, and the pattern of each: dark brows, eyes, nostrils and mouth.

  Returns: float32[K, 4]: x and y of the eyes' midpoint, distance of the eyes, from there to the mouth, all in pictures;
    patterns float32[K, SMALL**2] of mean 0 and length 1; windows float32[K, SMALL**2], 1 where the pattern looks.
  """
  places = np.stack(np.meshgrid(
      (0.46, 0.5, 0.54), (0.36, 0.39, 0.42, 0.45, 0.48), (0.24, 0.28, 0.32, 0.36, 0.4, 0.44, 0.48),
      (0.26, 0.29, 0.32, 0.35, 0.38), indexing="ij"), -1).reshape(-1, 4).astype(np.float32)
  places = places[np.abs(np.log(places[:, 3] / places[:, 2])) < 0.4]  # photographs are stretched a little, not more
  line = (np.arange(SMALL, dtype=np.float32) + 0.5) / SMALL
  x = ((line[None, None, :] - places[:, 0, None, None]) / places[:, 2, None, None]).repeat(SMALL, 1)
  y = ((line[None, :, None] - places[:, 1, None, None]) / places[:, 3, None, None]).repeat(SMALL, 2)
  bell = lambda cx, cy, sx, sy: np.exp(-np.square((np.abs(x) - cx) / sx) - np.square((y - cy) / sy))
  dark = bell(0.5, 0, 0.2, 0.1) + 0.6 * bell(0.55, -0.28, 0.3, 0.1) + bell(0, 1.0, 0.4, 0.12) + 0.4 * bell(
      0.13, 0.68, 0.1, 0.06)
  window = ((np.abs(x) < 0.9) & (y > -0.5) & (y < 1.35)).astype(np.float32)
  flat = lambda planes: planes.reshape(len(places), -1)
  dark, window = -flat(dark), flat(window)
  dark = window * (dark - (window * dark).sum(1, keepdims=True) / window.sum(1, keepdims=True))
  return places, dark / np.linalg.norm(dark, axis=1, keepdims=True), window


def _fitted(image):
  """The template's points, laid where its dark parts fit the picture best; None where they fit nowhere."""
  height, width = image.shape[:2]
  if not 0.8 < width / height < 1.25:
    return None
  places, patterns, windows = _placements()
  grey = np.asarray(Image.fromarray(image).convert("L").resize((SMALL, SMALL), Image.Resampling.BOX), np.float32)
  grey = grey.ravel()
  inside = windows.sum(1)
  spread = windows @ (grey * grey) - np.square(windows @ grey) / inside
  fit = (patterns @ grey) / np.sqrt(np.maximum(spread, inside))  # a plain wall fits nothing
  if fit.max() < FIT:
    return None
  x, y, across, down = places[fit.argmax()]
  return np.float32((FRAME_POINTS * (across, down) + (x, y)) * (width, height))
