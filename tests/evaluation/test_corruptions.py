import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fakeface_jax.evaluation.corruptions import CORRUPTIONS, corrupted


def picture(side=96, channels=3):
  """Like a photograph: smooth areas, an edge, some texture."""
  random = np.random.default_rng(0)
  smooth = Image.fromarray(random.integers(40, 200, (6, 6, channels), np.uint8)).resize((side, side), 3)
  image = np.asarray(smooth) + random.normal(0, 6, (side, side, channels))
  image[side // 3 :, side // 2 :] += 30
  return np.uint8(np.clip(image, 0, 255))


def test_a_jpeg_is_what_pillow_would_have_saved():
  image, file = picture(), io.BytesIO()
  Image.fromarray(image).save(file, "JPEG", quality=45, subsampling=2)
  expected = np.asarray(Image.open(file)).astype(float)
  error = lambda quality: np.abs(corrupted(image, "jpeg", quality, resize=96, key=0) - expected).mean()
  assert error(45) < 0.7 and min(error(30), error(60)) > 1.5  # the encoders round otherwise


@pytest.mark.parametrize("sigma, resize", [(1, 96), (1, 32), (2, 96), (2, 192)])
def test_a_blur_is_as_wide_in_the_pixels_that_the_network_sees(sigma, resize):
  image = picture()
  width = sigma * 96 / resize
  expected = ndimage.gaussian_filter(image.astype(float), (width, width, 0), mode="nearest")
  got = corrupted(image, "blur", sigma, resize=resize, key=0)
  assert np.abs(got - expected).mean() < 0.6 < np.abs(image - expected).mean()


def test_noise_is_as_strong_as_said_and_the_same_at_every_level_and_time():
  grey = np.full((64, 64, 3), 128, np.uint8)
  noise = lambda sigma, key: corrupted(grey, "noise", sigma, resize=32, key=key) - 128.0
  assert noise(10, (0, 1)).std() == pytest.approx(10, abs=0.2) and abs(noise(10, (0, 1)).mean()) < 0.3
  np.testing.assert_array_equal(noise(10, (0, 1)), noise(10, (0, 1)))
  np.testing.assert_allclose(noise(20, (0, 1)), 2 * noise(10, (0, 1)), atol=1.5)
  assert abs(np.corrcoef(noise(10, (0, 1)).ravel(), noise(10, (0, 2)).ravel())[0, 1]) < 0.05


def test_brightness_stops_at_white():
  image = np.array([[0, 100, 200]], np.uint8)[..., None].repeat(3, -1)
  np.testing.assert_array_equal(corrupted(image, "brightness", 1.5, resize=1, key=0)[0, :, 0], [0, 150, 255])
  np.testing.assert_array_equal(corrupted(image, "brightness", 0.5, resize=1, key=0)[0, :, 0], [0, 50, 100])


def test_a_crop_is_the_middle():
  image = picture(100)
  np.testing.assert_array_equal(corrupted(image, "crop", 0.8, resize=50, key=0), image[10:90, 10:90])


def test_a_reduction_goes_by_what_the_network_sees():
  image = picture()
  by_hand = lambda side: np.asarray(Image.fromarray(image).resize((side, side), 2).resize((96, 96), 2))
  np.testing.assert_array_equal(corrupted(image, "resize", 0.5, resize=96, key=0), by_hand(48))
  np.testing.assert_array_equal(corrupted(image, "resize", 0.5, resize=48, key=0), by_hand(24))
  np.testing.assert_array_equal(corrupted(image, "resize", 0.5, resize=192, key=0), by_hand(48))  # enlarged for it


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_levels_away_from_the_untouched_picture_do_more_and_more_damage(name):
  corruption, image = CORRUPTIONS[name], picture()

  def damage(level):
    after = corrupted(image, name, level, resize=96, key=0)
    back = np.asarray(Image.fromarray(after).resize((96, 96), Image.Resampling.BILINEAR))
    return np.square(back.astype(float) - image).mean()

  assert damage(corruption.untouched) < (0.1 if name != "jpeg" else 40)  # halved colours remain
  for side in (-1, 1):
    levels = [level for level in corruption.levels if side * (level - corruption.untouched) > 0]
    damages = [damage(level) for level in sorted(levels, key=lambda level: abs(level - corruption.untouched))]
    assert all(np.diff(damages) > 0) and all(one > 0.1 for one in damages)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (37, 61)])
def test_any_size_goes_through_and_the_photograph_itself_stays_as_it_is(name, shape):
  image = picture(64)[: shape[0], : shape[1]]
  before = image.copy()
  for level in CORRUPTIONS[name].levels:
    after = corrupted(image, name, level, resize=24, key=3)
    assert after.dtype == np.uint8 and after.shape[-1] == 3 and (after.shape == image.shape or name == "crop")
  np.testing.assert_array_equal(image, before)
