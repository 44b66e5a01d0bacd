"""Occlusion worked out by hand, and what stands in for covered pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.errors import UserError
from fakeface_jax.explain.fill import BLUR, blur, fill_images
from fakeface_jax.explain.occlusion import occlusion
from fakeface_jax.models.network import normalize
from tests.explain.tiny import Network, explain, linear

BRIGHT = np.arange(1, 10, dtype=np.float32).reshape(3, 3, 1)


def test_windows_side_by_side():
  # The logit is the sum of all pixels: a black window takes its own sum away.
  image = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
  got = explain(occlusion, linear(np.ones((4, 4, 1))), image, window=2, stride=2, fill="grey")
  np.testing.assert_allclose(got[0], np.kron([[10, 18], [42, 50]], np.ones((2, 2))), rtol=1e-5)


def test_a_pixel_has_the_mean_of_the_windows_on_it():
  # The sums of the four windows of 2 x 2: 12, 16, 24, 28.
  got = explain(occlusion, linear(np.ones((3, 3, 1))), BRIGHT, window=2, stride=1, fill="grey", batch_size=3)
  np.testing.assert_allclose(got[0], [[12, 14, 16], [18, 20, 22], [24, 26, 28]], rtol=1e-5)


def test_the_last_windows_are_cut_at_the_edge():
  # Along a side of 3, windows of 2 start at 0 and 2: 1 + 2 + 4 + 5, 3 + 6, 7 + 8, 9.
  got = explain(occlusion, linear(np.ones((3, 3, 1))), BRIGHT, window=2, stride=2, fill="grey")
  np.testing.assert_allclose(got[0], [[12, 12, 9], [12, 12, 9], [15, 15, 9]], rtol=1e-5)


def test_rows_and_columns_are_not_mixed_up():
  # Height 2, width 5: windows of 2 start at columns 0, 2, 4.
  image = np.arange(10, dtype=np.float32).reshape(2, 5, 1)
  got = explain(occlusion, linear(np.ones((2, 5, 1))), image, window=2, stride=2, fill="grey")
  np.testing.assert_allclose(got[0], [[12, 12, 20, 20, 13]] * 2, rtol=1e-5)


def test_what_speaks_against_the_target_is_negative():
  got = explain(occlusion, linear(-np.ones((3, 3, 1))), BRIGHT, window=1, stride=1, fill="grey")
  np.testing.assert_allclose(got[0], -BRIGHT[..., 0], rtol=1e-5)


def test_by_default_a_window_is_an_eighth_of_the_image_and_moves_by_half_of_it():
  image = np.random.default_rng(0).standard_normal((32, 40, 1), np.float32)
  model = linear(np.random.default_rng(1).standard_normal((32, 40, 1)))
  np.testing.assert_array_equal(
      explain(occlusion, model, image), explain(occlusion, model, image, window=4, stride=2, fill="mean"))


def test_maps_belong_to_their_images_whatever_the_batch_size():
  images = np.random.default_rng(0).standard_normal((3, 4, 4, 1), np.float32)
  model = Network(lambda x: (x[:, :-1] * x[:, 1:]).sum(axis=(1, 2, 3)))
  settings = {"window": 2, "stride": 1}
  together = explain(occlusion, model, images, batch_size=5, **settings)
  for image, got in zip(images, together, strict=True):
    np.testing.assert_allclose(explain(occlusion, model, image, batch_size=16, **settings)[0], got, atol=1e-5)


def test_a_moved_pattern_moves_its_map():
  model = Network(lambda x: jax.nn.relu(x[:, :, :-1] - x[:, :, 1:]).sum(axis=(1, 2, 3)) ** 2)
  image = np.zeros((16, 16, 1), np.float32)
  image[4:7, 4:6, 0] = [[1, 3], [2, 5], [4, 1]]
  images = np.stack([image, np.roll(image, (2, 6), (0, 1))])
  got = explain(occlusion, model, images, window=4, stride=2, fill="grey")
  assert got[0].max() > 10
  np.testing.assert_allclose(got[1], np.roll(got[0], (2, 6), (0, 1)), atol=1e-4)


@pytest.mark.parametrize("settings, message", [
    ({"window": 5}, "occlusion.window=5 is larger than the image of 6 x 4 pixels"),
    ({"window": 2, "stride": 3}, "occlusion.stride=3 leaves gaps between windows of 2 pixels; use 2 or less"),
    ({"fill": "red"}, "fill 'red' is not known; use mean, blur, grey, black, white, or a grey level from 0 to 255")])
def test_impossible_settings_are_refused_in_one_line(settings, message):
  with pytest.raises(UserError) as error:
    explain(occlusion, linear(np.ones((4, 6, 3))), np.ones((4, 6, 3)), **settings)
  assert str(error.value) == message


# --- fills -----------------------------------------------------------------------------------------------------------

IMAGES = np.random.default_rng(3).standard_normal((2, 32, 24, 3), np.float32)


def test_the_mean_is_each_images_own_colour():
  filled = fill_images(jnp.asarray(IMAGES), "mean")
  np.testing.assert_allclose(filled[1, 7, 9], IMAGES[1].mean(axis=(0, 1)), atol=1e-6)
  np.testing.assert_array_equal(filled, np.broadcast_to(filled[:, :1, :1], IMAGES.shape))


@pytest.mark.parametrize(
    "fill, level", [("black", 0), ("white", 255), ("128", 128), (128, 128), (12.5, 12.5), (0, 0), (255, 255)])
def test_grey_levels_are_those_of_pixels(fill, level):
  filled = fill_images(jnp.asarray(IMAGES), fill)
  assert filled.shape == IMAGES.shape
  # The mean and deviation of ImageNet, written out.
  expected = (level / 255 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
  np.testing.assert_allclose(filled[1, 3, 4], expected, atol=1e-5)
  np.testing.assert_array_equal(filled, np.broadcast_to(filled[0, 0, 0], IMAGES.shape))


def test_grey_is_the_middle_of_the_normalised_range():
  np.testing.assert_array_equal(fill_images(jnp.asarray(IMAGES), "grey"), np.zeros(IMAGES.shape))
  assert np.abs(normalize(np.full((1, 1, 1, 3), [124, 116, 104], np.uint8))).max() < 0.01


@pytest.mark.parametrize("fill", ["red", "-1", 256, "nan", "", None])
def test_unknown_fills_are_refused(fill):
  with pytest.raises(UserError, match="is not known; use mean, blur, grey, black, white"):
    fill_images(jnp.asarray(IMAGES), fill)


def test_blurring_is_a_gaussian_with_mirrored_edges():
  from scipy.ndimage import gaussian_filter1d

  filled = jax.jit(blur)(IMAGES)
  expected = gaussian_filter1d(IMAGES, BLUR * 32, axis=1, mode="reflect", truncate=8)
  expected = gaussian_filter1d(expected, BLUR * 24, axis=2, mode="reflect", truncate=8)
  np.testing.assert_allclose(filled, expected, atol=1e-5)


def test_blurring_keeps_constant_images_and_the_mean():
  constant = jnp.broadcast_to(jnp.array([1.0, -2.0, 0.5]), (1, 17, 9, 3))
  np.testing.assert_allclose(jax.jit(blur)(constant), constant, rtol=1e-5)
  np.testing.assert_allclose(jax.jit(blur)(IMAGES).mean(axis=(1, 2)), IMAGES.mean(axis=(1, 2)), atol=1e-5)
