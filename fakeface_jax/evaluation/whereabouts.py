"""Where a map lies, in words: on a part of the face where its landmarks are known, else in a part of the picture."""

import numpy as np

from fakeface_jax.data.forging.landmarks import FRAMINGS, LANDMARKS, find_points
from fakeface_jax.evaluation.placement import enlarged
from fakeface_jax.lines import listed

MOST = 0.6  # of a map's energy is "mostly"
GAIN = 1.3  # times what an even spread would put there; with less than that nothing is said
ALIKE = 0.75  # of a part's share; a part that has that much is named with it
MANY = 3  # parts of a face that one sentence names at most
SIDE = 96  # px, at which maps are looked at

PLACES = {  # by (rows, columns)
    ("upper", "left"): "in the upper left of the picture", ("upper", "right"): "in the upper right of the picture",
    ("lower", "left"): "in the lower left of the picture", ("lower", "right"): "in the lower right of the picture",
    ("upper", "middle"): "in the upper middle of the picture",
    ("lower", "middle"): "in the lower middle of the picture",
    ("middle", "left"): "on the left of the picture, half-way up",
    ("middle", "right"): "on the right of the picture, half-way up",
    ("middle", "middle"): "in the middle of the picture",
    ("upper", None): "in the upper half of the picture", ("lower", None): "in the lower half of the picture",
    (None, "left"): "in the left half of the picture", (None, "right"): "in the right half of the picture",
    ("middle", None): "across the middle of the picture, from left to right",
    (None, "middle"): "down the middle of the picture, from top to bottom",
    ("around", "around"): "around the middle of the picture"}
_HALVES = {"upper": slice(0, SIDE // 2), "lower": slice(SIDE // 2, SIDE), "left": slice(0, SIDE // 2),
           "right": slice(SIDE // 2, SIDE), "middle": slice(SIDE // 4, SIDE - SIDE // 4), None: slice(0, SIDE),
           "around": slice(14, SIDE - 14)}  # squared, half of the picture too

FACE_PARTS = (
    "the forehead", "the left eye", "the right eye", "the nose", "the mouth", "the chin", "the left cheek",
    "the right cheek")
AROUND = len(FACE_PARTS)


def whereabouts(cam, points=None):
  """Where most of a map lies.

  Left and right are those of whoever looks at the picture.

  Args:
    cam: float32[h, w] >= 0, a square picture's.
    points: float32[68, 2], the face's landmarks (see `data.forging.landmarks`) as fractions of the picture; or None.
  Returns: words such as 'on the mouth and the chin' or 'in the upper left of the picture'. None where the map is empty,
    or spread about evenly.
  """
  cam = enlarged(np.float32(cam), (SIDE, SIDE))
  total = cam.sum(dtype=np.float64)
  if not total > 0:
    return None
  if points is not None:
    return _on_face(cam / total, face_parts(points, SIDE)) or _in_picture(cam / total)
  return _in_picture(cam / total)


def landmarks(pixels):
  """The landmarks of the face in a picture uint8[H, W, 3], as `whereabouts` takes them; None where they are unknown."""
  points, found_by = find_points(pixels, FRAMINGS[0])
  return points / pixels.shape[1::-1] if found_by == LANDMARKS else None


def _in_picture(energy):
  """The smallest part of the picture that has most of the energy; of several as small, the one with most."""
  found = []
  for (rows, columns), words in PLACES.items():
    part = energy[_HALVES[rows], _HALVES[columns]]
    share, area = float(part.sum()), part.size / energy.size
    if share >= max(MOST, GAIN * area):
      found.append((round(area, 1), -share, words))
  return min(found)[2] if found else None


def _on_face(energy, parts):
  area = np.bincount(parts.ravel(), minlength=AROUND + 1) / parts.size
  share = np.bincount(parts.ravel(), energy.ravel(), minlength=AROUND + 1)
  if share[AROUND] >= max(MOST, GAIN * area[AROUND]):
    return "beside the face"
  strong = [part for part in np.argsort(-share[:AROUND], kind="stable") if share[part] >= GAIN * area[part] > 0]
  for weakest in strong:
    chosen = [part for part in strong if share[part] >= ALIKE * share[weakest]]
    names = _named(chosen)
    if share[chosen].sum() >= max(MOST, GAIN * area[chosen].sum()) and len(names) <= MANY:
      return f"on {listed(names)}"
  return None


def _named(chosen):
  """The parts' names in the order of the face; two eyes, or cheeks, in one word."""
  names = [FACE_PARTS[part] for part in sorted(chosen)]
  for both in ("eye", "cheek"):
    if {f"the left {both}", f"the right {both}"} <= set(names):
      names[names.index(f"the left {both}")] = f"the {both}s"
      names.remove(f"the right {both}")
  return names


def face_parts(points, side):
  """uint8[side, side], for each pixel the index of its part in FACE_PARTS, or AROUND.

  The parts are laid out in the face's own frame: the eyes' midpoint is (0, 0), the eyes are 1 apart, and the mouth's
  middle is at (0, 1).
  """
  points = np.asarray(points, np.float64)
  left, right, mouth = points[36:42].mean(0), points[42:48].mean(0), points[48:68].mean(0)
  middle = (left + right) / 2
  to_frame = np.linalg.inv(np.stack([right - left, mouth - middle], axis=1))
  line = (np.arange(side) + 0.5) / side
  x, y = np.einsum("ij,jyx->iyx", to_frame, np.stack(np.meshgrid(line, line)) - middle[:, None, None])
  face = np.square(x / 1.13) + np.square((y - 0.42) / 1.27) <= 1
  nose = ((np.abs(x) <= 0.12) & (y > -0.3) | (np.abs(x) <= 0.36) & (y > 0.28)) & (y <= 0.75)
  tests = (~face, y < -0.45, nose, y > 1.28, (y > 0.75) & (np.abs(x) <= 0.62), (y <= 0.28) & (x < 0), y <= 0.28, x < 0)
  parts = (AROUND, 0, 3, 5, 4, 1, 2, 6)
  return np.select(tests, [np.uint8(part) for part in parts], np.uint8(7))
