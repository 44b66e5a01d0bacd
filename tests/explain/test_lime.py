"""LIME: the `lime` package's own coefficients, superpixels of photographs, and a model that is linear in them."""

from pathlib import Path

import numpy as np
import pytest

from fakeface_jax.errors import UserError
from fakeface_jax.explain import lime as of_lime
from fakeface_jax.explain.lime import coefficients, lime, random_choices, superpixels
from tests.explain.golden_inputs import LIME_PHOTOGRAPHS, brightness_of_face, photographs

GOLDEN = Path(__file__).parent / "golden" / "lime.npz"
FAKE = np.array([1])


@pytest.mark.parametrize("number", range(len(LIME_PHOTOGRAPHS)))
def test_maps_are_those_of_the_lime_package(number, monkeypatch):
  with np.load(GOLDEN) as file:
    regions, shown, expected = (file[f"{name}_{number}"] for name in ("regions", "shown", "coefficients"))
  image = photographs()[LIME_PHOTOGRAPHS[number]]
  monkeypatch.setattr(of_lime, "superpixels", lambda *_: regions)
  monkeypatch.setattr(of_lime, "random_choices", lambda *_: shown)
  got = lime(brightness_of_face, image[None], FAKE, samples=len(shown), fill="black", batch_size=7)
  assert got.shape == (1, 96, 128) and got.dtype == np.float32
  np.testing.assert_allclose(got[0], expected[regions], atol=1e-5 * np.abs(expected).max())
  assert expected.min() < -0.05 * expected.max()


@pytest.mark.parametrize("name", photographs())
def test_superpixels_are_about_as_many_as_asked_for_whatever_the_photograph(name):
  regions = superpixels(photographs()[name], 40)
  assert regions.shape == (96, 128)
  np.testing.assert_array_equal(np.unique(regions), np.arange(regions.max() + 1))
  assert 20 <= regions.max() + 1 <= 60


def test_superpixels_follow_the_outlines_of_a_photograph():
  face = photographs()["as it is"].astype(np.float64)
  regions = superpixels(face.astype(np.uint8), 40)
  spread = sum(((face[regions == i] - face[regions == i].mean(axis=0)) ** 2).sum() for i in np.unique(regions))
  squares = np.arange(96)[:, None] // 16 * 8 + np.arange(128) // 16  # 48 of them
  of_squares = sum(((face[squares == i] - face[squares == i].mean(axis=0)) ** 2).sum() for i in np.unique(squares))
  assert spread < 0.7 * of_squares


def test_the_first_sample_is_the_image_and_half_of_the_others_is_covered():
  shown = random_choices(400, 30)
  assert shown.dtype == bool and shown.shape == (400, 30) and shown[0].all()
  np.testing.assert_allclose(shown[1:].mean(axis=0), np.full(30, 0.5), atol=0.12)
  np.testing.assert_array_equal(shown, random_choices(400, 30))


def test_a_regression_worked_out_by_hand():
  # Both shown (distance 0, weight 1), the first only (1 - sqrt(1/2), w), none (1, v); scores 4, 3, 0. With weighted
  # means taken away, (X'WX + 1) b = X'Wy.
  shown, scores = np.array([[True, True], [True, False], [False, False]]), np.array([4.0, 3.0, 0.0])
  w, v = np.exp(-0.5 * (1 - np.sqrt(0.5)) ** 2 / 0.0625), np.exp(-8)
  total = 1 + w + v
  a, b, y = (1 + w) / total, 1 / total, (4 + 3 * w) / total
  aa, bb, ab = (1 + w) - total * a * a, 1 - total * b * b, 1 - total * a * b
  ay, by = 4 + 3 * w - total * a * y, 4 - total * b * y
  expected = np.linalg.solve([[aa + 1, ab], [ab, bb + 1]], [ay, by])
  np.testing.assert_allclose(coefficients(shown, scores), expected, rtol=1e-12)


def test_what_is_linear_in_superpixels_gets_its_own_coefficients():
  image = photographs()["as it is"]
  regions = superpixels(image, 20)
  speaks = regions[40, 60]
  sizes = np.bincount(regions.ravel())

  def logits_of(images):  # 5 for one superpixel, -2 for the first, as far as they are what they were
    same = (np.abs(images - image).sum(axis=-1) < 1e-3).reshape(len(images), -1)
    share = np.stack([np.bincount(regions.ravel(), one) for one in same]) / sizes
    score = 5 * share[:, speaks] - 2 * share[:, 0]
    return np.stack([-score, score], axis=-1)

  for of_class, sign in ((1, 1), (0, -1)):
    got = sign * lime(logits_of, image[None], np.array([of_class]), samples=300, segments=20, fill="white")[0]
    assert 4.5 < got[40, 60] < 5 and -2 < got[0, 0] < -1.7
    assert np.abs(got[(regions != speaks) & (regions != 0)]).max() < 0.1


def test_maps_belong_to_their_images_whatever_the_batch_size():
  images = np.stack([photographs()[name] for name in LIME_PHOTOGRAPHS])
  settings = {"samples": 30, "segments": 15}
  together = lime(brightness_of_face, images, np.array([1, 0]), batch_size=4, **settings)
  assert np.abs(together).max(axis=(1, 2)).min() > 0.01
  for image, of_class, got in zip(images, (1, 0), together, strict=True):
    alone = lime(brightness_of_face, image[None], np.array([of_class]), batch_size=64, **settings)[0]
    np.testing.assert_allclose(alone, got, rtol=1e-6)


def test_what_covers_is_what_fill_says():
  seen = []
  image = photographs()["as it is"]
  logits_of = lambda images: seen.append(images) or np.zeros((len(images), 2))
  for fill, colour in (("mean", image.mean(axis=(0, 1))), ("white", [255] * 3), (12, [12] * 3)):
    lime(logits_of, image[None], FAKE, samples=9, segments=9, fill=fill, batch_size=9)
    shown, regions = random_choices(9, superpixels(image, 9).max() + 1), superpixels(image, 9)
    np.testing.assert_allclose(seen[-1], np.where(shown[:, regions][..., None], image, np.float32(colour)), atol=1e-3)
  with pytest.raises(UserError, match=r"^fill 'red' is not known; use mean, blur, grey"):
    lime(logits_of, image[None], FAKE, fill="red")
