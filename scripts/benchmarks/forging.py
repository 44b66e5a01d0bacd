"""What forged faces teach: detectors trained on them, and on each folder's own fakes, scored on all."""

import logging
import os
import tempfile
from pathlib import Path

from benchmarks.backbone import DEFAULT
from benchmarks.worlds import OF_PHOTOGRAPHS, fields_of, folders_by_name, matrix, scores_on, train
from fakeface_jax.commands.forge import forge_folder
from fakeface_jax.data.builders.folder import image_files
from fakeface_jax.data.schema import LABELS

log = logging.getLogger(__name__)


def bench_forging(faces, *, recipe=None, images=1200, seeds=1, workdir=None):
  """Trains two detectors on each folder of faces.

  Args:
    faces, recipe, seeds, workdir: as of `transfer.bench_transfer`.
    images: to train on, at most, about; of the forged half are real photographs and half forgeries of them.
  Returns: (text, {'<folder>, forged' or '<folder>, own': {tested on: `worlds.scores_on`}}).
  """
  folders, figures = folders_by_name(faces), {}
  with tempfile.TemporaryDirectory() as temporary:
    place = Path(workdir or temporary).expanduser().absolute()
    runs = {}
    for name, folder in folders.items():
      kinds = {"forged": forged_fields(folder, place / f"{name} forgeries", images), "own": fields_of(folder, images)}
      for kind, fields in kinds.items():
        several = runs[f"{name}, {kind}"] = [place / f"{name} {kind} {seed}" for seed in range(seeds)]
        for seed, run in enumerate(several):
          train(run, recipe or DEFAULT, fields | {"seed": seed, "data.dir": str(place / "records")} | (
              {} if recipe else OF_PHOTOGRAPHS))
        log.info("trained on %s, %s", name, kind)
    for trained, several in runs.items():
      figures[trained] = {name: scores_on(several, str(folder), "val") for name, folder in folders.items()}
  return matrix(figures, "trained on", seeds), figures


def forged_fields(folder, out, images):
  """{field: value} of a run on forgeries of a folder's real training photographs, which are made where they are not."""
  if not out.exists():
    unfinished = out.with_name(f"{out.name}, unfinished {os.getpid()}")
    forge_folder(folder / "train" / "real", unfinished)
    unfinished.rename(out)
  there = sum(len(image_files(out / "train" / kind).images) for kind in LABELS)
  percent = min(100, max(1, round(100 * images / there)))
  return {"data.name": "folder", "data.path": str(out), "data.train_split": f"train[:{percent}%]"}
