"""Methods by their names and settings, all of them on a ResNet, and the shap package's explainer."""

import jax
import numpy as np
import pytest

from fakeface_jax.errors import UserError
from fakeface_jax.explain import shap_package
from fakeface_jax.explain.capture import last_conv_layers
from fakeface_jax.explain.engine import Engine
from fakeface_jax.explain.methods import CHANNELS, DEFAULT_METHODS, HEATMAP, METHODS, parse_methods, resolve_methods
from fakeface_jax.models import init_variables
from fakeface_jax.models.resnet import resnet
from tests.explain.tiny import QUICK, pictures, small

MODEL = resnet(18)
STAGES = ("conv1", "layer1_1", "layer2_1", "layer3_1", "layer4_1")


# --- names, settings, layers -----------------------------------------------------------------------------------------


def test_by_default_the_articles_set_with_the_last_ten_convolutions():
  resolved = resolve_methods(MODEL)
  assert resolved == {
      "gradcam": {"layers": last_conv_layers(MODEL)}, "guided_backprop": {},
      "guided_gradcam": {"layer": "layer4_1/conv2"}}
  assert tuple(resolved) == DEFAULT_METHODS and len(resolved["gradcam"]["layers"]) == 10


def test_names_stand_for_their_usual_settings_and_layers():
  resolved = resolve_methods(MODEL, [
      "feature_maps", "scorecam", "occlusion", "smoothgrad", "integrated_gradients", "rise", "lime"])
  assert resolved == {
      "feature_maps": {"layers": STAGES, "count": 16},
      "scorecam": {"layers": ("layer4_1/conv2",), "channels": 0},
      "occlusion": {"window": 0, "stride": 0, "fill": "mean"},
      "smoothgrad": {"samples": 24, "noise": 0.15},
      "integrated_gradients": {"steps": 32, "baseline": "black"},
      "rise": {"masks": 1000, "cells": 7, "keep": 0.5},
      "lime": {"samples": 500, "segments": 50, "fill": "blur"}}


def test_settings_may_be_text_and_come_back_in_the_type_of_their_default():
  given = {"occlusion": {"window": "24", "stride": 3.0, "fill": 128}, "smoothgrad": {"noise": "1e-1"}}
  resolved = resolve_methods(MODEL, given)
  assert resolved["occlusion"] == {"window": 24, "stride": 3, "fill": "128"}
  assert resolved["smoothgrad"] == {"samples": 24, "noise": 0.1}
  assert [type(value) for value in resolved["occlusion"].values()] == [int, int, str]


def test_layers_are_for_all_methods_that_have_them():
  layers = ["layer3.1", "layer2_0/conv1"]
  resolved = resolve_methods(MODEL, ["gradcam", "scorecam", "guided_gradcam", "feature_maps", "gradient"], layers)
  paths = ("layer3_1", "layer2_0/conv1")
  assert [resolved[name].get("layers") for name in ("gradcam", "scorecam", "feature_maps", "gradient")] == [
      paths, paths, paths, None]
  assert resolved["guided_gradcam"] == {"layer": "layer2_0/conv1"}
  assert resolved["gradient"] == {}


@pytest.mark.parametrize("methods", [["all"], {"all": {}}, "all"])
def test_all_stands_for_every_method(methods, monkeypatch, caplog):
  monkeypatch.setattr(shap_package, "installed", lambda: True)
  assert list(resolve_methods(MODEL, methods)) == list(METHODS)
  assert not caplog.messages
  monkeypatch.setattr(shap_package, "installed", lambda: False)
  assert list(resolve_methods(MODEL, methods)) == [name for name in METHODS if name != "shap"]
  assert caplog.messages == [f"all methods but shap: {shap_package.INSTALL}"]


def test_all_may_be_followed_by_settings_of_some():
  resolved = resolve_methods(MODEL, {"all": {}, "occlusion": {"window": 5}})
  assert resolved["occlusion"]["window"] == 5 and {"gradcam", "scorecam"} < set(resolved)


def test_one_method_may_be_named_without_a_list():
  assert resolve_methods(MODEL, "gradient") == {"gradient": {}}


THERE_ARE = f"methods: {', '.join(METHODS)}, or all"


