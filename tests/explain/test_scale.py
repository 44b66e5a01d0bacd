import numpy as np
import pytest

from fakeface_jax.explain.methods import ATTRIBUTION, HEATMAP, SENSITIVITY, resolve_methods
from fakeface_jax.explain.scale import drawn, maps_with_keys, measure_scale, missing_from, scale_key, strength
from fakeface_jax.models.resnet import resnet

MODEL = resnet(18)


def test_attributions_are_drawn_as_the_sum_of_their_colours():
  colours = np.array([[[1.0, -2.0, 4.0]]])
  np.testing.assert_array_equal(drawn(ATTRIBUTION, colours), [[3]])
  np.testing.assert_array_equal(drawn(ATTRIBUTION, colours[..., 0]), [[1]])
  np.testing.assert_array_equal(drawn(SENSITIVITY, colours), colours)
  np.testing.assert_array_equal(drawn(HEATMAP, colours[..., 0]), [[1]])


def test_the_strength_of_a_coarse_map_is_its_largest_magnitude():
  assert strength(HEATMAP, np.array([[0.0, 3.0], [1.0, 2.0]])) == 3
  assert strength(ATTRIBUTION, np.array([[0.0, -3.0], [1.0, 2.0]])) == 3
  assert strength(HEATMAP, np.zeros((2, 2))) == 0


def test_the_strength_of_a_map_of_pixels_leaves_one_in_a_hundred_out():
  values = -np.arange(101.0)
  assert strength(SENSITIVITY, values.reshape(101, 1, 1)) == pytest.approx(99)
  # Each pixel's colours are summed first: 0, -3, ..., -300.
  assert strength(ATTRIBUTION, np.repeat(values, 3).reshape(101, 1, 3)) == pytest.approx(297)


def test_a_scale_is_filed_under_method_layer_and_unusual_settings():
  key = lambda name, layer=None, given=None: scale_key(name, layer, resolve_methods(MODEL, {name: given or {}})[name])
  assert key("gradcam", "layer4_1/conv2") == "gradcam/layer4_1/conv2"
  assert key("guided_gradcam", "layer4_1/conv2") == "guided_gradcam/layer4_1/conv2"
  assert key("guided_backprop") == "guided_backprop"
  assert key("occlusion") == key("occlusion", given={"window": "0", "fill": "mean"}) == "occlusion"
  assert key("occlusion", given={"fill": "blur", "window": 24}) == "occlusion window=24 fill=blur"
  assert key("scorecam", "conv1", {"channels": 9}) == "scorecam/conv1 channels=9"


def explanation(**maps):
  methods = resolve_methods(MODEL, {name: {} for name in maps}, ["layer3_1", "layer4_1"])
  return {"settings": methods, **maps}


def heatmaps(first, second):
  return {"layer3_1": np.array([[0, first]]), "layer4_1": np.array([[second]])}


def test_every_map_but_feature_maps_has_a_key():
  result = explanation(
      gradcam=heatmaps(1, 2), feature_maps={}, guided_gradcam=np.full((1, 1, 3), 3), gradient=np.full((1, 1, 3), 4))
  assert [(name, layer, key, values.max()) for name, layer, key, values in maps_with_keys(result)] == [
      ("gradcam", "layer3_1", "gradcam/layer3_1", 1), ("gradcam", "layer4_1", "gradcam/layer4_1", 2),
      ("guided_gradcam", "layer4_1", "guided_gradcam/layer4_1", 3), ("gradient", None, "gradient", 4)]


def test_a_fifth_of_the_images_reach_full_colour():
  results = [explanation(gradcam=heatmaps(i, 10 * i), gradient=np.full((1, 1, 3), -i)) for i in (3, 1, 5, 0, 4, 2)]
  # Of 0, 1, ..., 5 the value four fifths of the way.
  assert measure_scale(results) == pytest.approx({"gradcam/layer3_1": 4, "gradcam/layer4_1": 40, "gradient": 4})
  assert measure_scale([]) == {}


def test_where_fewer_show_anything_the_strongest_reaches_full_colour():
  results = [explanation(gradcam=heatmaps(7.0 * (i == 3), 0)) for i in range(10)]
  assert measure_scale(results) == {"gradcam/layer3_1": 7, "gradcam/layer4_1": 0}


def test_methods_of_which_a_map_lacks_a_scale_are_found():
  settings = resolve_methods(MODEL, ["gradcam", "guided_gradcam", "occlusion", "feature_maps"], ["conv1", "layer4_1"])
  scale = {"gradcam/conv1": 1, "gradcam/layer4_1": 1, "guided_gradcam/layer4_1": 1, "occlusion": 1}
  assert missing_from(scale, settings) == {}
  for key in scale:
    name = key.partition("/")[0]
    assert missing_from({other: 1 for other in scale if other != key}, settings) == {name: settings[name]}
  blurred = resolve_methods(MODEL, {"occlusion": {"fill": "blur"}})
  assert missing_from(scale, blurred) == blurred
