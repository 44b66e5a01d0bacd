import jax
import numpy as np
import pytest

from fakeface_jax.explain import inpaint as module

SIDES = [(16, 16), (15, 22), (1, 9)]
compiled = jax.jit(module.inpaint)


def inpaint(images, keep):
  return np.asarray(compiled(images, keep))


def images_and_holes(shape, kept=0.5, count=2):
  random = np.random.default_rng(0)
  return random.standard_normal((count, *shape, 3)).astype(np.float32), random.random((count, *shape)) < kept


@pytest.mark.parametrize("shape", SIDES)
def test_kept_pixels_stay_bit_by_bit_and_removed_ones_say_nothing(shape):
  images, keep = images_and_holes(shape)
  filled = inpaint(images, keep)
  np.testing.assert_array_equal(filled[keep], images[keep])
  others = images.copy()
  others[~keep] = np.nan
  np.testing.assert_array_equal(inpaint(others, keep), filled)
  assert (filled[~keep] != images[~keep]).all()


@pytest.mark.parametrize("kept", [0.5, 0.02])
@pytest.mark.parametrize("shape", SIDES)
def test_a_constant_picture_stays_constant(shape, kept):
  images, keep = images_and_holes(shape, kept)
  keep[:, 0, 0] = True
  flat = np.broadcast_to(np.float32([0.7, -1.2, 2.0]), images.shape)
  np.testing.assert_allclose(inpaint(flat, keep), flat, rtol=2e-6)


def test_a_single_kept_pixel_is_the_colour_of_all_and_none_is_grey():
  images, keep = images_and_holes((15, 22), kept=0)
  keep[0, 4, 7] = True
  filled = inpaint(images, keep)
  np.testing.assert_allclose(filled[0], np.broadcast_to(images[0, 4, 7], (15, 22, 3)), rtol=1e-5)
  assert (filled[1] == 0).all()


def test_a_ramp_with_holes_is_recovered():
  ramp = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None, None], (1, 64, 64, 3))
  keep = np.random.default_rng(1).random((1, 64, 64)) < 0.5
  keep[:, 20:28, 30:38] = False
  error = np.abs(inpaint(ramp, keep) - ramp)
  assert error.max() < 0.06 and error.mean() < 0.005  # one step of the ramp is 0.016
  # The hole goes on from its own surroundings: its upper rows are the darker ones, and it is symmetric on average.
  hole = inpaint(ramp, keep)[0, 20:28, 30:38, 0].mean(axis=1)
  assert (np.diff(hole) > 0).all() and hole.mean() == pytest.approx(23.5 / 63, abs=0.01)


def test_few_scattered_pixels_are_drawn_on_where_they_are():
  halves = np.zeros((1, 64, 64, 3), np.float32)
  halves[:, :, 32:] = 1
  keep = np.random.default_rng(2).random((1, 64, 64)) < 0.02
  filled = inpaint(halves, keep)[..., 0]
  assert filled[0, :, :20].mean() < 0.05 and filled[0, :, 44:].mean() > 0.95


def test_a_row_worked_out_by_hand():
  row = np.float32([1, 3, 9]).reshape(1, 1, 3, 1).repeat(3, -1)
  filled = inpaint(row, np.array([True, True, False]).reshape(1, 1, 3))[0, 0, :, 0]
  # Coarser: (3*1 + 3*3) / 6 = 2 of the first two, with a weight of 4 * 3/8 * 6/8, which is over 1; and 3, as the second
  # pixel's share of 1/8 is all that the next place sees, with 4 * 3/8 * 1/8 = 3/16 (3/8: a row without neighbours).
  # Coarsest: (2 * 1 + 3 * 3/16) / (1 + 3/16) = 41/19. Back: the second place is 3 * 3/16 + 41/19 * 13/16, and the third
  # pixel lies a quarter of the way from there to the first.
  second = 3 * 3 / 16 + 41 / 19 * 13 / 16
  np.testing.assert_allclose(filled, [1, 3, 3 / 4 * second + 1 / 4 * 2], rtol=1e-6)
