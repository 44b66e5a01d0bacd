"""What pretraining brings: detectors fine-tuned from a backbone and from random weights, over several seeds."""

import json
import logging
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.commands import SCRATCH, check_split_folders, run_script
from fakeface_jax.commands.app import ROOT
from fakeface_jax.errors import UserError
from fakeface_jax.models.weight_files import weights_path

log = logging.getLogger(__name__)

SCORES = {"f1_macro": "macro F1", "roc_auc": "ROC AUC"}
DEFAULT = ROOT / "configs" / "resnet.py"
KINDS = {  # (config, whether it starts from the backbone)
    "frozen": (DEFAULT, True), "frozen random": (DEFAULT, False),  # but for the last block and the head
    "all": (SCRATCH, True), "all random": (SCRATCH, False)}


def bench_backbone(weights, faces, *, epochs, seeds, kinds=tuple(KINDS), depth=18, size=224, workdir=None):
  """Fine-tunes `kinds` of detectors on `synthetic_faces` and on folders of faces.

  Args:
    weights: of the backbone, as `load_pretrained` takes them.
    faces: folders of different names with train/ and val/, each with real/ and fake/; val is used for nothing but the
      scores, and an epoch is chosen on 15 % of train.
    epochs, depth: of every run. seeds: how many, 0, 1, ... kinds: some of `KINDS`.
    size: px that are cut out of photographs of 256 px.
    workdir: folder that keeps the runs; a finished one is not trained again, and an unfinished one goes on.
  Returns: (text, {set: {kind: {score: [one for each seed]}}}).
  Raises: UserError for a folder or file that is missing, two folders of one name, or a run that fails.
  """
  folders = [Path(folder).expanduser().resolve() for folder in faces]
  for folder in folders:
    check_split_folders(folder)
  if len({folder.name for folder in folders} | {"synthetic_faces"}) <= len(folders):
    raise UserError("--faces: the table tells folders apart by their names; give each one of its own")
  if unknown := [kind for kind in kinds if kind not in KINDS]:
    raise UserError(f"--kinds: there is no {unknown[0]!r}; use some of {','.join(KINDS)}")
  weights = weights_path(weights).absolute()
  sets = {"synthetic_faces": {}} | {folder.name: {
      "data.name": "folder", "data.path": folder, "data.train_split": "train[:85%]", "data.val_split": "train[85%:]",
      "data.test_split": "val", "data.resize": 256} for folder in folders}
  figures = {name: {kind: {score: [] for score in SCORES} for kind in kinds} for name in sets}
  with tempfile.TemporaryDirectory() as temporary:
    place = Path(workdir or temporary).expanduser().absolute()
    for name, data in sets.items():
      for kind in kinds:
        config, pretrained = KINDS[kind]
        for seed in range(seeds):
          run = place / (f"{name} {size} px {kind} {seed}" if data else f"{name} {kind} {seed}")
          flags = {**data, "epochs": epochs, "plateau.patience": 2, "seed": seed, "model.depth": depth,
                   "pretrained": weights if pretrained else ""}
          flags |= {"data.crop": size, "data.dir": place / "records"} if data else {}
          run_script("train", f"--config={config}", f"--workdir={run}", *(
              f"--config.{key}={value}" for key, value in flags.items()))
          found = json.loads((run / "test_metrics.json").read_text())
          for score in SCORES:
            figures[name][kind][score].append(found[score])
          log.info("%s, %s, seed %d: ROC AUC %.3f", name, kind, seed, found["roc_auc"])
  return describe(figures, weights.name, epochs, seeds, size), figures


def describe(figures, weights, epochs, seeds, size):
  """A table for each set: mean over the seeds, and the lowest and highest."""
  lines = [f"backbone {weights}; at most {epochs} epochs; photographs of {size} px; mean over {seeds} seeds (lowest to"
           " highest)"]
  for name, kinds in figures.items():
    lines += ["", f"{name:<32}" + "".join(f"{title:<26}" for title in SCORES.values()).rstrip()]
    lines += [f"{kind:<32}" + "".join(
        f"{f'{np.mean(found[score]):.3f} ({min(found[score]):.3f} to {max(found[score]):.3f})':<26}"
        for score in SCORES).rstrip() for kind, found in kinds.items()]
  return "\n".join(lines)
