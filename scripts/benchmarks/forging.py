"""What forged faces teach: detectors trained on them, on each folder's own fakes, and on both, scored on all."""

import logging
import tempfile
from pathlib import Path

from benchmarks.backbone import DEFAULT
from benchmarks.worlds import OF_PHOTOGRAPHS, fields_of, folders_by_name, matrix, scores_on, train
from fakeface_jax.data.builders.folder import image_files

log = logging.getLogger(__name__)

SHARE = 0.3  # of what is shown of the real faces that is forged, where there are other fakes beside


def bench_forging(faces, *, recipe=None, images=1200, seeds=1, workdir=None):
  """Trains three detectors on each folder of faces.

  Args:
    faces, recipe, seeds, workdir: as of `transfer.bench_transfer`.
    images: to train on, at most, about; of the forged half are real photographs and half forgeries of them.
  Returns: (text, {'<folder>, forged', '<folder>, own' or '<folder>, both': {tested on: `worlds.scores_on`}}).
  """
  folders, figures = folders_by_name(faces), {}
  with tempfile.TemporaryDirectory() as temporary:
    place = Path(workdir or temporary).expanduser().absolute()
    runs = {}
    for name, folder in folders.items():
      own, reals = fields_of(folder, images), folder / "train" / "real"
      there = 2 * 0.7 * len(image_files(reals).images)  # in its train split
      percent = min(100, max(1, round(100 * images / there)))
      forged = {"data.name": "forged", "data.path": str(reals), "data.train_split": f"train[:{percent}%]"}
      kinds = {"forged": forged, "own": own, "both": own | {"data.forge": SHARE}}
      for kind, fields in kinds.items():
        several = runs[f"{name}, {kind}"] = [place / f"{name} {kind} {seed}" for seed in range(seeds)]
        for seed, run in enumerate(several):
          train(run, recipe or DEFAULT, fields | {"seed": seed, "data.dir": str(place / "records")} | (
              {} if recipe else OF_PHOTOGRAPHS))
        log.info("trained on %s, %s", name, kind)
    for trained, several in runs.items():
      figures[trained] = {name: scores_on(several, str(folder), "val") for name, folder in folders.items()}
  return matrix(figures, "trained on", seeds), figures
