import numpy as np
import pytest
from PIL import Image

from fakeface_jax.explain.scale import measure_scale, strength
from fakeface_jax.report.cases import pick_cases
from fakeface_jax.report.explanations import unique_stems
from fakeface_jax.report.panel import draw_panel, heatmap, jet, relief


def explanation(level=0.0, layers=("layer4_1/conv1", "layer4_1/conv2")):
  return {
      "image": np.full((40, 40, 3), 100, np.uint8), "logits": np.array([1.0, 0.0], np.float32), "probability": 0.27,
      "target": 1, "gradcam": {layer: np.full((3, 3), level, np.float32) for layer in layers},
      "guided_backprop": np.full((40, 40, 3), level, np.float32),
      "guided_gradcam": np.full((40, 40, 3), -level, np.float32),
  }


SCALE = {"gradcam/layer4_1/conv1": 2.0, "gradcam/layer4_1/conv2": 2.0, "guided_backprop": 4.0, "guided_gradcam": 4.0}


def test_colours_go_from_blue_over_green_to_red():
  red = [127, 0, 0]
  np.testing.assert_array_equal(jet(np.array([0, 0.5, 1, 7.0])), [[0, 0, 127], [127, 255, 127], red, red])


def test_a_map_without_evidence_is_all_blue_and_one_of_full_strength_all_red():
  image = np.full((4, 4, 3), 100, np.uint8)
  np.testing.assert_array_equal(heatmap(np.zeros((2, 2), np.float32), image, 3.0), np.full((4, 4, 3), [50, 50, 113]))
  np.testing.assert_array_equal(heatmap(np.full((2, 2), 3, np.float32), image, 3.0), np.full((4, 4, 3), [113, 50, 50]))
  # A layer that never spoke in validation has scale 0: still blue, not divided by zero.
  np.testing.assert_array_equal(heatmap(np.zeros((2, 2), np.float32), image, 0.0), np.full((4, 4, 3), [50, 50, 113]))


def test_pixel_gradients_are_grey_where_nothing_speaks():
  np.testing.assert_array_equal(relief(np.array([[[-9.0, 0, 1]]]), 2.0), [[[1, 128, 191]]])


def test_the_panel_of_an_image_without_evidence_shows_blue_and_grey_only():
  pixels = np.asarray(draw_panel(explanation(0.0), "a.jpg", SCALE))
  spoken = np.asarray(draw_panel(explanation(2.0), "a.jpg", SCALE))
  red = lambda picture: np.mean((picture[44:220, 192:368, 0].astype(int) - picture[44:220, 192:368, 2]) > 50)
  assert red(pixels) == 0 and red(spoken) == 1
  assert (pixels[44 + 88, -96] == 128).all() and (spoken[44 + 88, -96] == 191).all()


def test_a_heatmap_that_contradicts_the_verdict_is_remarked_on():
  quiet, loud = explanation(0.5), explanation(2.5)  # the scale is 2; both are called real
  right = {**loud, "probability": 0.9}
  heights = [draw_panel(result, "a.jpg", SCALE).height for result in (quiet, loud, right)]
  assert heights[1] > heights[0] == heights[2]


def test_scale_is_what_the_strongest_fifth_reaches():
  scale = measure_scale([explanation(level) for level in range(11)])
  assert scale["gradcam/layer4_1/conv2"] == pytest.approx(8) and scale["guided_gradcam"] == pytest.approx(8)
  assert strength(np.array([[1.0, -5.0]])) == 1  # a heatmap's maximum
  assert strength(np.linspace(-1, 1, 201).reshape(1, 67, 3)) == pytest.approx(0.99, abs=0.01)


def test_cases_are_sorted_into_their_groups():
  labels, probabilities = [1, 1, 1, 0, 0, 0, 1], [0.9, 0.99, 0.2, 0.1, 0.7, 0.45, 0.5]
  assert pick_cases(labels, probabilities, 2) == {
      "caught_fake": [1, 0], "missed_fake": [2], "false_alarm": [4], "true_real": [3, 5], "least_sure": [6, 5]}


def test_output_names_do_not_collide():
  assert unique_stems(["a/x.jpg", "b/x.jpg", "b/y.png", "c/b/x.png"]) == ["a_x", "b_x", "y", "b_x_2"]


def test_many_layers_make_a_wider_panel_of_the_same_height():
  layers = tuple(f"layer3_{i}/conv1" for i in range(14))
  scale = {f"gradcam/{layer}": 1.0 for layer in layers} | {"guided_backprop": 1.0, "guided_gradcam": 1.0}
  wide, narrow = draw_panel(explanation(layers=layers), "a", scale), draw_panel(explanation(), "a", SCALE)
  assert isinstance(wide, Image.Image) and wide.width - narrow.width == 6 * 184
