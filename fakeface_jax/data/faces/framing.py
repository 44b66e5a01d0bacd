"""How faces sit in the images that a network was trained on, and the window that makes another face sit likewise.

Data sets are cut by rules of their own (FFHQ's by the eyes and the mouth, others by some detector's box), so the rule
is learned from a sample: where an image's square lies about its face, as a linear function of where the eyes, the nose
and the mouth lie within the face's box. Measured faces of FFHQ then get back their square to half a pixel of 256.
"""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np

from fakeface_jax.data.faces.detect import face_detector
from fakeface_jax.data.reading.records import decode_record
from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.progress import with_progress
from fakeface_jax.workdir import FRAMING_FILE, read_json, write_whole

log = logging.getLogger(__name__)

FORMAT = 1  # of the file; moves when faces are found or measured otherwise
SAMPLE = 256  # training images
SHARE = 0.5  # of them in which a face has to be found
ENOUGH = 80  # faces for the linear rule; of fewer, their median place
RIDGE = 1e-3
OUTLIERS, EPSILON = 5.0, 1e-6  # medians of the residuals away
SAME, SAME_LEAST = 2.0, 0.1  # spreads, and at least so much, that the log of a side is off where it is made the same
REACH_LEAST = 0.025  # sides
WITHIN = 2.5  # spreads, and
WITHIN_LEAST = (0.06, 0.06, 0.15)  # at least so far off: a picture that sits as the training images do


@dataclasses.dataclass(frozen=True)
class Framing:
  """How a face sits in the square that the network's view is cut from: the centre square of a training image.

  Attributes:
    left, top, right, bottom: of the median face's box, in sides of the square.
    size: median side of the square, pixels.
    found: share of the sample in which there was a face.
    spread: how far the squares lie from where `window` would have them, 90th percentiles: x and y of the middle, in
      sides of the square, and the log of the side.
    rule: float[3, 14], the linear rule: x and y of the square's middle from the box's, in sides of the box, and the
      log of the ratio of the sides; of `_features`. None: the median of each.
    limits: float[3, 2], the least and the greatest that the sample has of each.
  """

  left: float
  top: float
  right: float
  bottom: float
  size: int
  found: float
  spread: tuple
  limits: tuple
  rule: tuple | None = None

  def window(self, box):
    """The square (left, top, side) about a face, whole pixels of its photograph; it may reach over the edges.

    A side within the spread of that of the training images is made the same, so that no pixel has to be resampled.
    """
    if self.rule is None or not box.points:
      side = np.sqrt((self.right - self.left) * (self.bottom - self.top))
      middle = 0.5 - np.array([self.left + self.right, self.top + self.bottom]) / 2
      x, y, log_side = middle[0] / side, middle[1] / side, -np.log(side)
    else:
      x, y, log_side = np.clip(np.array(self.rule) @ _features(box), *np.transpose(self.limits))
    side = max(1, round(box.side * np.exp(log_side)))
    if abs(np.log(side / self.size)) <= max(SAME_LEAST, SAME * self.spread[2]):
      side = self.size
    centre = box.centre[0] + x * box.side, box.centre[1] + y * box.side
    return round(centre[0] - side / 2), round(centre[1] - side / 2), side

  def reach(self):
    """By how many pixels, to the sides and up and down, nearly all of the training images are off their windows."""
    return tuple(int(np.ceil(max(REACH_LEAST, SAME * spread) * self.size)) for spread in self.spread[:2])

  def off(self, window, square):
    """How far a window is off another square: at most 1 where they are the same within the spread of the sample."""
    side, of_side = window[2], square[2]
    x, y = (window[axis] + side / 2 - square[axis] - of_side / 2 for axis in (0, 1))
    distance = np.abs([x / of_side, y / of_side, np.log(side / of_side)])
    return float(np.max(distance / np.maximum(WITHIN_LEAST, WITHIN * np.array(self.spread))))


def centre_square(image):
  """(left, top, side) of the square that `resize_and_crop` cuts its centre from."""
  height, width = image.shape[:2]
  side = min(height, width)
  return (width - side) // 2, (height - side) // 2, side


def cut(photograph, window):
  """uint8[side, side, 3]: a copy of the photograph's own pixels. Args: window: (left, top, side), inside of it."""
  left, top, side = window
  return photograph[top : top + side, left : left + side].copy()


