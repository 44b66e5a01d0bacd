"""Which runs are asked for, on what each is scored, and what becomes of the scores; training is tested elsewhere."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks import forging, transfer, worlds
from PIL import Image

from fakeface_jax.commands.app import ROOT
from fakeface_jax.commands.evaluate import evaluate_run
from fakeface_jax.errors import UserError
from tests.scripts.benchmarks.worlds import Trainings, faces


@pytest.fixture
def asked(monkeypatch):
  """(`Trainings`, [(run, data, split) of every scoring]); a detector knows its own set only."""
  scored = []

  def scores_of(run, data, split):
    scored.append((run.name, Path(data).name, split))
    own, *_, seed = run.name.split()
    score = 0.9 + 0.02 * int(seed) if own in (Path(data).name, {"synthetic_faces": "drawn"}.get(data)) else 0.5
    scores = {"f1_macro": score - 0.1, "roc_auc": score}
    return scores | {"intervals": {name: [value - 0.05, value + 0.03] for name, value in scores.items()}}

  monkeypatch.setattr(worlds, "_scores_of", scores_of)
  return Trainings(monkeypatch), scored


def test_each_is_trained_with_every_seed_and_scored_on_all(asked, tmp_path):
  trainings, scored = asked
  folders = [faces(tmp_path / "gan"), faces(tmp_path / "swap")]
  text, figures = transfer.bench_transfer(
      folders, seeds=2, workdir=tmp_path / "runs", picture=tmp_path / "new" / "matrix.PNG")
  assert list(zip(trainings.runs, (fields["seed"] for fields in trainings.asked), strict=True)) == [
      (f"{name} {seed}", seed) for name in ("drawn", "gan", "swap") for seed in range(2)]
  assert [fields["data.crop"] for fields in trainings.asked] == [72] * 2 + [224] * 4
  assert {fields["data.val_split"] for fields in trainings.asked[2:]} == {"train[85%:]"}  # val is for the scores alone
  assert sorted(scored) == sorted(
      (f"{name} {seed}", *test) for name in ("drawn", "gan", "swap") for seed in range(2)
      for test in (("synthetic_faces", "test"), ("gan", "val"), ("swap", "val")))
  assert figures["gan"]["gan"]["roc_auc"]["seeds"] == pytest.approx([0.9, 0.92])
  assert figures["gan"]["gan"]["roc_auc"]["mean"] == pytest.approx(0.91)
  assert figures["gan"]["gan"]["roc_auc"]["interval"] == pytest.approx([0.86, 0.94])
  assert figures["swap"]["drawn"]["f1_macro"]["mean"] == pytest.approx(0.4)
  of_auc = text.partition("ROC AUC, mean of 2 seeds")[2].splitlines()
  assert " ".join(of_auc[4].split()) == "swap 0.50 (0.45 to 0.53) 0.50 (0.45 to 0.53) 0.91 (0.86 to 0.94)"
  assert np.ptp(np.asarray(Image.open(tmp_path / "new" / "matrix.PNG").convert("L"))) > 200


def test_a_recipe_says_how_photographs_are_cut(asked, tmp_path):
  trainings, _ = asked
  transfer.bench_transfer(
      [faces(tmp_path / "gan")], recipe=ROOT / "configs" / "photographs.py", seeds=1, workdir=tmp_path / "runs")
  assert [(fields["data.train_crop"], fields["data.crop"]) for fields in trainings.asked] == [(128, 224)] * 2


def test_what_cannot_be_a_table_is_refused_before_anything_runs(asked, tmp_path):
  gan = faces(tmp_path / "gan")
  for folders in ([], [gan, faces(tmp_path / "other" / "gan")], [faces(tmp_path / "drawn")]):
    with pytest.raises(UserError, match="--faces: expected folders of different names, none of them drawn"):
      transfer.bench_transfer(folders)
  with pytest.raises(UserError, match=r"gan/gan/train/real: no such folder"):
    transfer.bench_transfer([tmp_path / "gan" / "gan"])
  for image in (gan / "val" / "fake").iterdir():
    image.unlink()
  with pytest.raises(UserError, match=r"gan/val/fake holds no image"):
    transfer.bench_transfer([gan])
  gan = faces(tmp_path / "others" / "gan")
  for recipe, wrong in (("none.py", "No such file or directory"), ("broken.py", "fails in line 2: ZeroDivisionError")):
    (tmp_path / "broken.py").write_text("def get_config():\n  return 1 / 0\n")
    with pytest.raises(UserError, match=f"--recipe={tmp_path / recipe}:? {wrong}"):
      transfer.bench_transfer([gan], recipe=tmp_path / recipe)
  with pytest.raises(UserError, match=r"another script's config; use scripts/pretrain\.py"):
    transfer.bench_transfer([gan], recipe=ROOT / "configs" / "pretrain.py")
  assert asked[0].asked == asked[1] == []


def test_forgeries_are_made_of_the_reals_once_and_stand_beside_the_own_fakes(asked, tmp_path):
  trainings, scored = asked
  folders, runs = [faces(tmp_path / "gan", count=10), faces(tmp_path / "swap", count=10)], tmp_path / "runs"
  text, figures = forging.bench_forging(folders, images=7, workdir=runs)
  assert trainings.runs == [f"{name} {kind} 0" for name in ("gan", "swap") for kind in ("forged", "own")]
  forged, own = trainings.asked[:2]
  assert forged["data.path"] == str(runs / "gan forgeries")
  made = [len(list((runs / "gan forgeries").glob(f"*/{kind}/*.jpg"))) for kind in ("real", "fake", "mask")]
  assert made == [10, 10, 0]
  there = len(list((runs / "gan forgeries" / "train").glob("*/*.jpg")))
  assert forged["data.train_split"] == f"train[:{100 * 7 / there:.0f}%]"
  assert (own["data.train_split"], own["data.val_split"]) == ("train[:35%]", "train[85%:]")
  assert {(data, split) for _, data, split in scored} == {("gan", "val"), ("swap", "val")}
  assert list(figures) == [f"{name}, {kind}" for name in ("gan", "swap") for kind in ("forged", "own")]
  assert figures["swap, own"]["gan"]["roc_auc"]["mean"] == 0.5
  assert "swap, own" in text and "mean of 1 seed (" in text
  before = (runs / "gan forgeries" / "index.csv").stat().st_mtime_ns
  forging.bench_forging(folders, images=7, workdir=runs)
  assert (runs / "gan forgeries" / "index.csv").stat().st_mtime_ns == before and len(list(runs.iterdir())) == 2


def test_a_run_is_scored_as_evaluate_py_does_it(finished, tmp_path):
  run, _ = finished
  _, expected, _ = evaluate_run(run)
  found = worlds.scores_on([run], None, None)
  assert found["roc_auc"] == {"seeds": [expected["roc_auc"]], "mean": expected["roc_auc"],
                              "interval": expected["intervals"]["roc_auc"]}
