"""Copies in a data set: the same file, the same pixels, and nearly the same picture (saved again, scaled, brightened).

Near copies are found by a perceptual hash (Zauner, "Implementation and benchmarking of perceptual image hash
functions", 2010: the signs of the low frequencies of a 32 x 32 thumbnail), every image against every other, and
confirmed on thumbnails: aligned faces are so alike that the hash alone would accuse many. A picture cropped otherwise,
turned or mirrored is not found.
"""

import hashlib
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import fft, sparse
from scipy.sparse import csgraph

from fakeface_jax.data.reading.images import grey_of

SIDE = 32  # px, of the thumbnail that is hashed
KEPT = 16  # px, of the one that is kept
DISTANCE = 10  # bits of 63 in which the hashes of near copies may differ
ALIKE = 0.97  # correlation of their thumbnails from which on they count as near copies
PLAIN = 2.0  # grey levels: a thumbnail that varies less shows nothing that could be compared
ROWS, COLUMNS, PAIRS = 256, 4096, 65536  # compared at once
EXAMPLES = 20  # pairs named, of each kind
KINDS = ("identical files", "identical pixels", "near-duplicates")


class Fingerprint(NamedTuple):
  """What is kept of an image: SHA-256 of its bytes and of its pixels, perceptual hash, grey uint8[KEPT, KEPT]."""

  file: bytes
  pixels: bytes
  hash: int
  thumbnail: np.ndarray


def fingerprint(data: bytes, image: np.ndarray) -> Fingerprint:
  """Of a file's bytes and its pixels, uint8[H, W, 3]."""
  pixels = hashlib.sha256(repr(image.shape).encode())
  pixels.update(np.ascontiguousarray(image).data)
  thumbnail = thumbnail_of(image)
  return Fingerprint(
      hashlib.sha256(data).digest(), pixels.digest(), perceptual_hash(thumbnail), smaller_thumbnail(thumbnail))


def thumbnail_of(image: np.ndarray) -> np.ndarray:
  """Grey float32[SIDE, SIDE] of uint8[H, W, 3]."""
  return np.asarray(Image.fromarray(grey_of(image)).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)


def smaller_thumbnail(thumbnail: np.ndarray) -> np.ndarray:
  """float[SIDE, SIDE] -> uint8[KEPT, KEPT]."""
  step = SIDE // KEPT
  return np.rint(thumbnail.reshape(KEPT, step, KEPT, step).mean((1, 3))).astype(np.uint8)


def perceptual_hash(thumbnail: np.ndarray) -> int:
  """63 bits of a grey float[SIDE, SIDE]: which of its 8 x 8 lowest frequencies, without the mean, exceed the median."""
  return int.from_bytes(np.packbits(frequency_signs(thumbnail, 8)[1:]).tobytes())


def frequency_signs(grey: np.ndarray, count: int) -> np.ndarray:
  """bool[count**2] of float[side, side]: which of its count x count lowest frequencies exceed their median.

  The first one is the mean, which says only how bright it is, and does not count for the median.
  """
  low = fft.dctn(grey, norm="ortho")[:count, :count].ravel()
  return low > np.median(low[1:])


