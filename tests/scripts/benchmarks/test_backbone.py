"""Training itself is tested with scripts/train.py; here is which runs are asked for, and what becomes of the scores."""

import json
from pathlib import Path

import pytest
from benchmarks import backbone
from PIL import Image

from fakeface_jax.errors import UserError

pytestmark = pytest.mark.slow


def faces(folder):
  for split in ("train", "val"):
    for label in ("real", "fake"):
      (folder / split / label).mkdir(parents=True)
      Image.new("RGB", (8, 8)).save(folder / split / label / "face.png")
  return folder


def test_every_kind_runs_with_every_seed_and_only_two_get_the_backbone(tmp_path, monkeypatch):
  runs = []

  def train(name, *flags):
    given = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
    runs.append((name, given))
    workdir, seed = Path(given["workdir"]), int(given["config.seed"])
    workdir.mkdir()
    score = 0.5 + 0.1 * seed + 0.2 * bool(given["config.pretrained"])
    (workdir / "test_metrics.json").write_text(json.dumps({"f1_macro": score, "roc_auc": score + 0.05}))

  monkeypatch.setattr(backbone, "run_script", train)
  weights = tmp_path / "weights.safetensors"
  weights.touch()
  monkeypatch.chdir(tmp_path)
  (tmp_path / "runs").mkdir()
  text, figures = backbone.bench_backbone(
      weights, [faces(tmp_path / "gan")], epochs=7, seeds=3, size=160, workdir="runs")

  assert len(runs) == 2 * 4 * 3 and {name for name, _ in runs} == {"train"}
  assert all(given["config.epochs"] == "7" for _, given in runs)
  assert {Path(given["workdir"]).parent for _, given in runs} == {tmp_path / "runs"}  # scripts run elsewhere
  photographs = [given for _, given in runs if given.get("config.data.name") == "folder"]
  assert len(photographs) == 12
  assert {given["config.data.test_split"] for given in photographs} == {"val"}
  assert {given["config.data.train_split"] for given in photographs} == {"train[:85%]"}
  assert {given["config.data.crop"] for given in photographs} == {"160"}
  assert not any("config.data.crop" in given for _, given in runs if given not in photographs)  # the config's own
  pretrained = [given for _, given in runs if given["config.pretrained"]]
  assert len(pretrained) == 12 and {given["config.pretrained"] for given in pretrained} == {str(weights)}

  assert figures["gan"]["frozen"]["roc_auc"] == pytest.approx([0.75, 0.85, 0.95])
  assert figures["gan"]["all random"]["f1_macro"] == pytest.approx([0.5, 0.6, 0.7])
  line = next(line for line in text.splitlines() if line.startswith("frozen random"))
  assert line.split("  ")[-1].strip() == "0.650 (0.550 to 0.750)"


def test_what_is_missing_is_named_before_anything_runs(tmp_path):
  with pytest.raises(UserError, match=r"none\.safetensors: no such weights file"):
    backbone.bench_backbone(tmp_path / "none.safetensors", [], epochs=1, seeds=1)
  with pytest.raises(UserError, match=r"train/real: no such folder"):
    backbone.bench_backbone(tmp_path / "none.safetensors", [tmp_path], epochs=1, seeds=1)
  twice = [faces(tmp_path / parent / "gan") for parent in "ab"]
  with pytest.raises(UserError, match="folders apart by their names"):
    backbone.bench_backbone(tmp_path / "none.safetensors", twice, epochs=1, seeds=1)


def test_an_unknown_kind_is_named(tmp_path):
  with pytest.raises(UserError, match=r"--kinds: there is no 'melted'; use some of frozen,frozen random"):
    backbone.bench_backbone(tmp_path / "none.safetensors", [], epochs=1, seeds=1, kinds=("melted",))
