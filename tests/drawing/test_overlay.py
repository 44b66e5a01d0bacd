"""What maps look like: to everybody, on any photograph, and in the right place of it."""

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from fakeface_jax.data.reading.square import resize_and_crop, seen_part
from fakeface_jax.drawing.overlay import (
  COLOURS,
  JET,
  VIOLET,
  evidence,
  heatmap,
  layer,
  legend,
  on_photograph,
  own_pixels,
  relief,
  tint,
  with_boxes,
)
from fakeface_jax.explain.methods import ATTRIBUTION, HEATMAP, SENSITIVITY

# How whoever lacks one kind of cone sees linear RGB (Machado, Oliveira & Fernandes, 2009, severity 1).
SIGHT = {
    "all three cones": np.eye(3),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]])}
GROUNDS = {
    "paper": (255, 255, 255), "pale skin": (235, 200, 180), "skin": (205, 150, 125), "brown skin": (120, 80, 60),
    "dark skin": (60, 40, 30), "black hair": (25, 20, 18), "grey": (128, 128, 128), "sky": (140, 180, 220)}
RISING = np.linspace(0, 1, 11, dtype=np.float32)


def as_seen(pixels, sight):
  """L*a*b* of uint8[N, 3] by whom sees so."""
  rgb = pixels / 255
  linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
  seen = np.clip(linear @ SIGHT[sight].T, 0, 1)
  return rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)[None])[0]


def rising_over(ground, colours=VIOLET):
  """uint8[11, 3], a map from nothing to full colour over one colour."""
  return heatmap(RISING[None], np.full((1, 11, 3), ground, np.uint8), 1.0, colours)[0]


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("ground", GROUNDS)
def test_more_evidence_looks_farther_from_the_photograph_by_about_equal_steps_to_everybody(ground, sight):
  lab = as_seen(rising_over(GROUNDS[ground]), sight)
  distances = deltaE_ciede2000(np.repeat(lab[:1], 11, 0), lab)
  steps = deltaE_ciede2000(lab[1:], lab[:-1])
  assert distances[0] == 0 and (np.diff(distances) > 0).all() and distances[-1] > 20
  assert steps.max() < 5 * steps.min()


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(("ground", "sign"), [("paper", -1), ("pale skin", -1), ("sky", -1), ("dark skin", 1),
                                              ("black hair", 1)])
def test_more_evidence_is_darker_on_what_is_light_and_lighter_on_what_is_dark(ground, sign, sight):
  lightness = as_seen(rising_over(GROUNDS[ground]), sight)[:, 0]
  assert (sign * np.diff(lightness) > 0).all() and abs(lightness[-1] - lightness[0]) > 12


def test_the_article_s_colours_do_not_keep_their_order():
  """Why they are an option: their lightness rises and falls."""
  steps = np.diff(as_seen(rising_over(GROUNDS["skin"], JET), "deuteranopia")[:, 0])
  assert steps.max() > 5 and steps.min() < -5


def test_there_is_one_hue_and_none_where_nothing_speaks():
  table = layer(RISING[None], (1, 11), 1.0)[0]
  assert (table[:, :3] == (150, 0, 255)).all() and table[0, 3] == 0 and (np.diff(table[:, 3].astype(int)) > 0).all()
  assert table[-1, 3] == 153  # two fifths of the photograph is seen through full colour
  assert (layer(RISING[None], (1, 11), 1.0, JET)[..., 3] == 128).all()


def test_the_article_s_colours_go_from_blue_over_green_to_red():
  np.testing.assert_array_equal(
      layer(np.float32([[0, 0.5, 1, 7]]), (1, 4), 1.0, JET)[0, :, :3],
      [[0, 0, 127], [125, 255, 129], [127, 0, 0], [127, 0, 0]])


def test_a_map_without_evidence_leaves_the_photograph_and_one_of_full_strength_covers_most_of_it():
  image = np.full((4, 4, 3), 100, np.uint8)
  flat = lambda value, full, colours=VIOLET: np.unique(
      heatmap(np.full((2, 2), value, np.float32), image, full, colours).reshape(-1, 3), axis=0).tolist()
  assert flat(0, 3.0) == [[100, 100, 100]] and flat(3, 3.0) == flat(1e9, 3.0) == [[130, 40, 193]]
  assert flat(0, 3.0, JET) == [[50, 50, 114]] and flat(3, 3.0, JET) == [[114, 50, 50]]
  # A layer that never spoke in validation has scale 0: still nothing, not divided by zero.
  assert flat(0, 0.0) == [[100, 100, 100]]


def test_pixel_gradients_are_grey_where_nothing_speaks():
  np.testing.assert_array_equal(relief(np.array([[[-9.0, 0, 1]]]), 2.0), [[[1, 128, 191]]])


def test_attributions_are_red_for_and_blue_against_and_pale_where_nothing_speaks():
  image = np.full((1, 3, 3), 100, np.uint8)
  against, nothing, strong = tint(np.array([[-2.0, 0, 9]]), image, 2.0)[0].astype(int)
  np.testing.assert_array_equal(against, [0, 60, 220])
  np.testing.assert_array_equal(strong, [200, 0, 20])
  np.testing.assert_array_equal(nothing, [195, 195, 195])