def measure_framing(images, detect):
  """The `Framing` of images, or None where a face is found in fewer than half of them.

  Args:
    images: uint8[H, W, 3] each; anything that yields them.
    detect: as `face_detector` makes it.
  """
  squares, boxes, count = [], [], 0
  for square, found in in_order(lambda image: (centre_square(image), detect(image)), images):
    count += 1
    if found:
      squares.append(square)
      boxes.append(max(found, key=lambda box: box.side))
  if len(boxes) < SHARE * count or not boxes:
    return None
  squares, sides = np.array(squares, float), np.array([box.side for box in boxes])
  corners = np.array([(box.left, box.top, box.right, box.bottom) for box in boxes])
  corners = (corners - squares[:, [0, 1, 0, 1]]) / squares[:, 2:]
  middles = squares[:, :2] + squares[:, 2:] / 2 - [box.centre for box in boxes]
  places = np.concatenate([middles / sides[:, None], np.log(squares[:, 2:] / sides[:, None])], 1)
  rule, expected = None, np.median(places, 0)
  if len(boxes) >= ENOUGH and all(box.points for box in boxes):
    features = np.array([_features(box) for box in boxes])
    rule = _fitted(features, places)
    expected = features @ rule.T
  off = np.abs(places - expected) * np.exp(-places[:, 2:]) ** [1, 1, 0]
  as_tuples = lambda array: tuple(tuple(map(float, row)) for row in array)
  return Framing(
      *map(float, np.median(corners, 0)), int(np.median(squares[:, 2])), len(boxes) / count,
      tuple(map(float, np.percentile(off, 90, axis=0))), as_tuples(np.percentile(places, [1, 99], axis=0).T),
      None if rule is None else as_tuples(rule))


def _features(box):
  """float[14]: 1; the height of a box; its points from its middle; how far the eyes are apart, and twice that or 1.8
  times their way to the mouth, as FFHQ has it; all in sides of the box."""
  points = (np.array(box.points) - box.centre) / box.side
  apart, down = np.hypot(*(points[1] - points[0])), np.hypot(*(points[3:].mean(0) - points[:2].mean(0)))
  return np.array([1.0, (box.bottom - box.top) / box.side, *points.ravel(), apart, max(2 * apart, 1.8 * down)])


def _fitted(features, places):
  """Least squares with a ridge, each time without what lies far off the last: the first time, off the median."""
  expected = np.median(places, 0)
  for _ in range(3):
    off = np.abs(places - expected)
    kept = (off <= OUTLIERS * np.median(off, 0) + EPSILON).all(1)
    x, y = features[kept], places[kept]
    rule = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y).T
    expected = features @ rule.T
  return rule


def keep_framing(source, workdir):
  """Measures the framing of a run's training images and keeps it in the run's folder, unless it is there already.

  Args: source: records of the training split. workdir: the run's folder.
  Returns: the `Framing`, or None where faces are not found in them, or nothing finds faces here, which is said.
  """
  path = Path(workdir) / FRAMING_FILE
  known, framing = read_framing(path)
  if known:
    return framing
  try:
    detect = face_detector()
  except UserError as error:
    log.warning("How faces sit in the training images was not measured: %s", error)
    return None
  chosen = np.sort(np.random.default_rng(0).permutation(len(source))[:SAMPLE]).tolist()
  images = (decode_record(source[index]) for index in chosen)
  framing = measure_framing(with_progress(images, "how faces sit in the training images", total=len(chosen)), detect)
  if framing is None:
    log.info("No faces are found in most training images, so pictures will be judged whole.")
  kept = {"format": FORMAT, "framing": framing and dataclasses.asdict(framing)}
  try:
    write_whole(path, json.dumps(kept, indent=2) + "\n")
  except OSError as error:
    log.warning("How faces sit in the training images could not be kept: %s", of_disk(error))
  return framing


def read_framing(path):
  """(whether a run's file says it, the `Framing` or None); a damaged file, and one of another format, say nothing."""
  found = read_json(path, _holds_framing, "it is measured again when needed")
  if found is None or found["format"] != FORMAT:
    return False, None
  return True, found["framing"] and Framing(**{
      name: tuple(map(tuple, value)) if name in ("rule", "limits") and value else
      tuple(value) if name == "spread" else value for name, value in found["framing"].items()})


def _holds_framing(found):
  if found["format"] != FORMAT or found["framing"] is None:
    return isinstance(found["format"], int)
  framing = Framing(**found["framing"])
  shapes = [(framing.spread, (3,)), (framing.limits, (3, 2))] + [(framing.rule, (3, 14))] * (framing.rule is not None)
  return framing.size > 0 and framing.right > framing.left and framing.bottom > framing.top and all(
      np.shape(value) == shape and np.isfinite(value).all() for value, shape in shapes)
