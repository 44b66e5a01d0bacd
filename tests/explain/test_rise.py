"""RISE: its masks, the paper's sum written out, and a network whose map is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from fakeface_jax.errors import UserError
from fakeface_jax.explain.rise import enlarged, random_grid, rise
from tests.explain.golden_inputs import photographs
from tests.explain.tiny import Network, explain, linear

SIZE = (12, 20)


def masks_of(count, size=SIZE, cells=4, keep=0.5):
  """float32[count, H, W]"""
  mask_of = lambda index: enlarged(*random_grid(index, size, cells, keep), size)
  return np.asarray(jax.jit(jax.vmap(mask_of))(jnp.arange(count)))


# --- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size, cells, shifts", [((12, 20), 4, (0, 0)), ((12, 20), 4, (3, 5)), ((13, 18), 5, (1, 2))])
def test_a_mask_is_a_window_of_the_bilinear_enlargement(size, cells, shifts):
  grid = np.random.default_rng(0).integers(0, 2, (cells, cells)).astype(np.float32)
  height, width = ((cells + 1) * -(-side // cells) for side in size)
  whole = np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BILINEAR))
  expected = whole[shifts[0] :, shifts[1] :][: size[0], : size[1]]
  assert expected.shape == size
  np.testing.assert_allclose(enlarged(jnp.asarray(grid), shifts, size), expected, atol=1e-6)


def test_cells_are_kept_with_the_given_probability_and_every_shift_comes():
  grids, shifts = jax.vmap(lambda index: random_grid(index, SIZE, 4, 0.3))(jnp.arange(2000))
  assert {*np.unique(grids)} == {0, 1}
  np.testing.assert_allclose(grids.mean(axis=0), np.full((4, 4), 0.3), atol=0.04)
  # A cell has 3 x 5 px; shifts go from 0 to a whole cell.
  assert [{*np.unique(along).tolist()} for along in shifts.T] == [{0, 1, 2, 3}, {0, 1, 2, 3, 4, 5}]
  np.testing.assert_allclose(masks_of(2000, keep=0.3).mean(axis=0), np.full(SIZE, 0.3), atol=0.05)


# --- maps ------------------------------------------------------------------------------------------------------------


def test_maps_are_the_papers_sum_less_what_every_mask_gets():
  photograph = photographs()["as it is"].astype(np.float32) / 255  # not square
  model = Network(lambda x: jnp.tanh(x[:, 30:60, 50:80].mean(axis=(1, 2, 3)) * 3) - x[:, :, :9].mean(axis=(1, 2, 3)))
  got = explain(rise, model, photograph, masks=50, cells=5, keep=0.4, batch_size=7)[0]
  score = lambda image: float(model.apply({}, jnp.asarray(image[None]))[0, 1])
  masks = masks_of(50, photograph.shape[:2], 5, 0.4)
  scores = [score(photograph * mask[..., None]) for mask in masks]
  expected = np.zeros(photograph.shape[:2])
  for mask, one in zip(masks, scores, strict=True):
    expected += (one - np.mean(scores)) * mask / (0.4 * 50)
  np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())
  assert got[30:60, 50:80].mean() > 0 > got[:, :9].mean()


@pytest.mark.parametrize("settings, message", [
    ({"cells": 13}, "rise.cells=13 is more than the image of 20 x 12 pixels has"),
    ({"keep": 1.0}, "rise.keep=1.0 leaves nothing out; use a number below 1")])
def test_impossible_settings_are_refused_in_one_line(settings, message):
  with pytest.raises(UserError) as error:
    explain(rise, linear(np.ones((*SIZE, 1))), np.ones((*SIZE, 1)), masks=2, **settings)
  assert str(error.value) == message


def test_one_cell_shows_all_or_nothing():
  # The logit is 10 where all is shown, else 0: of q N masks, 10 (1 - q) / (keep N) each.
  image = np.arange(5, dtype=np.float32).reshape(1, 5, 1)
  shown = masks_of(40, (1, 5), 1, 0.25).mean()
  assert 0.1 < shown < 0.4
  got = explain(rise, linear(np.ones((1, 5, 1))), image, masks=40, cells=1, keep=0.25)
  np.testing.assert_allclose(got[0], np.full((1, 5), 10 * (1 - shown) * shown / 0.25), rtol=1e-5)


def test_a_pixel_that_counts_alone_is_found_as_sharply_as_masks_are():
  # The map of a linear network is weight times value times the masks' covariance with that pixel, over `keep`.
  image, weights, (row, column) = np.ones((*SIZE, 1)), np.zeros((*SIZE, 1)), (8, 5)
  weights[row, column] = -3
  got = explain(rise, linear(weights), image, masks=3000, cells=4, keep=0.5, batch_size=500)[0]
  along = [np.stack([_along(side, 4, shift) for shift in range(-(-side // 4) + 1)]) for side in SIZE]
  rows, columns = (np.einsum("spk,sk->p", weight, weight[:, at]) / len(weight)
                   for weight, at in zip(along, (row, column), strict=True))
  expected = -3 * 0.5 * rows[:, None] * columns
  np.testing.assert_allclose(got, expected, atol=0.06 * np.abs(expected).max())


def _along(side, cells, shift):
  """How much each cell counts at each pixel of an axis, by enlarging one cell after the other."""
  cell = -(-side // cells)
  bars = [np.asarray(Image.fromarray(row[None]).resize(((cells + 1) * cell, 1), Image.Resampling.BILINEAR))
          for row in np.eye(cells, dtype=np.float32)]
  return np.concatenate(bars).T[shift : shift + side]


def test_maps_belong_to_their_images_and_targets_whatever_the_batch_size():
  images = np.random.default_rng(0).standard_normal((3, *SIZE, 1), np.float32)
  model = Network(lambda x: (x[:, :-1] * x[:, 1:]).sum(axis=(1, 2, 3)))
  together = explain(rise, model, images, masks=10, cells=3, batch_size=4)
  for image, got in zip(images, together, strict=True):
    np.testing.assert_allclose(explain(rise, model, image, masks=10, cells=3, batch_size=16)[0], got, atol=1e-5)
  of_first = rise(model, {}, jnp.asarray(images), jnp.zeros(3, jnp.int32), masks=10, cells=3)
  np.testing.assert_allclose(of_first, np.zeros((3, *SIZE)), atol=1e-6)  # whose logit is always 0
