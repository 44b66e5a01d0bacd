"""What pretraining brings: detectors fine-tuned from a backbone and from random weights, over several seeds."""

import json
import tempfile
from pathlib import Path

import numpy as np

from fakeface_jax.benchmarks.commands import check_split_folders, run_script
from fakeface_jax.errors import UserError

SCORES = {"f1_macro": "macro F1", "roc_auc": "ROC AUC"}
FROZEN = {"trainable": "last_block", "data.views": 2, "data.augment": "flip", "batch_size": 32, "learning_rate": 1e-3,
          "plateau.patience": 2, "early_stopping_patience": 5}
ALL = {"trainable": "all", "plateau.patience": 2, "early_stopping_patience": 5}
KINDS = {  # (flags of training, whether it starts from the backbone)
    "frozen, from the backbone": (FROZEN, True), "frozen, random": (FROZEN, False),
    "all layers, from the backbone": (ALL, True), "all layers, from scratch": (ALL, False)}
DRAWN = {"data.resize": 80, "data.crop": 72}  # of synthetic_faces; photographs are cut out of 256 px
SIDES = {"frozen": 224, "all layers": 160}  # px of that


def bench_backbone(weights, faces, *, epochs, seeds, depth=18):
  """Fine-tunes each of `KINDS` on `synthetic_faces` and on folders of faces.

  Args:
    weights: file of the backbone.
    faces: folders of different names with train/ and val/, each with real/ and fake/; val is used for nothing but the
      scores, and an epoch is chosen on 15 % of train.
    epochs, depth: of every run. seeds: how many, 0, 1, ...
  Returns: (text, {set: {kind: {score: [one for each seed]}}}).
  Raises: UserError for a folder or file that is missing, two folders of one name, or a run that fails.
  """
  folders = [Path(folder).expanduser().resolve() for folder in faces]
  for folder in folders:
    check_split_folders(folder)
  if len({folder.name for folder in folders} | {"synthetic_faces"}) <= len(folders):
    raise UserError("--faces: the table tells folders apart by their names; give each one of its own")
  if not (weights := Path(weights).expanduser().resolve()).is_file():
    raise UserError(f"{weights}: no such weights file; scripts/pretrain.py makes one")
  sets = {"synthetic_faces": (DRAWN, None)} | {folder.name: (
      {"data.name": "folder", "data.path": folder, "data.train_split": "train[:85%]", "data.val_split": "train[85%:]",
       "data.test_split": "val", "data.resize": 256}, folder) for folder in folders}
  figures = {name: {kind: {score: [] for score in SCORES} for kind in KINDS} for name in sets}
  with tempfile.TemporaryDirectory() as place:
    for name, (data, folder) in sets.items():
      for kind, (training, pretrained) in KINDS.items():
        for seed in range(seeds):
          workdir = Path(place) / f"{name} {kind} {seed}"
          flags = {**data, **training, "epochs": epochs, "seed": seed, "model.depth": depth}
          flags |= {"data.crop": SIDES[kind.partition(",")[0]], "data.dir": Path(place) / "records"} if folder else {}
          flags |= {"pretrained": weights} if pretrained else {}
          run_script("train", f"--workdir={workdir}", *(f"--config.{key}={value}" for key, value in flags.items()))
          found = json.loads((workdir / "test_metrics.json").read_text())
          for score in SCORES:
            figures[name][kind][score].append(found[score])
  return describe(figures, weights.name, epochs, seeds), figures


def describe(figures, weights, epochs, seeds):
  """A table for each set: mean over the seeds, and the lowest and highest."""
  lines = [f"backbone {weights}; at most {epochs} epochs; mean over {seeds} seeds (lowest to highest)"]
  for name, kinds in figures.items():
    lines += ["", f"{name:<32}" + "".join(f"{title:<26}" for title in SCORES.values()).rstrip()]
    lines += [f"{kind:<32}" + "".join(
        f"{f'{np.mean(found[score]):.3f} ({min(found[score]):.3f} to {max(found[score]):.3f})':<26}"
        for score in SCORES).rstrip() for kind, found in kinds.items()]
  return "\n".join(lines)
