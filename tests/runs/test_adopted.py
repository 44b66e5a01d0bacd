"""Detectors of others: their weights become a run that every command takes, and it says what they say."""

import sys

import numpy as np
import pytest
import skimage.data
from PIL import Image
from safetensors.numpy import save_file

from fakeface_jax.commands.evaluate import evaluate_run
from fakeface_jax.commands.explain import explain_items
from fakeface_jax.commands.items import items_of_files, items_of_run
from fakeface_jax.detector import load
from fakeface_jax.errors import UserError
from fakeface_jax.models.network import normalize
from fakeface_jax.models.resnet import resnet
from fakeface_jax.runs.adopted import adopt
from fakeface_jax.workdir import last_run, read_config
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "models"))

from seeded import state_dict

CROP = 64
PHOTOGRAPH = skimage.data.astronaut()[:150, 130:330]  # a face, 200 x 150 px


def sigmoid(z):
  return 1 / (1 + np.exp(-np.float64(z)))


@pytest.fixture(scope="module")
def tensors():
  """Of a ResNet-18 with one logit, in torchvision's names."""
  return state_dict(18, classes=1)


def features(tensors, pixels):
  """What enters the head, float[512], of uint8[h, w, 3]: the network itself is compared with torch elsewhere."""
  from fakeface_jax.models.pretrained import from_state_dict
  from tests.models.seeded import template

  model = resnet(18)
  two = tensors | {"fc.weight": np.zeros((2, 512), np.float32), "fc.bias": np.zeros(2, np.float32)}
  variables = from_state_dict(two, template(model))
  return np.asarray(model.apply(variables, normalize(pixels[None]), stop="head"))[0].astype(np.float64)


@pytest.fixture(scope="module")
def middle_features(tensors):
  return features(tensors, PHOTOGRAPH[43:107, 68:132])


def adopted(path, tensors, tmp_path, **options):
  save_file(tensors, path)
  adopt(path, tmp_path / "run", crop=CROP, resize=None, **options)
  return load(tmp_path / "run")


def test_a_single_logit_is_that_of_fake_and_its_sigmoid_the_probability(tensors, middle_features, tmp_path):
  detector = adopted(tmp_path / "w.safetensors", tensors, tmp_path)
  logit = tensors["fc.weight"][0].astype(np.float64) @ middle_features + tensors["fc.bias"][0]
  assert abs(logit) > 0.1
  np.testing.assert_allclose(detector.predict([PHOTOGRAPH]), [sigmoid(logit)], rtol=1e-4)
  (result,) = detector.explain([PHOTOGRAPH], methods=["guided_backprop"])
  np.testing.assert_allclose(result["logits"], [0, logit], rtol=1e-4)
  np.testing.assert_array_equal(result["image"], PHOTOGRAPH[43:107, 68:132])  # pixels as they are, from the middle
  assert result["guided_backprop"].any() and result["probability"] == pytest.approx(sigmoid(logit), rel=1e-4)


@pytest.mark.parametrize(("classes", "sign"), [(("real", "fake"), 1), (("fake", "real"), -1)])
def test_the_order_of_the_outputs_can_be_said(tensors, middle_features, tmp_path, classes, sign):
  two = state_dict(18, classes=2)
  detector = adopted(tmp_path / "two.safetensors", two, tmp_path, classes=classes)
  first, second = two["fc.weight"].astype(np.float64) @ middle_features + two["fc.bias"]
  np.testing.assert_allclose(detector.predict([PHOTOGRAPH]), [sigmoid(sign * (second - first))], rtol=1e-4)
  one = adopted(tmp_path / "one.safetensors", tensors, tmp_path / "one", classes=classes)
  logit = tensors["fc.weight"][0].astype(np.float64) @ middle_features + tensors["fc.bias"][0]
  np.testing.assert_allclose(one.predict([PHOTOGRAPH]), [sigmoid(sign * logit)], rtol=1e-4)


def test_the_run_is_used_as_any_other_on_data_that_are_named(tensors, faces_folder, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "records"))
  save_file(tensors, "w.safetensors")
  config, title = adopt("w.safetensors", "runs/theirs", crop=32)
  assert title == "ResNet-18" and config.data.resize == 37 and read_config("runs/theirs") == config
  assert last_run() == "runs/theirs"
  words, scores, _ = evaluate_run("runs/theirs", str(faces_folder))
  assert words == f"{faces_folder}, test: 34 images" and scores["n"] == 34
  assert scores["seen_in_training"]["reason"] == "it was trained by others"
  for needs_data in (lambda: evaluate_run("runs/theirs"), lambda: items_of_run("runs/theirs", 1)):
    with pytest.raises(UserError, match=r"trained by others and has no images .* \(data=NAME_OR_FOLDER, or photog"):
      needs_data()
  Image.fromarray(PHOTOGRAPH).save("face.png")
  assert explain_items(load("runs/theirs"), items_of_files(["face.png"]), "panels", methods=["gradcam"]) == []


