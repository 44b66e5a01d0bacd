"""Which runs are asked for, on what each is scored, and what becomes of the scores; training is tested elsewhere."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks import transfer
from PIL import Image

from fakeface_jax.errors import UserError


def faces(folder):
  for split in ("train", "val"):
    for label in ("real", "fake"):
      (folder / split / label).mkdir(parents=True)
  return folder


@pytest.fixture
def asked(monkeypatch):
  """([flags of every training], [(run, data, split) of every scoring]); a detector knows its own set only."""
  trained, scored = [], []

  def evaluate(run, data, split):
    scored.append((run.name, Path(data).name, split))
    own, seed = run.name.split()
    score = 0.9 + 0.02 * int(seed) if own in (Path(data).name, {"synthetic_faces": "drawn"}.get(data)) else 0.5
    scores = {"f1_macro": score - 0.1, "roc_auc": score}
    return "", scores | {"intervals": {name: [value - 0.05, value + 0.03] for name, value in scores.items()}}, []

  monkeypatch.setattr(transfer, "run_script", lambda name, *flags: trained.append(dict(
      flag.removeprefix("--").removeprefix("config.").split("=", 1) for flag in flags)))
  monkeypatch.setattr(transfer, "evaluate_run", evaluate)
  return trained, scored


def test_each_is_trained_with_every_seed_and_scored_on_all(asked, tmp_path):
  trained, scored = asked
  folders = [faces(tmp_path / "gan"), faces(tmp_path / "swap")]
  text, figures = transfer.bench_transfer(
      folders, seeds=2, workdir=tmp_path / "runs", picture=tmp_path / "matrix.png")
  assert [(Path(flags["workdir"]).name, flags["seed"]) for flags in trained] == [
      (f"{name} {seed}", str(seed)) for name in ("drawn", "gan", "swap") for seed in range(2)]
  assert [flags.get("data.crop") for flags in trained] == [None] * 2 + ["224"] * 4
  assert {flags["data.val_split"] for flags in trained[2:]} == {"train[85%:]"}  # val is for the scores alone
  assert sorted(scored) == sorted(
      (f"{name} {seed}", *test) for name in ("drawn", "gan", "swap") for seed in range(2)
      for test in (("synthetic_faces", "test"), ("gan", "val"), ("swap", "val")))
  assert figures["gan"]["gan"]["roc_auc"]["seeds"] == pytest.approx([0.9, 0.92])
  assert figures["gan"]["gan"]["roc_auc"]["mean"] == pytest.approx(0.91)
  assert figures["gan"]["gan"]["roc_auc"]["interval"] == pytest.approx([0.86, 0.94])
  assert figures["swap"]["drawn"]["f1_macro"]["mean"] == pytest.approx(0.4)
  of_auc = text.partition("ROC AUC")[2].splitlines()
  assert " ".join(of_auc[4].split()) == "swap 0.50 (0.45 to 0.53) 0.50 (0.45 to 0.53) 0.91 (0.86 to 0.94)"
  assert np.ptp(np.asarray(Image.open(tmp_path / "matrix.png").convert("L"))) > 200


def test_a_recipe_says_how_photographs_are_cut(asked, tmp_path):
  trained, _ = asked
  transfer.bench_transfer([faces(tmp_path / "gan")], recipe="configs/scratch.py", seeds=1, workdir=tmp_path / "runs")
  assert all(flags["config"].endswith("/configs/scratch.py") and "data.crop" not in flags for flags in trained)


def test_what_cannot_be_a_table_is_refused_before_anything_runs(asked, tmp_path):
  gan = faces(tmp_path / "gan")
  for folders in ([], [gan, faces(tmp_path / "other" / "gan")], [faces(tmp_path / "drawn")]):
    with pytest.raises(UserError, match="--faces: expected folders of different names, none of them drawn"):
      transfer.bench_transfer(folders)
  with pytest.raises(UserError, match=r"gan/gan/train/real: no such folder"):
    transfer.bench_transfer([tmp_path / "gan" / "gan"])
  (tmp_path / "there.png").touch()
  with pytest.raises(UserError, match=r"there\.png is there already"):
    transfer.bench_transfer([gan], picture=tmp_path / "there.png")
  assert asked == ([], [])
