"""How far a detector goes beyond what it was trained on: trained on each of several sets, tested on all of them."""

import logging
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.backbone import DEFAULT, SCORES
from benchmarks.commands import check_split_folders, run_script
from fakeface_jax.commands.evaluate import evaluate_run
from fakeface_jax.drawing.figure import new_figure, save_figure
from fakeface_jax.errors import UserError
from fakeface_jax.outputs import check_new

log = logging.getLogger(__name__)

DRAWN = "drawn"
OF_PHOTOGRAPHS = {"data.resize": 256, "data.crop": 224}


def bench_transfer(faces, *, recipe=None, seeds=3, workdir=None, picture=None):
  """Trains a detector on drawn faces and on each folder, and scores it on all.

  Args:
    faces: folders of different names with train/ and val/, each with real/ and fake/; val is used for nothing but the
      scores, and an epoch is chosen on 15 % of train.
    recipe: a config file; by default configs/resnet.py, photographs at 224 px of 256.
    seeds: how many, 0, 1, ...
    workdir: folder that keeps the runs; a finished one is not trained again, and an unfinished one goes on.
    picture: where the matrix is drawn, a PNG; None for nowhere.
  Returns: (text, {trained on: {tested on: {score: {"seeds": one for each, "mean", "interval": [low, high], the mean of
    the seeds' 95 % intervals over images}}}}).
  Raises: UserError for a folder that is missing, two folders of one name, or a run that fails.
  """
  if picture:
    check_new(picture)
  folders = {folder.name: folder for folder in (Path(folder).expanduser().resolve() for folder in faces)}
  if not faces or len(folders) < len(faces) or DRAWN in folders:
    raise UserError(f"--faces: expected folders of different names, none of them {DRAWN}: the table tells them apart by"
                    " their names")
  for folder in folders.values():
    check_split_folders(folder)
  tests = {DRAWN: ("synthetic_faces", "test")} | {name: (str(folder), "val") for name, folder in folders.items()}
  figures = {}
  with tempfile.TemporaryDirectory() as temporary:
    place = Path(workdir or temporary).expanduser().absolute()
    runs = {(trained, seed): place / f"{trained} {seed}" for trained in tests for seed in range(seeds)}
    for (trained, seed), run in runs.items():
      _train(run, recipe, folders.get(trained), seed, place / "records")
      log.info("trained on %s, seed %d", trained, seed)
    for trained in tests:  # after all training, as a GPU serves one process
      figures[trained] = {tested: _scores([runs[trained, seed] for seed in range(seeds)], data, split)
                          for tested, (data, split) in tests.items()}
  if picture:
    _draw(figures, picture, seeds)
  return describe(figures, seeds), figures


def _train(run, recipe, folder, seed, records):
  flags = {"seed": seed, "data.dir": records, "data.name": "synthetic_faces"}
  if folder:
    flags |= {"data.name": "folder", "data.path": folder, "data.train_split": "train[:85%]",
              "data.val_split": "train[85%:]", "data.test_split": "val", **({} if recipe else OF_PHOTOGRAPHS)}
  run_script("train", f"--config={Path(recipe).absolute() if recipe else DEFAULT}", f"--workdir={run}", *(
      f"--config.{key}={value}" for key, value in flags.items()))


def _scores(runs, data, split):
  """{score: summary} of one training set's runs on one split."""
  found = [evaluate_run(run, data, split)[1] for run in runs]
  return {score: {
      "seeds": [scores[score] for scores in found], "mean": float(np.mean([scores[score] for scores in found])),
      "interval": np.mean([scores["intervals"][score] for scores in found], axis=0).tolist()} for score in SCORES}


def describe(figures, seeds):
  """A matrix for each score: a row for each training set."""
  lines = []
  for score, title in SCORES.items():
    lines += [f"{title}, mean of {seeds} seeds (95 % interval over images)",
              f"{'trained on':<14}" + "".join(f"{tested:<24}" for tested in figures).rstrip()]
    lines += [f"{trained:<14}" + "".join("{:<24}".format("{mean:.2f} ({0:.2f} to {1:.2f})".format(
        *row[tested][score]["interval"], mean=row[tested][score]["mean"])) for tested in figures).rstrip()
        for trained, row in figures.items()]
    lines.append("")
  return "\n".join(lines).rstrip()


def _draw(figures, path, seeds):
  names = list(figures)
  values = np.array([[figures[trained][tested]["roc_auc"]["mean"] for tested in names] for trained in names])
  figure = new_figure(figsize=(1.2 * len(names) + 2, 1.0 * len(names) + 1.4), layout="constrained")
  axes = figure.subplots()
  image = axes.imshow(values, cmap="PuOr", vmin=0, vmax=1)  # white at 0.5, chance
  axes.set_xticks(range(len(names)), names)
  axes.set_yticks(range(len(names)), names)
  axes.set_xlabel("tested on")
  axes.set_ylabel("trained on")
  axes.set_title(f"ROC AUC, mean of {seeds} seeds; chance is 0.5")
  for row, of_row in enumerate(values):
    for column, value in enumerate(of_row):
      dark = abs(value - 0.5) > 0.3
      axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black")
  figure.colorbar(image, shrink=0.8)
  save_figure(figure, path)