def test_signed_maps_speak_by_their_size_or_by_what_adds():
  pixels = np.float32([[[-3, 0, 0], [1, 1, 1]]])
  np.testing.assert_allclose(evidence(SENSITIVITY, pixels), [[1, 1]])
  np.testing.assert_allclose(evidence(ATTRIBUTION, pixels), [[0, 3]])
  np.testing.assert_allclose(evidence(ATTRIBUTION, np.float32([[-2, 5]])), [[0, 5]])
  np.testing.assert_allclose(evidence(HEATMAP, np.float32([[2, 0]])), [[2, 0]])


@pytest.mark.parametrize("colours", COLOURS)
def test_legends_run_from_nothing_to_full(colours):
  title, ends, bar = legend(HEATMAP, "fake", colours)
  assert title == "evidence for fake" and ends == ("none", "", "full colour or more") and bar.shape == (1, 256, 3)
  np.testing.assert_array_equal(
      bar[0, [0, -1]], [heatmap(np.float32([[level]]), np.full((1, 1, 3), 208, np.uint8), 1.0, colours)[0, 0]
                        for level in (0, 1)])
  assert legend(SENSITIVITY, "real", colours)[2][0, 0].tolist() == [1, 1, 1]
  assert legend(ATTRIBUTION, "real", colours)[2][0, [0, -1]].tolist() == [[0, 60, 220], [200, 0, 20]]


@pytest.mark.parametrize(("shape", "resize", "crop"), [
    ((480, 640), 256, 224), ((640, 480), 72, 72), ((1000, 1000), 256, 224), ((301, 77), 96, 80)])
def test_the_part_that_is_seen_is_the_part_that_is_cut_out(shape, resize, crop):
  rows, columns = np.indices(shape, dtype=np.float32)
  place = np.stack([255 * columns / shape[1], 255 * rows / shape[0], 0 * rows], -1).astype(np.uint8)
  left, top, side = seen_part(shape, resize, crop)
  seen = resize_and_crop(place, resize, crop)
  middle = seen[crop // 2, crop // 2, :2] / 255 * shape[::-1]
  np.testing.assert_allclose(middle, [left + side / 2, top + side / 2], atol=0.012 * max(shape) + 1)
  own = own_pixels(place, (left, top, side))
  assert own.shape == (round(side), round(side), 3)
  np.testing.assert_allclose(own[round(side) // 2, round(side) // 2, :2], seen[crop // 2, crop // 2, :2], atol=3)
  across = (seen[crop // 2, -1, 0] - float(seen[crop // 2, 0, 0])) / 255 * shape[1]
  np.testing.assert_allclose(across, side * (crop - 1) / crop, atol=0.02 * max(shape))


def test_a_map_lies_on_its_window_of_the_photograph_and_nowhere_else():
  photograph = np.full((120, 200, 3), 100, np.uint8)
  laid = on_photograph(photograph, np.ones((7, 7), np.float32), (60.2, 29.8, 50.1), 1.0)
  violet = (laid == (130, 40, 193)).all(-1)
  assert violet[30:80, 60:110].all() and violet.sum() == 50 * 50 and (photograph == 100).all()
  assert (laid[~violet] == 100).all()


def test_a_window_over_the_border_is_cut_off_there_and_its_map_is_not_moved():
  photograph, cam = np.full((100, 100, 3), 100, np.uint8), np.zeros((8, 8), np.float32)
  cam[2:4, 5:7] = 1
  whole = on_photograph(np.full((300, 300, 3), 100, np.uint8), cam, (70, 60, 80), 1.0)
  np.testing.assert_array_equal(on_photograph(photograph, cam, (-30, -40, 80), 1.0), whole[100:200, 100:200])
  assert (on_photograph(photograph, cam + 1, (-30, -40, 80), 1.0) != 100).any(-1).sum() == 50 * 40
  np.testing.assert_array_equal(on_photograph(photograph, cam, (200, -500, 80), 1.0), photograph)


def test_faces_are_framed_and_several_are_numbered():
  photograph = np.full((300, 400, 3), 90, np.uint8)
  one = with_boxes(photograph, [(100.3, 80, 200, 179.6)])
  line = one[130, 90:110, 0]
  assert (line == 255).sum() == 1 and (line == 0).sum() == 2 and line[10 - 1] == 255  # just outside of the box
  assert (one[84:176, 104:196] == 90).all() and (one[:70] == 90).all() and (photograph == 90).all()
  several = with_boxes(photograph, [(100, 80, 200, 180), (-20, -20, 60, 60), (350, 250, 460, 340)])
  assert (several[60:78, 98:110] != 90).mean() > 0.5  # the number above the box
  assert (several[:20, :12] == 0).mean() > 0.3  # and within the picture where the box is not
  large = with_boxes(np.full((3000, 4000, 3), 90, np.uint8), [(1000, 800, 2000, 1800)])
  assert (large[1300, 900:1100, 0] == 255).sum() == 8
