"""How far a detector goes beyond what it was trained on: trained on each of several sets, tested on all of them."""

import logging
import tempfile
from pathlib import Path

from benchmarks.backbone import DEFAULT
from benchmarks.worlds import (
  DRAWN,
  OF_PHOTOGRAPHS,
  draw_matrix,
  fields_of,
  folders_by_name,
  matrix,
  scores_on,
  train,
)

log = logging.getLogger(__name__)


def bench_transfer(faces, *, recipe=None, seeds=3, workdir=None, picture=None):
  """Trains a detector on drawn faces and on each folder, and scores it on all.

  Args:
    faces: folders, see `worlds.folders_by_name`.
    recipe: a config file; by default configs/resnet.py, photographs at 224 px of 256.
    seeds: how many, 0, 1, ...
    workdir: folder that keeps the runs; a finished one is not trained again, and an unfinished one goes on.
    picture: where the matrix is drawn, a PNG, over what is there; None for nowhere.
  Returns: (text, {trained on: {tested on: `worlds.scores_on`}}).
  Raises: UserError for a folder that is missing, two folders of one name, or a run that fails.
  """
  folders = folders_by_name(faces)
  tests = {DRAWN: ("synthetic_faces", "test")} | {name: (str(folder), "val") for name, folder in folders.items()}
  figures = {}
  with tempfile.TemporaryDirectory() as temporary:
    place = Path(workdir or temporary).expanduser().absolute()
    runs = {(trained, seed): place / f"{trained} {seed}" for trained in tests for seed in range(seeds)}
    for (trained, seed), run in runs.items():
      fields = {"seed": seed, "data.dir": str(place / "records"), "data.name": "synthetic_faces"}
      if trained in folders:
        fields |= fields_of(folders[trained]) | ({} if recipe else OF_PHOTOGRAPHS)
      train(run, recipe or DEFAULT, fields)
      log.info("trained on %s, seed %d", trained, seed)
    for trained in tests:
      figures[trained] = {tested: scores_on([runs[trained, seed] for seed in range(seeds)], data, split)
                          for tested, (data, split) in tests.items()}
  if picture:
    draw_matrix(figures, picture, seeds)
  return matrix(figures, "trained on", seeds), figures
