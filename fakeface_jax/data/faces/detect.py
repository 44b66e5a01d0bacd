"""Where the faces of a photograph are, and where their eyes, noses and mouths."""

import dataclasses

import numpy as np
from PIL import Image

from fakeface_jax.data.faces.networks import CELL, SIDES, STRIDE, look, one_thread, propose, sift, weights

BASE_PIXELS = 800_000  # that are searched at most; a larger photograph is reduced
SHRINK = 0.709  # from one size that is searched to the next
LEAST = {"propose": 0.6, "sift": 0.7, "look": 0.8}  # probability; as the package has them
MOST = 4096  # proposals of a photograph that are looked at
# Patches of a face that is looked at again: its measures are the means over them, so they do not hang on one.
AROUND = ((0, 0, 0.92), (0, 0, 1.08), (-0.04, -0.04, 1), (0.04, 0.04, 1))  # x and y of the middle, side; in its sides


@dataclasses.dataclass(frozen=True)
class Box:
  """A face, in pixels of its photograph.

  Attributes:
    left, top, right, bottom: from brow to chin and from cheek to cheek; they may reach over the photograph's edges.
    score: probability that it is a face.
    points: (x, y) of the eyes, the nose and the corners of the mouth, each from the photograph's left; () if unknown.
  """

  left: float
  top: float
  right: float
  bottom: float
  score: float
  points: tuple = ()

  @property
  def edges(self):
    return self.left, self.top, self.right, self.bottom

  @property
  def centre(self):
    return (self.left + self.right) / 2, (self.top + self.bottom) / 2

  @property
  def side(self):
    """Of the square of the same area."""
    return float(np.sqrt((self.right - self.left) * (self.bottom - self.top)))

  def iou(self, other):
    """The area that both cover, of the area that either does."""
    width = min(self.right, other.right) - max(self.left, other.left)
    height = min(self.bottom, other.bottom) - max(self.top, other.top)
    both = max(width, 0) * max(height, 0)
    return both / (self.side**2 + other.side**2 - both)


def face_detector():
  """A detector of faces; the same function may be called from several threads.

  Returns: a function from uint8[H, W, 3] to a list of `Box`, the largest first.
  Raises: UserError, in one line, where the package with its networks is not installed.
  """
  for name in ("pnet", "rnet", "onet"):
    weights(name)
  return find_faces


def find_faces(photograph):
  """See `face_detector`."""
  height, width = photograph.shape[:2]
  scale = min(1.0, (BASE_PIXELS / (height * width)) ** 0.5)
  base = _resized(photograph, scale)
  with one_thread:
    boxes = _proposals(base)
    probability, edges = sift(_patches(base, boxes, SIDES["rnet"]))
    boxes = _kept(boxes, probability, edges, LEAST["sift"], 0.7)
    probability, edges, _ = look(_patches(base, boxes, SIDES["onet"]))
    boxes = _kept(boxes, probability, edges, LEAST["look"], 0.7, of_smaller=True)
    boxes[:, :4] /= scale
    return _looked_at_again(photograph, boxes)


def _resized(image, scale):
  height, width = image.shape[:2]
  size = max(1, round(width * scale)), max(1, round(height * scale))
  if size == (width, height):
    return image
  return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _proposals(base):
  """float32[N, 5]: left, top, right, bottom in px of the image, probability; of what might be a face."""
  scale, found = 1.0, [np.zeros((0, 5), np.float32)]
  while min(base.shape[:2]) * scale >= CELL:
    level = _resized(base, scale)
    if min(level.shape[:2]) >= CELL:
      probability, edges = propose(_normal(level))
      y, x = np.nonzero(probability > LEAST["propose"])
      corner = np.stack([x, y], 1) * STRIDE
      boxes = np.concatenate([corner, corner + CELL], 1) + edges[y, x] * CELL
      boxes = np.concatenate([boxes / scale, probability[y, x, None]], 1)
      found.append(boxes[_unlike(boxes, 0.5)])
    scale *= SHRINK
  boxes = np.concatenate(found)
  return _square(boxes[_unlike(boxes, 0.7)][:MOST])


