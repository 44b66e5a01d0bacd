import shutil

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from fakeface_jax.commands import train as report
from fakeface_jax.commands.items import items_of_run
from fakeface_jax.detector import load
from fakeface_jax.errors import UserError
from fakeface_jax.models.resnet import resnet
from fakeface_jax.runs.sanity import trust_of_run
from fakeface_jax.training.best_weights import load_best
from fakeface_jax.training.checkpoints import Checkpoints

LIKE = resnet(18).shapes


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
  from fakeface_jax.data.schema import FAKE, REAL
  from fakeface_jax.runs.records import first_images, split_of_run

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


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: data[: len(data) // 2], lambda data: b""])
def test_a_damaged_file_is_made_again_from_the_checkpoint(run, damage, caplog):
  path = run / "weights.safetensors"
  step, tensors = step_of(path), load_file(path)
  path.write_bytes(damage(path.read_bytes()))
  load_best(run, LIKE)
  assert "weights.safetensors cannot be used" in caplog.text and "made again from the checkpoint" in caplog.text
  assert step_of(path) == step
  jax.tree.map(np.testing.assert_array_equal, load_file(path), tensors)


@pytest.mark.slow
def test_a_run_whose_files_are_damaged_is_used_and_the_report_makes_them_again(run, caplog):
  contents = {name: (run / name).read_bytes() for name in ("map_scale.json", "background.npz")}
  for data in (b"", b"{", b'{"gradcam": "strong"}', b"[1]", b'{"gradcam": NaN}', contents["background.npz"][:99]):
    for name in contents:
      (run / name).write_bytes(data)
    caplog.clear()
    detector = load(run)
    assert detector.map_scale is None and detector.background is None
    assert all(f"{name} cannot be used" in caplog.text for name in contents)
  report.report_run(run)
  assert contents == {name: (run / name).read_bytes() for name in contents}


@pytest.mark.parametrize("images", [np.zeros((4, 16, 16, 3), np.uint8), np.zeros((4, 32, 32, 3), np.float32)])
def test_background_photographs_of_another_shape_are_damaged(run, images, caplog):
  np.savez(run / "background.npz", images=images)
  assert load(run).background is None and "background.npz cannot be used" in caplog.text


@pytest.mark.parametrize("change", [
    lambda lines: [*lines[:-1], lines[-1][: len(lines[-1]) // 2]],
    lambda lines: ['{"file": "a.png", "score": 0.5}', *lines],
    lambda lines: [line.replace('"record": 1,', '"record": 1000,') for line in lines],
    lambda lines: [line.replace('"label": 1', '"label": "fake"') for line in lines],
    lambda lines: ["5"], lambda lines: [],
])
def test_damaged_predictions_are_named_with_what_makes_them_again(run, change):
  path = run / "test_predictions.jsonl"
  path.write_text("\n".join(change(path.read_text().splitlines())))
  with pytest.raises(UserError, match=r"test_predictions\.jsonl is damaged \(.*give the command of the training again"):
    items_of_run(run, 1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"methods": []}', '{"methods": {"gradcam": {}}}'])
def test_without_its_own_sanity_check_what_is_known_of_others_is_said(run, content, caplog):
  (run / "sanity.json").write_text(content)
  assert "Adebayo" in trust_of_run(run, {"guided_backprop": {}}).sentences[0]
  assert "sanity.json cannot be used" in caplog.text


def test_a_run_without_any_checkpoint(run):
  expected = load(run).variables
  shutil.rmtree(run / "checkpoints")
  jax.tree.map(np.testing.assert_array_equal, load(run).variables, expected)
  (run / "weights.safetensors").write_bytes((run / "weights.safetensors").read_bytes()[:-1])
  with pytest.raises(UserError, match=r"weights\.safetensors: truncated or no safetensors file"):
    load(run)
  (run / "weights.safetensors").unlink()
  with pytest.raises(UserError, match=r"has no checkpoint and no weights\.safetensors; let scripts/train\.py finish"):
    load(run)
