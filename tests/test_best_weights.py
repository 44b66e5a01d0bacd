import shutil

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from fakeface_jax.best_weights import load_best
from fakeface_jax.detector import load
from fakeface_jax.errors import UserError
from fakeface_jax.models import abstract_variables
from fakeface_jax.models.resnet import resnet
from fakeface_jax.report import run as report
from fakeface_jax.training.checkpoints import Checkpoints


@pytest.fixture
def run(finished, tmp_path):
  shutil.copytree(finished[0], tmp_path / "run")
  return tmp_path / "run"


LIKE = abstract_variables(resnet(18), 32)


def step_of(path):
  with safe_open(path, framework="numpy") as file:
    return file.metadata()["step"]


def rewrite(path, change, **notes):
  tensors = load_file(path)
  change(tensors)
  save_file(tensors, path, {"step": step_of(path), **notes})


def test_the_file_holds_the_best_checkpoint_in_torchvisions_names(run):
  with Checkpoints(run, reading=True) as checkpoints:
    assert step_of(run / "weights.safetensors") == str(checkpoints.best)
    expected = checkpoints.restore(checkpoints.best, {"variables": LIKE})["variables"]
  jax.tree.map(np.testing.assert_array_equal, load_best(run, LIKE), jax.device_get(expected))
  assert {"conv1.weight", "layer4.1.bn2.running_var", "fc.bias"} < set(load_file(run / "weights.safetensors"))


def test_the_file_is_used_as_long_as_its_checkpoint_is_there(run):
  path = run / "weights.safetensors"
  rewrite(path, lambda tensors: tensors.update({"fc.bias": tensors["fc.bias"] + 1}))
  changed = load_best(run, LIKE)["params"]["head"]["bias"]
  rewrite(path, lambda tensors: None, step="999999")
  np.testing.assert_allclose(changed, load_best(run, LIKE)["params"]["head"]["bias"] + 1, rtol=1e-6)


@pytest.mark.parametrize(("change", "answer"), [
    (lambda tensors: tensors.pop("fc.bias"), "another network than the run's config says"),
    (lambda tensors: tensors.update({"fc.bias": np.full(2, np.nan, np.float32)}), "NaN or infinite values in fc.bias"),
])
def test_a_file_that_does_not_fit_is_refused(run, change, answer):
  rewrite(run / "weights.safetensors", change)
  with pytest.raises(UserError, match=answer):
    load(run)


def test_the_background_takes_both_classes_by_turns(run, config):
  from fakeface_jax.data.features import FAKE, REAL
  from fakeface_jax.report.run_data import first_images, split_of_run

  images = np.load(run / "background.npz")["images"]
  source = split_of_run(config, "val")
  for first, label in enumerate((REAL, FAKE)):
    np.testing.assert_array_equal(images[first::2], first_images(source, 16, label))


def test_a_report_without_room_is_told_in_one_line(run, monkeypatch):
  def full(*_, **__):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(report, "save_figure", full)
  with pytest.raises(UserError, match=r"run cannot be written: .*No space left on device; make room there"):
    report.report_run(run)


def test_a_cut_file_is_refused(run):
  path = run / "weights.safetensors"
  path.write_bytes(path.read_bytes()[:100])
  with pytest.raises(UserError, match=r"weights\.safetensors: truncated or damaged"):
    load(run)


def test_a_run_without_any_checkpoint(run):
  shutil.rmtree(run / "checkpoints")
  with pytest.raises(UserError, match=r"has no checkpoint; let scripts/train\.py finish an epoch there"):
    load(run)
