"""Sets of faces side by side: detectors trained on each, scored on all, as one table."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from benchmarks.backbone import SCORES
from benchmarks.commands import check_split_folders
from fakeface_jax.commands.batch_size import fit_batch_size
from fakeface_jax.commands.command_line import read_config_file
from fakeface_jax.config_fields import FINE_TUNING, check_config
from fakeface_jax.data.builders.folder import image_files
from fakeface_jax.data.schema import LABELS
from fakeface_jax.data.splits import what_to_score
from fakeface_jax.detector import load
from fakeface_jax.drawing.figure import new_figure, save_figure
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.predict import predict_records
from fakeface_jax.evaluation.probability import probability_of_fake
from fakeface_jax.evaluation.scores import scores
from fakeface_jax.training.fine_tuning import train as fine_tune
from fakeface_jax.workdir import read_config

DRAWN = "drawn"
OF_PHOTOGRAPHS = {"data.resize": 256, "data.crop": 224}  # for a recipe that is made for other pictures


def folders_by_name(faces):
  """{name: Path} of folders that each have train/ and val/, with real/ and fake/ in them.

  Raises: UserError where one has not, two have one name, or there is none.
  """
  folders = {folder.name: folder for folder in (Path(folder).expanduser().resolve() for folder in faces)}
  if not faces or len(folders) < len(faces) or DRAWN in folders:
    raise UserError(f"--faces: expected folders of different names, none of them {DRAWN}: the table tells them apart by"
                    " their names")
  for folder in folders.values():
    check_split_folders(folder)
  return folders


def fields_of(folder, images=None):
  """{field: value} of a run on a folder: an epoch is chosen on the last 15 % of train, and val is for the scores alone.

  Args: `images`: to train on, at most, about; None for the other 85 %.
  """
  there = sum(len(image_files(folder / "train" / kind).images) for kind in LABELS)
  percent = min(85, max(1, round(100 * images / there))) if images and there else 85
  return {"data.name": "folder", "data.path": str(folder), "data.train_split": f"train[:{percent}%]",
          "data.val_split": "train[85%:]", "data.test_split": "val"}


def train(run, recipe, fields):
  """Trains a run, or goes on with it; a finished one stays as it is. Its epochs are told on stderr.

  Args: `recipe`: a config file. `fields`: {field: value} that are set otherwise.
  """
  config = read_config_file(recipe, "recipe")
  check_config(config, FINE_TUNING)
  config.update_from_flattened_dict(fields)
  fit_batch_size(config, run, 2 if config.data.get("pairs") else 1)
  with redirect_stdout(sys.stderr):
    fine_tune(config, run)


def cost_of(runs):
  """(minutes of training, images/s in it) of finished runs together."""
  rows = [json.loads(line) for run in runs for line in (run / "metrics.jsonl").read_text().splitlines()]
  seconds = [json.loads((run / "seconds.json").read_text()) for run in runs]
  minutes = sum(sum(of["parts"].values()) for of in seconds) / 60
  return minutes, float(np.mean([row["images_per_second"] for row in rows]))


def scores_on(runs, data, split):
  """{score: {"seeds": one for each run, "mean", "interval": mean of the runs' 95 % intervals over images}}."""
  found = [_scores_of(run, data, split) for run in runs]
  return {score: {
      "seeds": [scores[score] for scores in found], "mean": float(np.mean([scores[score] for scores in found])),
      "interval": np.mean([scores["intervals"][score] for scores in found], axis=0).tolist()} for score in SCORES}


def _scores_of(run, data, split):
  """As `evaluate_run` has them, without the rest."""
  config = read_config(run)
  dataset, split, _ = what_to_score(config, data, split)
  logits, labels = predict_records(load(run), dataset[split], config.batch_size, "scoring")
  return scores(labels, probability_of_fake(logits))


def with_interval(of_score):
  """'0.94 (0.90 to 0.97)'."""
  return "{mean:.2f} ({0:.2f} to {1:.2f})".format(*of_score["interval"], mean=of_score["mean"])


def matrix(figures, title, seeds):
  """A table for each score: a row for each training set, of {trained on: {tested on: `scores_on`}}."""
  lines, tests = [], list(next(iter(figures.values())))
  width = max(14, *(len(trained) + 2 for trained in figures))
  for score, name in SCORES.items():
    lines += [f"{name}, mean of {seeds} seed{'s'[:seeds > 1]} (95 % interval over images)",
              f"{title:<{width}}" + "".join(f"{tested:<24}" for tested in tests).rstrip()]
    lines += [f"{trained:<{width}}" + "".join(f"{with_interval(row[tested][score]):<24}" for tested in tests).rstrip()
              for trained, row in figures.items()]
    lines.append("")
  return "\n".join(lines).rstrip()


def draw_matrix(figures, path, seeds):
  """The ROC AUC as a heatmap, white at chance, with the numbers in it."""
  tests = list(next(iter(figures.values())))
  values = np.array([[row[tested]["roc_auc"]["mean"] for tested in tests] for row in figures.values()])
  figure = new_figure(figsize=(1.2 * len(tests) + 2, 1.0 * len(figures) + 1.4), layout="constrained")
  axes = figure.subplots()
  image = axes.imshow(values, cmap="PuOr", vmin=0, vmax=1)
  axes.set_xticks(range(len(tests)), tests)
  axes.set_yticks(range(len(figures)), list(figures))
  axes.set_xlabel("tested on")
  axes.set_ylabel("trained on")
  axes.set_title(f"ROC AUC, mean of {seeds} seeds; chance is 0.5")
  for (row, column), value in np.ndenumerate(values):
    colour = "white" if abs(value - 0.5) > 0.3 else "black"
    axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
  figure.colorbar(image, shrink=0.8)
  Path(path).parent.mkdir(parents=True, exist_ok=True)
  save_figure(figure, path)