def test_weights_go_into_a_folder_of_their_own(tensors, tmp_path):
  save_file(tensors, tmp_path / "w.safetensors")
  adopt(tmp_path / "w.safetensors", tmp_path / "run", crop=CROP)
  adopt(tmp_path / "w.safetensors", tmp_path / "run", crop=CROP)
  with pytest.raises(UserError, match=r"holds a run of another config: data\.crop \(there 64, now 32\); choose"):
    adopt(tmp_path / "w.safetensors", tmp_path / "run", crop=32, resize=73)
  (tmp_path / "mine").mkdir()
  (tmp_path / "mine" / "weights.safetensors").write_text("my own")
  with pytest.raises(UserError, match=r"holds weights\.safetensors, which this command did not write"):
    adopt(tmp_path / "w.safetensors", tmp_path / "mine", crop=CROP)


@pytest.mark.parametrize(("change", "options", "message"), [
    ({}, {"depth": 50}, r"looks like the weights of a ResNet-18, but the network is a ResNet-50 .* depth to 18"),
    ({}, {"depth": 19}, "there is no ResNet of depth 19; depths are 18, 34, 50, 101, 152"),
    ({}, {"classes": ("cat", "dog")}, "classes=cat,dog: expected real,fake or fake,real"),
    ({}, {"crop": 4000}, r"config\.data\.crop=4000: expected a whole number from 8 to 2,048"),
    ({}, {"crop": 64, "resize": 32}, r"data\.crop=64: expected at most data\.resize=32"),
    ({"fc.weight": np.zeros((1000, 512), np.float32)}, {}, "its head has 1,000 outputs, and a detector's .* 1 or 2"),
    ({"fc.weight": None, "fc.bias": None}, {}, "its head has 0 outputs, and a detector's"),
    ({"fc.bias": None}, {}, "1 missing: fc.bias"),
    ({"fc.weight": np.full((1, 512), np.nan, np.float32)}, {}, r"NaN or infinite values in fc\.weight"),
    ({"layer4.1.conv2.weight": None, "layer4.1.bn2.weight": None}, {"depth": 18}, "2 missing: layer4.1"),
    ({"layer5.0.conv1.weight": np.zeros((1, 1, 1, 1), np.float32)}, {}, "1 unexpected: layer5.0.conv1.weight"),
])
def test_what_fits_no_detector_is_refused_in_one_line_and_leaves_nothing(tensors, tmp_path, change, options, message):
  changed = {name: tensor for name, tensor in {**tensors, **change}.items() if tensor is not None}
  save_file(changed, tmp_path / "w.safetensors")
  with pytest.raises(UserError, match=message) as caught:
    adopt(tmp_path / "w.safetensors", tmp_path / "run", **options)
  assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_a_torch_file_as_cnndetection_publishes_it(tensors, middle_features, tmp_path):
  torch = pytest.importorskip("torch")
  model = {name: torch.from_numpy(np.array(tensor)) for name, tensor in tensors.items()}
  torch.save({"model": model, "optimizer": {"state": {0: {"step": torch.ones(3)}}}, "epoch": 7}, tmp_path / "a.pth")
  adopt(tmp_path / "a.pth", tmp_path / "run", depth=18, crop=CROP, resize=None)
  logit = tensors["fc.weight"][0].astype(np.float64) @ middle_features + tensors["fc.bias"][0]
  np.testing.assert_allclose(load(tmp_path / "run").predict([PHOTOGRAPH]), [sigmoid(logit)], rtol=1e-4)


class Opens:
  """Pickled, it opens a file for writing when it is unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return open, (str(self.path), "w")


def test_a_torch_file_that_holds_code_does_not_run_it(tmp_path):
  torch = pytest.importorskip("torch")
  torch.save({"model": {"conv1.weight": Opens(tmp_path / "opened")}}, tmp_path / "a.pth")
  with pytest.raises(UserError, match=r"a\.pth: no file of weights alone, so nothing of it was run"):
    adopt(tmp_path / "a.pth", tmp_path / "run")
  assert not (tmp_path / "opened").exists() and not (tmp_path / "run").exists()
