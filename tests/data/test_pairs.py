"""A fake is paired with the image that it was made from, whatever their names and sizes."""

import numpy as np
import pytest
from PIL import Image

from fakeface_jax.data import pairs as module
from fakeface_jax.data.checking.duplicates import smaller_thumbnail, thumbnail_of
from fakeface_jax.data.pairs import pairs_of
from fakeface_jax.data.schema import FAKE, REAL


def photograph(seed, side=96):
  """Coarse colours under fine noise; nothing in common with that of another seed."""
  random = np.random.default_rng(seed)
  coarse = Image.fromarray(random.integers(20, 235, (6, 6, 3)).astype(np.uint8)).resize((side, side), Image.BICUBIC)
  return np.clip(np.asarray(coarse) + random.normal(0, 4, (side, side, 3)), 0, 255).astype(np.uint8)


def swapped(image, seed):
  """The same frame, a little brighter, with another face in it: a seventh of the picture."""
  result = np.clip(image * 1.05 + 3, 0, 255).astype(np.uint8)
  result[32:68, 30:66] = 0.5 * result[32:68, 30:66] + 0.5 * photograph(1000 + seed)[:36, :36]
  return result


def thumbnails(images):
  return np.stack([smaller_thumbnail(thumbnail_of(image)) for image in images])


@pytest.mark.parametrize("rows", [3, 1024])
def test_the_frame_tells_which_real_a_fake_was_made_from(rows, monkeypatch):
  monkeypatch.setattr(module, "ROWS", rows)
  reals = [photograph(seed) for seed in range(10)]
  fakes = [*(swapped(reals[seed], seed) for seed in (7, 2, 9, 0)), photograph(50)]  # the last: of no frame that is here
  images, labels = [*fakes, *reals], [FAKE] * 5 + [REAL] * 10
  assert pairs_of(thumbnails(images), labels).tolist() == [[5, 3], [7, 1], [12, 0], [14, 2]]


def test_of_two_fakes_of_one_frame_the_nearer_is_in_the_pair():
  real = photograph(0)
  fakes = [swapped(swapped(real, 1), 2), swapped(real, 1)]
  assert pairs_of(thumbnails([*fakes, real]), [FAKE, FAKE, REAL]).tolist() == [[2, 1]]


def test_what_is_not_alike_or_shows_nothing_is_in_no_pair():
  flat = np.full((96, 96, 3), 90, np.uint8)
  images, labels = [photograph(0), photograph(1), flat, flat], [REAL, FAKE, REAL, FAKE]
  assert pairs_of(thumbnails(images), labels).tolist() == []
  for one in (REAL, FAKE):
    assert pairs_of(thumbnails(images), [one] * 4).shape == (0, 2)
