"""Images that share a part: copies, and retouched photographs beside those they were made of or took a part from.

A hash of the whole picture finds few of them: a retouched one is framed a little differently, and a fifth of its pixels
are others'. So parts are compared, by SIFT (Lowe, 2004): images belong together where enough points of one are found in
the other, in the same arrangement. Among 1,419 retouched and original faces, 133 pairs of which are known to be made of
one photograph, this puts 89 of those together, and others that took a part from the same third one; ImageHash's phash
gets to 18 before it takes strangers for one another.
"""

import collections
from typing import NamedTuple

import numpy as np
from PIL import Image
from skimage.feature import SIFT

from fakeface_jax.data.checking.duplicates import linked
from fakeface_jax.progress import in_parts, with_progress

SIDE = 192  # px, of the square that every image is scaled to before points are looked for
ALIKE = 0.92  # cosine of two points' descriptors from which on they make their images worth comparing
CANDIDATES = 4  # so many such pairs of points
NEAREST = 0.8  # cosine that a point and its nearest one must have
RATIO = 0.85  # and how much nearer than the second nearest it must be
SHARED = 7  # points in the same arrangement from which on images belong together
TOLERANCE = 3.0  # px, of an arrangement
APART = 12.0  # px between the two points that propose one
SCALES, TURN = (0.8, 1.25), np.radians(15)  # between two images
ROWS = 256  # of the table of all points' cosines that are in memory at once


class Points(NamedTuple):
  """An image's points: where, complex64[K] as x + iy in pixels of the square; descriptors, unit float32[K, 128]."""

  where: np.ndarray
  descriptors: np.ndarray


def points_of(image):
  """The `Points` of an image, uint8[H, W, 3]; there are none in a blank one."""
  grey = Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
  sift = SIFT(upsampling=1)
  try:
    sift.detect_and_extract(np.asarray(grey, np.float32) / 255)
  except RuntimeError:  # how it says that it found nothing
    return Points(np.zeros(0, np.complex64), np.zeros((0, 128), np.float32))
  descriptors = sift.descriptors.astype(np.float32)
  descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
  y, x = sift.keypoints.T
  return Points((x + 1j * y).astype(np.complex64), descriptors)


def lookalike_groups(images):
  """Groups of images linked by `shared_points`; a chain of pairs is one group.

  Args: `images`: N `Points`.
  Returns: int[N], the number of every image's group.
  """
  pairs = [pair for pair in with_progress(_worth_comparing(images), "comparing images", unit="pairs")
           if shared_points(images[pair[0]], images[pair[1]]) >= SHARED]
  return linked(len(images), *np.array(pairs, int).reshape(-1, 2).T)


def _worth_comparing(images):
  """Pairs (i, j), i < j, of images with enough points that are alike, wherever those are."""
  if not images:
    return []
  owners = np.repeat(np.arange(len(images)), [len(image.where) for image in images])
  descriptors = np.concatenate([image.descriptors for image in images])
  counts = collections.Counter()
  for start in in_parts(len(owners), ROWS, "looking for parts in common", unit="points"):
    ours, theirs = np.nonzero(descriptors[start:start + ROWS] @ descriptors[start:].T > ALIKE)
    ours, theirs = owners[start + ours], owners[start + theirs]
    counts.update(zip(ours[ours < theirs].tolist(), theirs[ours < theirs].tolist(), strict=True))
  return sorted(pair for pair, count in counts.items() if count >= CANDIDATES)


def shared_points(one, other):
  """How many points of an image are found in another one in the same arrangement, up to shift, scale and turn."""
  if min(len(one.where), len(other.where)) < 2:
    return 0
  cosines = one.descriptors @ other.descriptors.T
  nearest, number = cosines.argmax(1), np.arange(len(one.where))
  distances = np.sort(np.sqrt(np.maximum(2 - 2 * cosines, 0)), axis=1)
  mutual = cosines.argmax(0)[nearest] == number
  found = mutual & (cosines[number, nearest] > NEAREST) & (distances[:, 0] < RATIO * distances[:, 1])
  here, there = one.where[found], other.where[nearest[found]]
  i, j = np.triu_indices(len(here), 1)  # every two pairs of points propose a similarity; the one that maps most counts
  wide = np.abs(here[j] - here[i]) > APART
  i, j = i[wide], j[wide]
  factor = (there[j] - there[i]) / (here[j] - here[i])
  sane = (np.abs(factor) > SCALES[0]) & (np.abs(factor) < SCALES[1]) & (np.abs(np.angle(factor)) < TURN)
  i, factor = i[sane], factor[sane]
  if not len(i):
    return 0
  shift = there[i] - factor * here[i]
  return int((np.abs(factor[:, None] * here + shift[:, None] - there) < TOLERANCE).sum(1).max())
