import json

import jax
import numpy as np
import pytest

from fakeface_jax.detector import Detector
from fakeface_jax.errors import UserError
from fakeface_jax.explain.engine import last_conv_layers
from fakeface_jax.models import init_variables
from fakeface_jax.models.resnet import resnet
from fakeface_jax.report.explanations import Item, _scale, explain_items, items_of_files


@pytest.fixture(scope="module")
def detector():
  model = resnet(18)
  return Detector(model, init_variables(model, jax.random.key(2), 32), resize=32, crop=32, batch_size=2)


def item(name, value):
  return Item(name, name.split(".")[0], lambda: np.full((32, 32, 3), value, np.uint8))


def test_an_item_that_cannot_be_read_is_noted_and_the_rest_goes_on(detector, tmp_path):
  (missing,) = items_of_files([tmp_path / "missing.jpg"])
  failures = explain_items(detector, [item("a.png", 1), missing, item("b.png", 200)], tmp_path / "out")
  assert [reason for _, reason in failures] == ["no such file or folder"]
  lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
  assert {line["path"] for line in lines} == {"a.png", "b.png", str(tmp_path / "missing.jpg")}
  saved = np.load(tmp_path / "out" / "b.npz")
  (expected,) = detector.explain([np.full((32, 32, 3), 200, np.uint8)])
  np.testing.assert_array_equal(saved["image"], expected["image"])
  for name, values in [("logits", expected["logits"]), ("guided_backprop", expected["guided_backprop"]),
                       ("gradcam/layer4_1/conv2", expected["gradcam"]["layer4_1/conv2"])]:
    np.testing.assert_allclose(saved[name], values, rtol=1e-4, atol=1e-6)
    assert saved[name].dtype == np.float32
  assert (tmp_path / "out" / "a.png").exists()


def test_a_folder_that_cannot_be_written_is_named(detector, tmp_path):
  (tmp_path / "out").write_text("")
  with pytest.raises(UserError, match=r"--out .*out cannot be written"):
    explain_items(detector, [item("a.png", 1)], tmp_path / "out")


def test_maps_that_the_run_has_no_scale_for_are_scaled_by_the_batch_and_that_is_said(detector):
  image = [np.full((32, 32, 3), 90, np.uint8)]
  last = last_conv_layers(detector.model, 1)[0]
  known = {f"gradcam/{last}": 3.0, "guided_backprop": 4.0, "guided_gradcam": 5.0}
  run = Detector(detector.model, detector.variables, 32, 32, 2, known)
  scale, note = _scale(run, run.explain(image, layers=[last]))
  assert scale == known and note.endswith("speak for fake")
  scale, note = _scale(run, run.explain(image, layers=["layer3_1"]))
  assert scale["guided_backprop"] == 4.0 and scale["guided_gradcam"] != 5.0
  assert note.endswith("of gradcam/layer3_1, guided_gradcam: in the strongest of these 1 images")
