"""Distances worked out by hand."""

import numpy as np
import pytest

from fakeface_jax.verdict.likeness import TrainingImages, nearest, opened, thumbnail, whitened, whitening


def test_the_nearest_come_first_with_their_distances():
  among = np.float32([[3, 4], [0, 1], [0, 0], [6, 8], [-1, 0], [30, 40]])
  indices, distances = nearest(np.float32([[0, 0], [6, 8]]), among)
  np.testing.assert_array_equal(indices[0][[0, 3]], [2, 0])
  np.testing.assert_allclose(distances[0], [0, 1, 1, 5])
  np.testing.assert_allclose(distances[1], [0, 5, np.hypot(6, 7), 10])
  few, lengths = nearest(np.float32([[0, 0]]), among[:2])
  assert few.tolist() == [[1, 0]] and lengths.tolist() == [[1, 5]]


def test_a_distance_between_near_pictures_far_from_the_origin_is_exact():
  among = np.float32(1000 + np.eye(5) * 0.01)
  _, distances = nearest(among[:1], among)
  np.testing.assert_allclose(distances[0], [0, 0.01414, 0.01414, 0.01414], rtol=0.01)


def test_a_direction_in_which_pictures_hardly_differ_counts_as_much_as_any():
  random = np.random.default_rng(0)
  common, own = random.normal(size=(2, 5000, 1))
  features = np.float32(np.concatenate([common + 5, 3 * common + 0.3 * own], 1))  # nearly on a line
  mean, projection = whitening(features)
  white = whitened(features, mean, projection)
  np.testing.assert_allclose(np.cov(white.T), np.diag(np.diag(np.cov(white.T))), atol=0.01)
  assert np.std(white) == pytest.approx(1, abs=0.25)  # a little less where it is shrunk
  along, across = whitened(np.float32([[7, 6], [7, 0]]), mean, projection)  # both within the spread of each feature
  assert np.linalg.norm(along) < 2.2 and np.linalg.norm(across) > 10


def test_fewer_pictures_than_features_are_whitened_in_the_directions_that_there_are():
  random = np.random.default_rng(1)
  features = random.normal(size=(40, 100)).astype(np.float32)
  mean, projection = whitening(features)
  white = whitened(features, mean, projection)
  assert projection.shape == (100, 39)  # 40 points lie in 39 directions
  np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(39), atol=0.05)


def training_images(rows, distances):
  width = len(rows[0])
  return TrainingImages(
      np.zeros(width, np.float32), np.eye(width, dtype=np.float32), np.float32(rows), np.arange(len(rows)) % 2,
      [f"train/{i}.jpg" for i in range(len(rows))],
      [thumbnail(np.full((9, 7, 3), 20 * i, np.uint8)) for i in range(len(rows))], np.float32(distances))


def test_the_limit_is_the_99th_percentile_of_the_validation_images():
  training = training_images(np.eye(5), np.arange(101) / 100)
  assert training.limit == pytest.approx(0.99)
  np.testing.assert_allclose(training.distances_of(np.float32([[1, 0, 0, 0, 0]])), 3 * np.sqrt(2) / 4, rtol=1e-6)


def test_a_thumbnail_shows_the_picture_in_64_px():
  pixels = np.zeros((224, 224, 3), np.uint8)
  pixels[:112] = (250, 10, 10)
  small = opened(thumbnail(pixels))
  assert small.shape == (64, 64, 3) and small.dtype == np.uint8
  assert np.abs(small[:30].astype(int) - (250, 10, 10)).max() < 12 and small[34:].max() < 12
