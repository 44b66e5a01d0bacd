import dataclasses
import json

import jax
import numpy as np
import pytest

from fakeface_jax.detector import Detector
from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables
from fakeface_jax.models.resnet import resnet
from fakeface_jax.report.explanations import explain_items
from fakeface_jax.report.items import Item, items_of_files

LAYERS = ["layer4_1/conv2"]


@pytest.fixture(scope="module")
def detector():
  model = resnet(18)
  return Detector(model, init_variables(model, jax.random.key(2), 32), resize=32, crop=32, batch_size=2)


def item(name, value):
  return Item(name, name.split(".")[0], lambda: np.full((32, 32, 3), value, np.uint8))


def lines_of(folder):
  return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def test_an_item_that_cannot_be_read_is_noted_and_the_rest_goes_on(detector, tmp_path):
  (missing,) = items_of_files([tmp_path / "missing.jpg"])
  failures = explain_items(detector, [item("a.png", 1), missing, item("b.png", 200)], tmp_path / "out")
  assert [reason for _, reason in failures] == ["no such file or folder"]
  assert {line["path"] for line in lines_of(tmp_path / "out")} == {"a.png", "b.png", str(tmp_path / "missing.jpg")}
  saved = np.load(tmp_path / "out" / "b.npz")
  (expected,) = detector.explain([np.full((32, 32, 3), 200, np.uint8)])
  np.testing.assert_array_equal(saved["image"], expected["image"])
  for name, values in [("logits", expected["logits"]), ("guided_backprop", expected["guided_backprop"]),
                       ("gradcam/layer4_1/conv2", expected["gradcam"]["layer4_1/conv2"])]:
    np.testing.assert_allclose(saved[name], values, rtol=1e-4, atol=1e-6)
    assert saved[name].dtype == np.float32
  assert (tmp_path / "out" / "a.png").exists()


def test_feature_maps_and_completeness_errors_are_written_too(detector, tmp_path):
  methods = {"feature_maps": {"count": 3}, "integrated_gradients": {"steps": 4}}
  explain_items(detector, [item("a.png", 90)], tmp_path, layers=["layer3_1"], methods=methods)
  (line,) = lines_of(tmp_path)
  assert set(line["completeness_error"]) == {"integrated_gradients"}
  assert (tmp_path / line["feature_maps"]).exists() and (tmp_path / line["panel"]).exists()
  saved = np.load(tmp_path / "a.npz")
  assert saved["feature_maps/layer3_1"].shape == (2, 2, 3)
  assert saved["feature_maps/layer3_1/channels"].shape == (3,)
  explain_items(detector, [item("a.png", 90)], tmp_path / "alone", methods=["feature_maps"])
  assert not (tmp_path / "alone" / "a.png").exists()


def test_an_interrupted_command_goes_on_where_it_stopped(detector, tmp_path):
  reads = []

  def read(name, value):
    reads.append(name)
    if name == "e.png" and reads.count(name) == 1:
      raise KeyboardInterrupt
    return np.full((32, 32, 3), value, np.uint8)

  items = [Item(name, name[0], lambda name=name, value=value: read(name, value))
           for value, name in enumerate(("a.png", "b.png", "c.png", "d.png", "e.png"), start=40)]
  with pytest.raises(KeyboardInterrupt):
    explain_items(detector, items, tmp_path, layers=LAYERS)
  done = {line["path"] for line in lines_of(tmp_path)}
  assert {"a.png", "b.png"} <= done < {item.name for item in items}
  with (tmp_path / "predictions.jsonl").open("a") as file:
    file.write('{"path": "c.p')  # a kill in the middle of a line
  reads[:] = ["e.png"]
  explain_items(detector, items, tmp_path, layers=LAYERS)
  assert not done & set(reads)
  assert sorted(line["path"] for line in lines_of(tmp_path)) == [item.name for item in items]

  reads[:] = ["e.png"]  # finished: the same command begins anew
  explain_items(detector, items, tmp_path, layers=LAYERS)
  assert len(reads) == 6 and len(lines_of(tmp_path)) == 5


def test_other_settings_begin_anew(detector, tmp_path):
  explain_items(detector, [item("a.png", 40)], tmp_path, layers=LAYERS)
  state = json.loads((tmp_path / "explain.json").read_text())
  (tmp_path / "explain.json").write_text(json.dumps(state | {"finished": False}))
  explain_items(detector, [item("a.png", 40), item("b.png", 60)], tmp_path, layers=LAYERS, target="real")
  assert [line["target"] for line in lines_of(tmp_path)] == ["real", "real"]


@pytest.mark.parametrize("other", [
    lambda detector: {"background": np.zeros((1, 32, 32, 3), np.uint8)},
    lambda detector: {"model": detector.model.clone(dtype=jax.numpy.bfloat16)},
])
def test_another_precision_or_background_begins_anew(detector, tmp_path, other):
  explain_items(detector, [item("a.png", 40)], tmp_path, layers=LAYERS)
  state = json.loads((tmp_path / "explain.json").read_text())
  (tmp_path / "explain.json").write_text(json.dumps(state | {"finished": False}))
  reads = []
  again = Item("a.png", "a", lambda: reads.append(1) or np.full((32, 32, 3), 40, np.uint8))
  explain_items(dataclasses.replace(detector, **other(detector)), [again], tmp_path, layers=LAYERS)
  assert reads == [1]


def test_a_folder_that_cannot_be_written_is_named(detector, tmp_path):
  (tmp_path / "out").write_text("")
  with pytest.raises(UserError, match=r"--out .*out cannot be written"):
    explain_items(detector, [item("a.png", 1)], tmp_path / "out")


def test_maps_without_a_scale_are_scaled_by_the_first_images_for_all(detector, tmp_path):
  explain_items(detector, [item("a.png", 90), item("b.png", 20), item("c.png", 250)], tmp_path, layers=LAYERS)
  state = json.loads((tmp_path / "explain.json").read_text())
  firsts = detector.explain([np.full((32, 32, 3), value, np.uint8) for value in (90, 20)], layers=LAYERS)
  strengths = [result["gradcam"][LAYERS[0]].max() for result in firsts]
  assert state["scale"]["gradcam/layer4_1/conv2"] == pytest.approx(np.quantile(strengths, 0.8), rel=1e-4)
  assert state["scale_note"].endswith("the strength that the strongest of 2 images here reach")


def test_a_scale_of_the_run_is_used_as_it_is(detector, tmp_path):
  known = {"gradcam/layer4_1/conv2": 3.0, "guided_backprop": 4.0, "guided_gradcam/layer4_1/conv2": 5.0}
  run = Detector(detector.model, detector.variables, 32, 32, 2, known)
  explain_items(run, [item("a.png", 90)], tmp_path, layers=LAYERS)
  state = json.loads((tmp_path / "explain.json").read_text())
  assert state["scale"] == known and state["scale_note"].endswith("speak for fake") and state["finished"]
