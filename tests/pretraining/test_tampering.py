import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fakeface_jax.pretraining import scenes, tampering

pytestmark = pytest.mark.slow

CROP, COUNT = 48, 48


@pytest.fixture(scope="module")
def pictures():
  side = CROP + tampering.MARGIN
  draw = jax.jit(jax.vmap(lambda key, number: scenes.scene(key, number, side)))
  return draw(random.split(random.key(0), COUNT), jnp.arange(COUNT) // 2)


@pytest.fixture(scope="module")
def samples(pictures):
  sample = jax.jit(jax.vmap(lambda key, host, donor: tampering.sample(key, host, donor, CROP)))
  run = lambda donors: jax.tree.map(np.asarray, sample(random.split(random.key(1), COUNT), pictures, donors))
  return run(jnp.roll(pictures, 1, 0)), run(jnp.ones_like(pictures))


def test_a_scene_follows_from_its_key_and_its_class(pictures):
  again = scenes.scene(random.split(random.key(0), COUNT)[3], 1, CROP + tampering.MARGIN)
  np.testing.assert_allclose(again, pictures[3], atol=1e-4)
  other = scenes.scene(random.split(random.key(0), COUNT)[3], 2, CROP + tampering.MARGIN)
  assert np.abs(other - pictures[3]).mean() > 0.01
  assert pictures.min() >= 0 and pictures.max() <= 1


def test_programs_of_a_class_are_alike_and_of_two_are_not():
  u, v = jnp.meshgrid(jnp.linspace(-1, 1, 32), jnp.linspace(-1, 1, 32))
  np.testing.assert_array_equal(scenes.program(5, u, v), scenes.program(5, u, v))
  assert np.abs(np.corrcoef(scenes.program(5, u, v).ravel(), scenes.program(6, u, v).ravel())[0, 1]) < 0.5


def test_what_is_not_tampered_with_has_no_mask_and_no_difference(samples):
  first, _ = samples
  genuine = first["tampered"] == 0
  assert 0.2 < genuine.mean() < 0.6  # 1 - TAMPERED = 0.4
  assert not first["mask"][genuine].any() and not first["differs"][genuine].any()
  assert all(first["mask"].max((1, 2))[~genuine] > 0.05)


def test_the_donor_shows_only_where_the_content_differs(samples):
  first, second = samples  # the same but for the donors
  foreign = first["differs"][:, tampering.PROPERTIES.index("content")] > 0
  changed = np.abs(first["image"] - second["image"]).mean((1, 2, 3)) > 0
  assert foreign.any() and not changed[~foreign].any() and changed[foreign].mean() > 0.8
  far = first["mask"] == 0
  distance = np.abs(first["image"] - second["image"]).mean(-1)
  assert distance[foreign][far[foreign]].mean() < 0.2 * distance[foreign][first["mask"][foreign] > 0.5].mean()


def test_pixels_are_whole_numbers_and_labels_have_unit_spread(samples):
  image = samples[0]["image"]
  np.testing.assert_array_equal(image, np.round(image))
  assert image.min() >= 0 and image.max() <= 255 and image.shape == (COUNT, CROP, CROP, 3)
  camera = jax.vmap(lambda key: tampering.camera_label(tampering.camera_of(key)))(random.split(random.key(2), 4000))
  np.testing.assert_allclose(camera.mean(0), 0, atol=0.12)
  np.testing.assert_allclose(camera.std(0), 1, atol=0.15)


def test_another_lamp_changes_light_more_than_hue_and_away_from_black_and_white():
  keys = random.split(random.key(3), 2000)
  dark, bright = (np.array(jax.vmap(lambda key: tampering.lamp(key, jnp.full(3, grey)))(keys)) for grey in (0.2, 0.8))  # noqa: B023
  assert (dark.mean(1) > 0).all() and (bright.mean(1) < 0).all()
  assert dark.mean(1).max() == pytest.approx(tampering.LIGHT, abs=0.01)
  assert dark.mean(1).mean() == pytest.approx(tampering.LIGHT / 2, abs=0.01)
  assert dark.std(1).mean() < 0.5 * dark.mean(1).mean()


def test_a_region_of_another_colour_is_lighter_or_darker(samples):
  colour = tampering.PROPERTIES.index("colour")
  jump = np.array([
      np.abs(image[mask > 0.9].mean(0) - image[mask == 0].mean(0)).mean() if (mask > 0.9).any() and (mask == 0).any()
      else np.nan for image, mask in zip(samples[0]["image"], samples[0]["mask"], strict=True)])
  other = samples[0]["differs"][:, colour] > 0
  same = (samples[0]["tampered"] > 0) & ~other
  assert np.nanmean(jump[other]) > 1.5 * np.nanmean(jump[same])