@pytest.mark.parametrize("methods, layers, message", [
    (["gradcam", "grad_cam"], None, f"there is no method 'grad_cam'; {THERE_ARE}; did you mean 'gradcam'?"),
    ([], None, f"no method is named; {THERE_ARE}"),
    ({"occlusion": {"size": 3}}, None,
     "occlusion has no setting 'size'; its settings: window, stride, fill; did you mean 'stride'?"),
    ({"gradient": {"steps": 3}}, None, "gradient has no setting 'steps'; it has none"),
    ({"gradcam": {"layers": "conv1"}}, None, "gradcam has no setting 'layers'; it has none"),
    ({"expected_gradients": {"batch_size": 3}}, None,
     "expected_gradients has no setting 'batch_size'; its settings: samples"),
    ({"occlusion": {"window": "2.5"}}, None, "occlusion.window='2.5' is not a whole number of 1 or more"),
    ({"occlusion": {"window": 2.5}}, None, "occlusion.window=2.5 is not a whole number of 1 or more"),
    ({"occlusion": {"window": float("inf")}}, None, "occlusion.window=inf is not a whole number of 1 or more"),
    ({"smoothgrad": {"samples": 0}}, None, "smoothgrad.samples=0 is not a whole number of 1 or more"),
    ({"smoothgrad": {"samples": "many"}}, None, "smoothgrad.samples='many' is not a whole number of 1 or more"),
    ({"smoothgrad": {"samples": None}}, None, "smoothgrad.samples=None is not a whole number of 1 or more"),
    ({"smoothgrad": {"noise": -1}}, None, "smoothgrad.noise=-1 is not a number above 0"),
    ({"smoothgrad": {"noise": "nan"}}, None, "smoothgrad.noise='nan' is not a number above 0"),
    ({"smoothgrad": {"noise": "inf"}}, None, "smoothgrad.noise='inf' is not a number above 0"),
    ({"all": {"window": 3}}, None, "all has no setting 'window'; name the method, such as occlusion.window"),
    (DEFAULT_METHODS, [], "no layer is named; leave layers out for the usual ones")])
def test_what_is_not_there_is_refused_in_one_line(methods, layers, message):
  with pytest.raises(UserError) as error:
    resolve_methods(MODEL, methods, layers)
  assert str(error.value) == message


@pytest.mark.parametrize("layer, problem, nearest", [
    ("layer5_0", "there is no layer 'layer5_0'", "; did you mean 'layer4_0'?"),
    ("layer4_1/conv3", "there is no layer 'layer4_1/conv3'", "; did you mean 'layer4_1/conv2'?"),
    ("fc", "'fc' comes after global pooling and has no map", ""),
    ("head", "'head' comes after global pooling and has no map", "")])
def test_layers_without_a_map_are_refused_with_a_list(layer, problem, nearest):
  with pytest.raises(UserError) as error:
    resolve_methods(MODEL, ["gradcam"], ["conv1", layer])
  assert str(error.value).startswith(f"{problem}; layers: conv1, layer1_0/conv1, ")
  assert str(error.value).endswith(f", layer4_0, layer4_1{nearest}")


def test_a_command_line_names_methods_and_settings():
  assert parse_methods(None, []) == {name: {} for name in DEFAULT_METHODS}
  settings = ["occlusion.window=24", "scorecam.channels=9", "occlusion.fill=blur"]
  assert parse_methods(["gradient", "occlusion"], settings) == {
      "gradient": {}, "occlusion": {"window": "24", "fill": "blur"}, "scorecam": {"channels": "9"}}
  assert parse_methods(["gradient"], ["occlusion.fill=a=b"])["occlusion"] == {"fill": "a=b"}


@pytest.mark.parametrize("assignment", ["occlusion.window", "window=3", "3", ""])
def test_settings_of_another_form_are_refused(assignment):
  with pytest.raises(UserError) as error:
    parse_methods(None, [assignment])
  assert str(error.value) == (
      f"set={assignment} is not of the form METHOD.SETTING=VALUE, such as occlusion.window=24")


# --- all of them on a network ----------------------------------------------------------------------------------------