class Duplicates:
  """The copies among images, each of which has a split and a label.

  Attributes:
    groups: int[N], equal for images that are copies of any kind of each other, directly or by way of others.
    found: {kind of `KINDS`: a dict of images (that have a copy), within_split, across_splits, across_classes (images
      that have one in their own split, in another, of the other class; one image may count in all three), and pairs (up
      to `EXAMPLES` pairs of image numbers, those across splits first, then those across classes)}. Identical pixels
      count identical files, near-duplicates do not count identical pixels.
  """

  def __init__(self, fingerprints, splits, labels, progress=lambda steps: steps):
    """Args: fingerprints: of N images. splits, labels: int[N]. progress: wraps a list of steps with a bar."""
    self._splits, self._labels = np.asarray(splits, np.int64), np.asarray(labels, np.int64)
    files, pixels = (_numbered([getattr(one, name) for one in fingerprints]) for name in ("file", "pixels"))
    self.groups = pixels
    # Of images with the same pixels, split and label the first stands for all, or a thousand copies would make a
    # million near pairs.
    key = np.stack([pixels, self._splits, self._labels])
    chosen, stands_for = np.unique(key, axis=1, return_index=True, return_inverse=True)[1:]
    near = self._near(fingerprints, chosen, pixels, progress)
    self.found = {
        "identical files": self._summary(self._equal(files)), "identical pixels": self._summary(self._equal(pixels)),
        "near-duplicates": self._summary(near, chosen[stands_for.ravel()])}

  def _equal(self, numbers):
    """Yields pairs of images with equal numbers: for each image one of every kind that it is part of."""
    everyone = np.arange(len(numbers))
    for values in (self._splits, self._labels):
      order = np.lexsort((values, numbers))
      lowest, highest = (order[np.searchsorted(numbers[order], numbers, side) + step]
                         for side, step in (("left", 0), ("right", -1)))
      partner = np.where(values != values[lowest], lowest, highest)
      differ = values != values[partner]
      yield everyone[differ], partner[differ]
    order = np.lexsort((self._splits, numbers))
    first, second = order[:-1], order[1:]
    same = (numbers[first] == numbers[second]) & (self._splits[first] == self._splits[second])
    yield first[same], second[same]

  def _near(self, fingerprints, chosen, pixels, progress):
    """Yields near pairs among the chosen images."""
    if not fingerprints:
      return
    hashes = np.asarray([fingerprints[i].hash for i in chosen.tolist()], np.uint64)
    thumbnails = np.stack([fingerprints[i].thumbnail for i in chosen.tolist()])
    for first, second in near_pairs(hashes, thumbnails, progress):
      first, second = chosen[first], chosen[second]
      others = pixels[first] != pixels[second]
      groups = self.groups
      self.groups = linked(len(groups), groups[first[others]], groups[second[others]])[groups]
      yield first[others], second[others]

  def _summary(self, pairs, stands_for=slice(None)):
    has = {name: np.zeros(len(self._splits), bool)
           for name in ("images", "within_split", "across_splits", "across_classes")}
    named = {"across_splits": {}, "across_classes": {}, "within_split": {}}
    for first, second in pairs:
      split, label = (values[first] != values[second] for values in (self._splits, self._labels))
      kinds = {"within_split": ~split, "across_splits": split, "across_classes": label}
      for name, here in {"images": split | True, **kinds}.items():
        has[name][first[here]] = has[name][second[here]] = True
      for name, here in (kinds | {"across_classes": label & ~split, "within_split": ~label & ~split}).items():
        room = EXAMPLES - len(named[name])
        named[name] |= {tuple(sorted(pair)): True for pair in
                        zip(first[here][:room].tolist(), second[here][:room].tolist(), strict=True)}
    summary = {name: int(values[stands_for].sum()) for name, values in has.items()}
    return summary | {"pairs": [pair for several in named.values() for pair in several][:EXAMPLES]}


def near_pairs(hashes, thumbnails, progress=lambda steps: steps, rows=None):
  """Yields pairs (i < j) of near copies, in parts: (int[P], int[P]).

  Args: hashes: uint64[N]. thumbnails: uint8[N, KEPT, KEPT]. rows: with it only pairs with i < rows are sure to come.
  """
  thumbnails = thumbnails.reshape(len(thumbnails), -1)
  plain = thumbnails.std(1) < PLAIN if len(thumbnails) else np.zeros(0, bool)
  for start in progress(range(0, len(hashes) if rows is None else rows, ROWS)):
    rows = hashes[start : start + ROWS, None]
    for column in range(start, len(hashes), COLUMNS):
      first, second = np.nonzero(np.bitwise_count(rows ^ hashes[column : column + COLUMNS]) <= DISTANCE)
      first, second = first + start, second + column
      candidates = (first < second) & ~plain[first] & ~plain[second]
      first, second = first[candidates], second[candidates]
      for part in range(0, len(first), PAIRS):
        i, j = first[part : part + PAIRS], second[part : part + PAIRS]
        alike = (standardised(thumbnails[i]) * standardised(thumbnails[j])).mean(1) >= ALIKE
        if alike.any():
          yield i[alike], j[alike]


def standardised(thumbnails):
  """[M, P] -> float[M, P], each of mean 0 and variance 1."""
  values = thumbnails - thumbnails.mean(1, keepdims=True, dtype=np.float32)
  return values / values.std(1, keepdims=True)


def _numbered(values):
  """int[N], equal for equal values."""
  numbers = {}
  return np.asarray([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def linked(count, first, second):
  """int[count], the number of the group of each of so many things, where `first` and `second`, int[P], are linked."""
  links = sparse.coo_array((np.ones(len(first), bool), (first, second)), (count, count))
  return csgraph.connected_components(links, directed=False)[1]
