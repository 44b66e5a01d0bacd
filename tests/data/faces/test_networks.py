import importlib.util

import numpy as np
import pytest
from scipy.signal import correlate

from fakeface_jax.data.faces import networks
from fakeface_jax.data.faces.detect import face_detector
from fakeface_jax.errors import UserError


def test_a_convolution_is_what_its_definition_says_whatever_parts_it_is_made_in(monkeypatch):
  random = np.random.default_rng(0)
  x = random.normal(size=(2, 7, 9, 3)).astype(np.float32)
  kernel, bias = random.normal(size=(3, 2, 3, 4)).astype(np.float32), np.float32([0.5, -1, 0, 2])
  slope = np.float32([[[0.25, -0.5, 1.5, 0]]])
  sums = np.stack([
      np.stack([correlate(image, kernel[..., out], "valid")[..., 0] for out in range(4)], -1) for image in x]) + bias
  expected = np.where(sums > 0, sums, sums * slope)
  for part in (1 << 19, 5 * 18):
    monkeypatch.setattr(networks, "PART", part)
    np.testing.assert_allclose(networks._convolve(x, kernel, bias, slope), expected, atol=1e-5)


def test_pooling_takes_what_is_there_at_the_end_or_leaves_it():
  x = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
  np.testing.assert_array_equal(networks._pool(x, 2)[0, ..., 0], [[6, 8, 9], [16, 18, 19], [21, 23, 24]])
  np.testing.assert_array_equal(networks._pool(x, 3)[0, ..., 0], [[12, 14, 14], [22, 24, 24], [22, 24, 24]])
  np.testing.assert_array_equal(networks._pool(x[:, :4, :4], 3, padded=False)[0, ..., 0], [[12]])


def test_no_patches_are_no_faces():
  assert networks.sift(np.zeros((0, 24, 24, 3), np.float32))[0].shape == (0,)
  assert networks.look(np.zeros((0, 48, 48, 3), np.float32))[2].shape == (0, 5, 2)


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
  networks.weights.cache_clear()
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  with pytest.raises(UserError, match=r"^finding faces needs the package mtcnn: pip install 'mtcnn>=1'$"):
    face_detector()
