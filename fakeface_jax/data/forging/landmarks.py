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
SMALL = 32  # px, side of the picture that is compared with the template
LEAST_FIT = 0.03  # correlation with the template; next to none speaks against an upright face

# Where aligned faces have their eyes' midpoint (x, y), and how far the eyes are apart, and the mouth below them; in
# pictures. The first as FFHQ has it, the other a crop from the brows to the chin.
FRAMINGS = ((0.5, 0.47, 0.26, 0.29), (0.5, 0.41, 0.435, 0.36))

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


FRAME_POINTS = np.array([place for _, place in sorted([
    *((index, (0, y)) for index, y in _MIDDLE.items()),
    *((index, (side * x, y)) for pair, (x, y) in _LEFT_AND_RIGHT.items()
      for index, side in zip(pair, (-1, 1), strict=True))])], np.float32)


def find_points(image, framing):
  """The 68 points of the largest face, and how they were found.

  Args: image: uint8[H, W, 3]. framing: of FRAMINGS, for faces that dlib does not find.
  Returns: (float32[68, 2], x and y in pixels, pixel centres at +0.5; LANDMARKS or TEMPLATE), or (None, BLOB) where
    there is nothing to go by.
  """
  points = _measured(image) if has_dlib() else None
  if points is not None:
    return points, LANDMARKS
  points = _placed(image, framing)
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
def _pattern(framing):
  """What is dark in a face so framed (brows, eyes, nostrils, mouth), and where the comparison looks.

  Returns: (float32[SMALL**2] of mean 0 and length 1, bool[SMALL**2]).
  """
  cx, cy, across, down = framing
  line = (np.arange(SMALL) + 0.5) / SMALL
  x, y = np.abs((line[None, :] - cx) / across), (line[:, None] - cy) / down
  bell = lambda at_x, at_y, width, height: np.exp(-np.square((x - at_x) / width) - np.square((y - at_y) / height))
  dark = (bell(0.5, 0, 0.22, 0.1) + 0.6 * bell(0.55, -0.28, 0.3, 0.1) + 0.7 * bell(0, 1, 0.4, 0.12)
          + 0.6 * bell(0.13, 0.68, 0.1, 0.06))
  window = ((x < 0.9) & (y > -0.5) & (y < 1.35)).ravel()
  pattern = np.where(window, dark.ravel()[window].mean() - dark.ravel(), 0)
  return np.float32(pattern / np.linalg.norm(pattern)), window


def _fit(image, framing):
  """Correlation, -1..1, of a picture's lightness with a face so framed."""
  pattern, window = _pattern(framing)
  grey = Image.fromarray(image).convert("L").resize((SMALL, SMALL), Image.Resampling.BOX)
  grey = np.asarray(grey, np.float32).ravel()
  return float(pattern @ grey) / max(float(grey[window].std()) * np.sqrt(window.sum()), 1.0)


def choose_framing(images):
  """Which of FRAMINGS a data set's photographs have: the one that fits them better on the whole, one alone errs."""
  images = list(images)
  return max(FRAMINGS, key=lambda framing: sum(_fit(image, framing) for image in images))


def _placed(image, framing):
  """The template's points in a picture so framed; None where it shows no upright face, or is no square."""
  height, width = image.shape[:2]
  if not 0.8 < width / height < 1.25 or _fit(image, framing) < LEAST_FIT:
    return None
  cx, cy, across, down = framing
  return np.float32((FRAME_POINTS * (across, down) + (cx, cy)) * (width, height))
