"""Regions of a photographed face as alphas: the outline a forger would cut along, and how softly it is blended in.

An alpha is made of the box around its region only, as most regions are small beside the picture. Lengths in pixels hold
for 256-pixel pictures and grow with the size.
"""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.spatial import ConvexHull

from fakeface_jax.data.drawn.manipulate import FLOOR, lattice, random_blob

EDGES = (0.4, 7.0)  # px, Gaussian sigma of the blend's edge: from a hard cut to a soft one
SMALLEST = 0.004  # of the picture; less than this of a region lies outside, or is too little to see

_LEFT_EYE, _RIGHT_EYE, _LEFT_BROW, _RIGHT_BROW = slice(36, 42), slice(42, 48), slice(17, 22), slice(22, 27)
_JAW, _NOSE, _LIPS = slice(0, 17), slice(27, 36), slice(48, 60)
_FOREHEAD = np.array([(0.95, 0.6), (0.6, 0.88), (0, 1), (-0.6, 0.88), (-0.95, 0.6)], np.float32)  # x, share of height
_SHOULDERS = np.array([(-0.8, 1.4), (0.8, 1.4), (2.4, 2.3), (2.8, 6), (-2.8, 6), (-2.4, 2.3)], np.float32)
_CIRCLE = np.array([(np.cos(t), np.sin(t)) for t in np.linspace(0, 2 * np.pi, 25)[:-1]], np.float32)

_HAIRLINE = 0.8  # its height above the eyes
# Stands for a random generator where an outline is to be the usual one: the middle of a range, the eye with its brow,
# both ears.
_USUAL = SimpleNamespace(
    uniform=lambda low, high: (low + high) / 2, random=lambda: 0.0, integers=lambda count: count - 1)


class Patch(NamedTuple):
  """Where a picture is changed, and how much."""

  box: tuple  # (rows, columns), slices of the picture
  alpha: np.ndarray  # float32 of the box's shape, 0..1; exactly 0 wherever it would have been below FLOOR
  edge: float  # Gaussian sigma of the edge, in pixels of this picture


def draw_patch(rng, name, points, shape, *, whole=False):
  """A region's patch, its outline and edge drawn at random.

  Args:
    name: of `features.REGIONS`; "other" is a blob anywhere, and hair and background are blobs within theirs, since
      nobody exchanges all of a person's hair.
    points: float32[68, 2] in pixels, see `landmarks`; None will do for "other".
    shape: (H, W) of the picture.
    whole: take all of the hair or background.
  Returns: a Patch, or None where (nearly) nothing of the region is in the picture.
  """
  unit = min(shape) / 256
  edge = unit * float(np.exp(rng.uniform(*np.log(EDGES))))
  if name == "other":
    outline, corner = _blob(rng, np.ones(shape, np.float32), rng.uniform(0.15, 0.4)), (0, 0)
  else:
    outline, corner = _outline(rng, name, points, shape, margin=3 * edge + 6 * unit)
    if outline is None:
      return None
    if name in ("hair", "background") and not whole:
      outline = _blob(rng, np.float32(outline) / 255, rng.uniform(0.35, 0.8))
  smooth = np.float32(Image.fromarray(outline).filter(ImageFilter.BoxBlur(3 * unit)))
  ragged = np.uint8(smooth + 30 * np.clip(lattice(rng, outline.shape, 8), -2, 2) > 127) * np.uint8(255)
  alpha = np.float32(Image.fromarray(ragged).filter(ImageFilter.GaussianBlur(edge))) / 255
  alpha = np.clip((alpha - FLOOR) / (1 - 2 * FLOOR), 0, 1)
  rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
  if not len(rows) or alpha.sum() < SMALLEST * shape[0] * shape[1]:
    return None
  inner = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
  box = tuple(slice(int(s.start + c), int(s.stop + c)) for s, c in zip(inner, corner, strict=True))
  return Patch(box, alpha[inner], edge)