def test_all_methods_explain_a_resnet():
  variables = init_variables(MODEL, jax.random.key(0), 32)
  all_methods = {name: QUICK.get(name, {}) for name in METHODS if name != "shap"}
  methods = resolve_methods(MODEL, all_methods, ["layer3_1", "layer4_1/conv2"])
  result = Engine(MODEL, variables, 2).explain(pictures(2, 32), [1, 0], methods, pictures(3, 32, seed=1))
  assert all(np.isfinite(values).all() for values in jax.tree.leaves(result))
  sides = {"layer3": 2, "layer4": 1}
  for name, method in METHODS.items():
    if name == "shap":
      continue
    if method.kind in (HEATMAP, CHANNELS):
      assert set(result[name]) == set(methods[name]["layers"])
      for layer, maps in result[name].items():
        side = sides[layer[:6]]
        if method.kind == HEATMAP:
          assert maps.shape == (2, side, side) and maps.min() >= 0, (name, layer)
          assert maps.max() > 0 or layer == "layer4_1/conv2", (name, layer)
        else:
          assert maps["maps"].shape == (2, side, side, 16) and maps["channels"].shape == (2, 16)
    else:
      assert result[name].shape == ((2, 32, 32) if name in ("occlusion", "rise", "lime") else (2, 32, 32, 3)), name
      assert result[name].min() < 0 < result[name].max(), name
  complete = {name for name in methods if METHODS[name].complete}
  assert {name: error.shape for name, error in result["completeness_error"].items()} == dict.fromkeys(complete, (2,))
  assert complete == {"integrated_gradients", "expected_gradients"}


def test_impossible_settings_are_told_by_the_engine_in_one_line():
  model, variables = small()
  with pytest.raises(UserError) as error:
    Engine(model, variables, 2).explain(
        pictures(1), [1], resolve_methods(model, {"occlusion": {"window": 99}}))
  assert str(error.value) == "occlusion.window=99 is larger than the image of 16 x 16 pixels"


# --- the shap package ------------------------------------------------------------------------------------------------


def bright_patch(images):
  """Logits (-s, s) of the mean of a patch, more than in proportion."""
  score = (np.asarray(images, np.float64)[:, 8:16, 16:24].mean(axis=(1, 2, 3)) / 100) ** 2
  return np.stack([-score, score], axis=-1)


@pytest.mark.filterwarnings("ignore")
def test_shap_values_add_up_and_find_the_patch():
  pytest.importorskip("shap")
  pytest.importorskip("cv2")
  images = pictures(2, 32) // 4
  images[:, 8:16, 16:24] += 150
  values, error = shap_package.shap_values(bright_patch, images, np.array([1, 0]), evaluations=100, batch_size=8)
  assert values.shape == (2, 32, 32, 3) and values.dtype == error.dtype == np.float32
  np.testing.assert_allclose(error, [0, 0], atol=1e-5)
  inside = np.zeros((32, 32), bool)
  inside[8:16, 16:24] = True
  for of_image, sign in zip(values.sum(axis=-1), (1, -1), strict=True):
    assert sign * of_image.sum() > 1
    assert sign * of_image[inside].sum() > 0.95 * sign * of_image.sum()
    assert (sign * of_image[inside]).min() > np.abs(of_image[~inside]).max()


@pytest.mark.filterwarnings("ignore")
def test_shap_runs_in_the_engine_on_the_predicted_class():
  pytest.importorskip("shap")
  pytest.importorskip("cv2")
  model, variables = small()
  engine, methods = Engine(model, variables, 2), resolve_methods(model, {"shap": {"evaluations": 20}, "gradient": {}})
  result = engine.explain(pictures(2), [-1, -1], methods)
  classes = result["logits"].argmax(-1)
  assert result["shap"].shape == (2, 16, 16, 3)
  np.testing.assert_allclose(result["completeness_error"]["shap"], [0, 0], atol=1e-4)
  of_classes = engine.explain(pictures(2), classes, methods)
  np.testing.assert_array_equal(result["shap"], of_classes["shap"])
  assert np.abs(result["shap"]).max() > 1e-4


def test_without_the_package_shap_says_what_to_install(monkeypatch):
  monkeypatch.setattr(shap_package, "installed", lambda: False)
  with pytest.raises(UserError, match=r"needs the shap package and OpenCV: pip install 'fakeface-jax\[shap\]'$"):
    shap_package.shap_values(bright_patch, pictures(1), np.array([1]))


def test_all_on_a_command_line_is_spelt_out_once(monkeypatch, caplog):
  monkeypatch.setattr(shap_package, "installed", lambda: False)
  methods = parse_methods(["all"], ["occlusion.window=5"])
  assert list(methods) == [name for name in METHODS if name != "shap"] and methods["occlusion"] == {"window": "5"}
  resolve_methods(MODEL, methods)
  assert len(caplog.messages) == 1
