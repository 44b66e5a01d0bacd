import io

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fakeface_jax.pretraining import optics


@pytest.fixture(scope="module")
def image():
  coarse = np.random.default_rng(0).random((8, 8, 3), np.float32)
  return ndimage.zoom(coarse, (8, 8, 1), order=3).clip(0, 1)


@pytest.mark.parametrize("sigma", [0.6, 1.7])
def test_a_blur_is_scipys_away_from_the_border(image, sigma):
  ours = np.asarray(optics.blur(image, sigma))
  expected = ndimage.gaussian_filter(image, (sigma, sigma, 0), truncate=8)
  np.testing.assert_allclose(ours[12:-12, 12:-12], expected[12:-12, 12:-12], atol=1e-5)
  np.testing.assert_allclose(optics.blur_matrix(16, sigma).sum(1), 1, atol=1e-6)


def test_a_window_is_pillows_resize(image):
  rows = optics.window_matrix(24, 64, 8.0, 48.0)
  ours = np.asarray(optics.separable(image, rows))
  plane = Image.fromarray(image[..., 1]).resize((24, 24), Image.Resampling.BILINEAR, (8, 8, 56, 56))
  np.testing.assert_allclose(ours[1:-1, 1:-1, 1], np.asarray(plane)[1:-1, 1:-1], atol=2e-3)


@pytest.mark.parametrize("kernel, resampling", [
    (optics.BOX, Image.Resampling.NEAREST), (optics.LINEAR, Image.Resampling.BILINEAR),
    (optics.CUBIC, Image.Resampling.BICUBIC)])
def test_a_roundtrip_is_pillows(image, kernel, resampling):
  ours = np.asarray(optics.separable(image, optics.roundtrip_matrix(64, 0.5, kernel)))
  small = Image.fromarray(image[..., 0]).resize((32, 32), Image.Resampling.BILINEAR)
  expected = np.asarray(small.resize((64, 64), resampling))
  np.testing.assert_allclose(ours[4:-4, 4:-4, 0], expected[4:-4, 4:-4], atol=2e-3)


@pytest.mark.parametrize("kernel", [optics.BOX, optics.LINEAR, optics.CUBIC])
def test_a_roundtrip_of_the_whole_size_changes_nothing(kernel):
  np.testing.assert_allclose(optics.roundtrip_matrix(16, 1.0, kernel), np.eye(16), atol=1e-6)


@pytest.mark.parametrize("quality", [35, 75, 95])
def test_jpegs_loss_is_a_real_encoders(image, quality):
  ours = np.asarray(optics.jpeg(jnp.asarray(image), float(quality), False)) * 255
  pixels = np.uint8(np.round(image * 255))
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
  real = np.asarray(Image.open(file), np.float32)
  loss = np.abs(real - pixels).mean()
  assert loss > 1 and np.abs(ours - real).mean() < 0.35  # of 255: what rounding in between amounts to
  assert np.abs(ours - pixels).mean() == pytest.approx(loss, rel=0.1)


def test_halved_colours_leave_the_light_alone(image):
  grey = jnp.asarray(image[..., :1].repeat(3, -1))
  np.testing.assert_array_equal(optics.jpeg(grey, 80.0, True), optics.jpeg(grey, 80.0, False))
  assert np.abs(optics.jpeg(image, 98.0, True) - optics.jpeg(image, 98.0, False)).max() > 0.01