def region_outline(name, points, shape):
  """Where a region usually is: bool[H, W], the same at every call, with a hard edge.

  The face reaches up to where the hair begins. Regions overlap: the face has eyes, nose and mouth in it.

  Args: as `draw_patch` takes them, and any of its names but "other".
  """
  result = np.zeros(shape, bool)
  outline, corner = _outline(_USUAL, name, points, shape, margin=0, forehead=_HAIRLINE)
  if outline is not None:
    rows, columns = (slice(start, start + side) for start, side in zip(corner, outline.shape, strict=True))
    result[rows, columns] = outline > 0
  return result


def _blob(rng, inside, radius):
  """uint8[h, w] of a blob that starts, and stays, within `inside` (float32, 0..1)."""
  step = max(1, min(inside.shape) // 96)  # it is smooth: a small one does
  blob = Image.fromarray(random_blob(rng, inside[::step, ::step], radius)).resize(inside.shape[::-1])
  return np.uint8(255 * inside * np.clip(blob, 0, 1))


def _outline(rng, name, points, shape, margin, forehead=None):
  """(uint8[h, w], its top left corner in the picture): 255 inside of the region; (None, None) where that is empty.

  `forehead` is the height of the face's upper end above the eyes, drawn where it is None.
  """
  eyes = points[_LEFT_EYE].mean(0), points[_RIGHT_EYE].mean(0)
  origin, across = (eyes[0] + eyes[1]) / 2, eyes[1] - eyes[0]
  down = points[48:68].mean(0) - origin
  frame = lambda places: origin + places[:, :1] * across + places[:, 1:] * down
  ellipse = lambda x, y, rx, ry: frame(_CIRCLE * (rx, ry) + (x, y))
  distance = float(np.hypot(*across))
  if name == "face":
    height = forehead or rng.uniform(0.4, 0.95)
    polygons, wider = [np.concatenate([points[_JAW], frame(_FOREHEAD * (1, -height))])], 0
  elif name in ("left_eye", "right_eye"):
    eye, brow = (_LEFT_EYE, _LEFT_BROW) if name == "left_eye" else (_RIGHT_EYE, _RIGHT_BROW)
    parts = [points[eye], points[brow]] if rng.random() < 0.5 else [points[eye]]
    polygons, wider = [_hull(np.concatenate(parts))], rng.uniform(0.1, 0.2)
  elif name in ("nose", "mouth"):
    polygons, wider = [_hull(points[_NOSE if name == "nose" else _LIPS])], rng.uniform(0.08, 0.18)
  elif name == "ears":
    sides = ((-1,), (1,), (-1, 1))[rng.integers(3)]
    polygons, wider = [ellipse(1.2 * side, 0.25, 0.16, 0.42) for side in sides], 0
  else:
    head = ellipse(0, -0.15, 1.45, 1.55)
    if name == "hair":
      face = np.concatenate([points[_JAW], frame(_FOREHEAD * (1, -_HAIRLINE))])
      below = frame(np.float32([(-9, 0.6), (9, 0.6), (9, 9), (-9, 9)]))
      return _drawn([head], 0, [face, below], shape, margin)
    everything = np.float32([(0, 0), (shape[1], 0), shape[::-1], (0, shape[0])])
    return _drawn([everything], 0, [ellipse(0, 0.1, 1.5, 1.9), frame(_SHOULDERS)], shape, margin)
  return _drawn(polygons, wider * distance, [], shape, margin)


def _drawn(polygons, wider, holes, shape, margin):
  corners = np.concatenate(polygons)
  low = np.maximum(np.floor(corners.min(0) - wider - margin), 0).astype(int)
  high = np.minimum(np.ceil(corners.max(0) + wider + margin), shape[::-1]).astype(int)
  if (high - low).min() < 4:
    return None, None
  canvas = Image.new("L", tuple((high - low).tolist()), 0)
  draw = ImageDraw.Draw(canvas)
  for value, shapes in ((255, polygons), (0, holes)):
    for polygon in shapes:
      places = [tuple(place) for place in (polygon - low).tolist()]
      draw.polygon(places, fill=value)
      if value and wider >= 1:
        draw.line([*places, places[0], places[1]], fill=value, width=round(2 * wider), joint="curve")
  return np.array(canvas), (int(low[1]), int(low[0]))


def _hull(points):
  """The corners of the convex hull, in order."""
  return points[ConvexHull(points).vertices]
