"""How near a picture is to those that the detector was trained on, by the trunk's features, and which are nearest."""

import dataclasses
import io
from functools import cached_property

import numpy as np
from PIL import Image

from fakeface_jax.verdict.conformal import Calibration

NEIGHBOURS = 4  # whose mean distance counts, and which are shown
WITHIN = 0.99  # of the validation images lie within the limit
SHRINKAGE = 0.01  # added to the variances of standardised features, so that no direction without any counts for all
DIRECTIONS = 1280  # that are compared at most: those in which pictures differ most
LEAST_SPREAD = 1e-3  # of a feature that is standardised
THUMBNAIL = 64  # px


def whitening(features):
  """(mean float32[D], projection float32[D, d]) that bring these features to variance one in every direction.

  So directions count in which pictures of this kind hardly differ, such as how strongly two textures go together, and
  not only those in which they differ most. Args: `features`: float32[R, D].
  """
  mean, scale = features.mean(0), features.std(0) + LEAST_SPREAD
  standard = ((features - mean) / scale).astype(np.float64)
  wide = standard.shape[1] > len(standard)  # then the same directions come from the images' products with each other
  variances, vectors = np.linalg.eigh((standard @ standard.T if wide else standard.T @ standard) / len(standard))
  variances, vectors = np.maximum(variances[::-1][:DIRECTIONS], 0), vectors[:, ::-1][:, :DIRECTIONS]
  if wide:
    there = variances > 1e-9
    variances, vectors = variances[there], vectors[:, there]
    vectors = standard.T @ vectors / np.sqrt(variances * len(standard))
  return mean, (vectors / np.sqrt(variances + SHRINKAGE) / scale[:, None]).astype(np.float32)


def nearest(rows, among):
  """The nearest of `among` float32[R, d] to each of `rows` float32[N, d].

  Returns: (indices int[N, k], distances float32[N, k]), the nearest first; k is NEIGHBOURS, or R where that is less.
  """
  count = min(NEIGHBOURS, len(among))
  indices, distances = [], []
  lengths = (among**2).sum(1)
  for row in rows:
    squares = lengths - 2 * (among @ row)
    found = np.argpartition(squares, count - 1)[:count] if count < len(among) else np.arange(count)
    exact = np.linalg.norm(among[found] - row, axis=1)  # the difference of large numbers is none to be trusted
    order = np.argsort(exact, kind="stable")
    indices.append(found[order])
    distances.append(exact[order])
  shape = (len(rows), count)
  return np.reshape(indices, shape).astype(int), np.reshape(distances, shape).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingImages:
  """Images that the detector was trained on, as far as they are kept with it.

  Attributes:
    mean, projection: of `whitening`. rows: float32[R, d], whitened features.
    labels: int[R]. names: [R] of text. thumbnails: [R] of JPEG files, bytes.
    distances: float32[V], from validation images, as `distances_of` has them.
  """

  mean: np.ndarray
  projection: np.ndarray
  rows: np.ndarray
  labels: np.ndarray
  names: list
  thumbnails: list
  distances: np.ndarray

  @cached_property
  def limit(self):
    """The distance beyond which a picture is unlike what the detector was trained on."""
    return float(np.quantile(self.distances, WITHIN))

  def nearest(self, features):
    """As `nearest`, of features float32[N, D]."""
    return nearest(whitened(features, self.mean, self.projection), self.rows)

  def distances_of(self, features):
    """The mean distance to the nearest, float32[N], of features float32[N, D]."""
    return self.nearest(features)[1].mean(1)


def whitened(features, mean, projection):
  """Features float32[N, D] as they are compared."""
  return (features - mean) @ projection


def thumbnail(pixels):
  """uint8[h, w, 3] -> a JPEG file of 64 px, bytes."""
  file = io.BytesIO()
  Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).save(file, "JPEG", quality=85)
  return file.getvalue()


def opened(thumbnail):
  """uint8[64, 64, 3] of a thumbnail's bytes."""
  return np.asarray(Image.open(io.BytesIO(thumbnail)).convert("RGB"))


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
  """What a verdict rests on.

  Attributes:
    calibration: validation images, or None where there are none. calibrated_on: what they are, in words.
    training: `TrainingImages`, or None where they are gone.
  """

  calibration: Calibration | None
  calibrated_on: str
  training: TrainingImages | None