def _kept(boxes, probability, edges, least, overlap, of_smaller=False):
  boxes = _moved(boxes, probability, edges)[probability > least]
  return _square(boxes[_unlike(boxes, overlap, of_smaller)])


def _moved(boxes, probability, edges):
  size = np.tile(boxes[:, 2:4] - boxes[:, :2], 2)
  return np.concatenate([boxes[:, :4] + edges * size, probability[:, None]], 1)


def _square(boxes):
  """The squares about their middles that hold the boxes."""
  middle, half = (boxes[:, :2] + boxes[:, 2:4]) / 2, (boxes[:, 2:4] - boxes[:, :2]).max(1, keepdims=True) / 2
  return np.concatenate([middle - half, middle + half, boxes[:, 4:]], 1)


def _unlike(boxes, overlap, of_smaller=False):
  """Indices of the most probable boxes that do not overlap each other: of the area of both, or that of the smaller."""
  left, top, right, bottom, score = boxes.T
  area, order, kept = (right - left) * (bottom - top), np.argsort(-score, kind="stable"), []
  while len(order):
    first, order = order[0], order[1:]
    kept.append(first)
    width = np.minimum(right[first], right[order]) - np.maximum(left[first], left[order])
    height = np.minimum(bottom[first], bottom[order]) - np.maximum(top[first], top[order])
    both = np.maximum(width, 0) * np.maximum(height, 0)
    whole = np.minimum(area[first], area[order]) if of_smaller else area[first] + area[order] - both
    order = order[both <= overlap * whole]
  return np.array(kept, int)


def _normal(pixels):
  return (np.asarray(pixels, np.float32) - 127.5) / 128


def _patches(image, boxes, side):
  """float32[N, side, side, 3]: what is in the square boxes; grey where they reach over the edges."""
  result = np.full((len(boxes), side, side, 3), 128, np.uint8)
  if not len(boxes):
    return _normal(result)
  x, y = np.clip(np.floor(boxes[:, :2].min(0)).astype(int), 0, np.array(image.shape[1::-1]) - 1)
  end_x, end_y = np.maximum(np.ceil(boxes[:, 2:4].max(0)).astype(int), (x + 1, y + 1))
  whole = Image.fromarray(np.ascontiguousarray(image[y:end_y, x:end_x]))  # of a large photograph no more than is needed
  size = np.array(whole.size)
  for patch, box in zip(result, boxes[:, :4].astype(float) - (x, y, x, y), strict=True):
    corner, scale = box[:2], (box[2] - box[0]) / side
    first, last = np.clip(box[:2], 0, size), np.clip(box[2:], 0, size)
    (left, top), (right, bottom) = np.rint([(first - corner) / scale, (last - corner) / scale]).astype(int)
    if left < right and top < bottom:
      part = whole.resize((right - left, bottom - top), Image.Resampling.BILINEAR, (*first, *last), reducing_gap=3.0)
      patch[top:bottom, left:right] = part
  return _normal(result)


def _looked_at_again(photograph, boxes):
  """A list of `Box`, the largest first, of float32[N, 5] in px of the photograph: from its own pixels."""
  found = []
  for box in boxes:
    middle, side = (box[:2] + box[2:4]) / 2, box[2] - box[0]
    sides = np.array(AROUND)[:, 2:] * side
    corners = middle + np.array(AROUND)[:, :2] * side - sides / 2
    squares = np.concatenate([corners, corners + sides], 1)
    patches = _patches(photograph, squares, SIDES["onet"])
    probability, edges, points = look(np.concatenate([patches, patches[:, :, ::-1]]))
    n = len(patches)
    edges[n:] = edges[n:][:, [2, 1, 0, 3]] * [-1, 1, -1, 1]  # of the mirrored ones, turned back
    points[n:] = (points[n:] * [-1, 1] + [1, 0])[:, [1, 0, 2, 4, 3]]
    squares, sides = np.tile(squares, (2, 1)), np.tile(sides, (2, 1))
    left, top, right, bottom = (squares + edges * sides).mean(0)
    points = (squares[:, None, :2] + points * sides[:, None]).mean(0)
    found.append(Box(*map(float, (left, top, right, bottom, probability.mean())), tuple(map(tuple, points.tolist()))))
  return sorted(found, key=lambda box: -box.side)
