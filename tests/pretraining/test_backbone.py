
import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from safetensors.numpy import load_file

from configs import pretrain as default
from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables
from fakeface_jax.models.pretrained import load_pretrained
from fakeface_jax.models.resnet import resnet
from fakeface_jax.pretraining import backbone, pretexts
from fakeface_jax.pretraining.backbone import pretrain
from fakeface_jax.runs.records import read_lines

pytestmark = pytest.mark.slow


def tiny(**changes) -> ConfigDict:
  config = default.get_config()
  config.update(crop=32, classes=5, faces=6, batch_size=4 * jax.device_count(), epochs=2, steps_per_epoch=2,
                val_steps=1)
  config.update(changes)
  return config


@pytest.fixture(scope="module", autouse=True)
def few_cells():
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(backbone, "MEASURED_CELLS", 500)
    yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  folder = tmp_path_factory.mktemp("pretrain") / "whole"
  return folder, pretrain(tiny(), str(folder))


def test_the_weights_load_and_are_half_precision(whole):
  folder, figures = whole
  path = folder / "weights.safetensors"
  tensors = load_file(path)
  assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float16)}
  assert not {"fc.weight", "fc.bias"} & set(tensors)  # a detector's head is new
  variables = init_variables(resnet(18), jax.random.key(1), 32)
  loaded = load_pretrained(str(path), variables)
  np.testing.assert_array_equal(
      loaded["params"]["conv1"]["kernel"], tensors["conv1.weight"].transpose(2, 3, 1, 0).astype(np.float32))
  rows = read_lines(folder / "metrics.jsonl")
  assert len(rows) == 2 and rows[-1] == figures
  assert figures["learning_rate"] == pytest.approx(0.5e-3)  # half-way down the cosine
  questions = pretexts.chosen_questions("formula,face,residual,camera,tampering")
  assert figures["val_loss"] == pytest.approx(sum(figures[f"val_{name}"] for name in questions))


def test_a_killed_run_goes_on_to_the_same_weights(whole, tmp_path, monkeypatch):
  folder, figures = whole
  saved, save = [], backbone.Pretraining._save

  def killed(self, *arguments):
    save(self, *arguments)
    saved.append(self.position["step"])
    if len(saved) == 3:
      self.checkpoints.wait(self.arrays())
      raise KeyboardInterrupt

  # A checkpoint after every step: the third comes within the second epoch.
  often = tiny(checkpoint_minutes=0.0)
  with monkeypatch.context() as patch:
    patch.setattr(backbone, "STEPS_IN_FLIGHT", 1)
    patch.setattr(backbone.Pretraining, "_save", killed)
    with pytest.raises(KeyboardInterrupt):
      pretrain(often, str(tmp_path))
  assert saved == [1, 0, 1]
  monkeypatch.setattr(backbone.Pretraining, "_whitening", None)  # what was measured is in the checkpoint
  resumed = pretrain(often, str(tmp_path))
  assert all(resumed[name] == value for name, value in figures.items() if name != "images_per_second")
  ours, theirs = (load_file(path / "weights.safetensors") for path in (folder, tmp_path))
  for key, tensor in theirs.items():
    np.testing.assert_array_equal(ours[key], tensor, err_msg=key)


def test_only_what_is_asked_teaches(tmp_path, monkeypatch):
  monkeypatch.setattr(backbone.Pretraining, "_whitening", None)  # nor is anything else measured
  figures = pretrain(tiny(pretexts="camera", epochs=1, steps_per_epoch=1), str(tmp_path))
  assert {name for name in figures if name.startswith("val_")} == {"val_loss", "val_camera", "val_enlarged"}
  # The heads start at zero, so the first step's losses are those of knowing nothing.
  assert figures["train_enlarged"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("changes, words", [
    ({"pretexts": "formula,dreams"}, "no 'dreams'; use some of formula,face,residual,camera,tampering"),
    ({"pretexts": " "}, "config.pretexts"),
    ({"crop": 80}, "config.crop=80 must be a multiple of 32"),
    ({"faces": 0}, "config.faces=0: expected a whole number from 1"),
])
def test_a_config_that_cannot_work_is_one_line(tmp_path, changes, words):
  with pytest.raises(UserError, match=words):
    pretrain(tiny(**changes), str(tmp_path))


def test_a_share_without_a_quarter_is_refused(tmp_path):
  with pytest.raises(UserError, match=f"a quarter of them show formulas, .* such as {8 * jax.device_count()} in all"):
    pretrain(tiny(batch_size=6 * jax.device_count()), str(tmp_path))
