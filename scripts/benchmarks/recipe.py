"""What each part of configs/photographs.py brings: detectors trained with and without it, on each folder of faces."""

import logging
import tempfile
from pathlib import Path
from zlib import crc32

import jax
import numpy as np
from PIL import Image

from benchmarks.commands import CONFIGS
from benchmarks.worlds import cost_of, fields_of, folders_by_name, train, with_interval
from fakeface_jax.commands.command_line import read_config_file
from fakeface_jax.data.builders.folder import image_files
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.data.reading.square import resize_and_crop
from fakeface_jax.data.schema import LABELS
from fakeface_jax.detector import load
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.corruptions import CORRUPTIONS, corrupted
from fakeface_jax.evaluation.probability import probability_of_fake
from fakeface_jax.evaluation.scores import scores
from fakeface_jax.models import init_variables, make_model
from fakeface_jax.models.pretrained import load_pretrained
from fakeface_jax.models.weight_files import weights_path
from fakeface_jax.workdir import whole_file

log = logging.getLogger(__name__)

RECIPE = CONFIGS / "photographs.py"
BASE, PLAIN, CROPS = "the recipe", "crops and flips alone", "ten crops judged"
DIFFERENCES, BESIDE = "differences instead of RGB", "differences beside RGB"
GIVEN = "weights given"  # a row of their own, where there are any
UNCHANGED = {"data.augment": "crop,flip"}
SMALL = {"data.resize": 144, "data.crop": 128, "data.train_crop": None}
FIELDS = {  # row: what is set otherwise than in the recipe; all but the first have crops and flips alone
    BASE: {},
    PLAIN: {},
    "whole faces at 128 px": SMALL,
    "pixels as they are": {"data.resize": None},
    "enlarged to 512 px": {"data.resize": 512, "data.crop": 448},  # as a stem of half the stride
    "pairs in a batch": {"data.pairs": True},
    "whole faces in pairs": SMALL | {"data.pairs": True},
    "weights of the last step": {"ema_decay": 0.0},
    "last stage": {"trainable": "last_stage"},
    "last block": {"trainable": "last_block"},
    "random weights": {"pretrained": ""},
    DIFFERENCES: {},
}
FIELDS = {row: fields if row == BASE else UNCHANGED | fields for row, fields in FIELDS.items()}
ROWS = (*FIELDS, BESIDE, CROPS)
PLACES = [(0.0, 0.0), (0.0, 1.0), (0.5, 0.5), (1.0, 0.0), (1.0, 1.0)]  # of crops, each also mirrored
AFTER = ("jpeg", 75), ("blur", 1), ("noise", 10)  # of `evaluation.corruptions.CORRUPTIONS`
STRENGTH = 4  # of the differences between neighbours, in grey levels for each


def bench_recipe(faces, *, rows=ROWS, images=1200, epochs=None, pretrained=None, workdir=None):
  """Trains detectors with the recipe, with less augmentation, and so with one thing changed, and scores them on val.

  Args:
    faces: folders, see `worlds.folders_by_name`. rows: some of `ROWS`, and `GIVEN` with `pretrained`.
    images: to train on, at most, about. epochs: of every run; the config's without.
    pretrained: weights that one more row starts from, as `load_pretrained` takes them; such as a file of ImageNet's.
    workdir: folder that keeps the runs; a finished one is not trained again, and an unfinished one goes on.
  Returns: (text, {row: {"minutes", "images_per_second", "sets": {folder: `evaluation.scores.scores`}, "after":
    {'blur 1': {folder: the same after that corruption}}}}); a row has no figures of a folder for which it cannot be
    done (pairs where there are none), nor time where nothing is trained, nor "after" where not the whole photographs
    are judged.
  Raises: UserError for a folder that is missing, a row that there is not, or a run that fails.
  """
  known = ROWS
  if pretrained:
    known, rows = (*ROWS, GIVEN), tuple(dict.fromkeys((*rows, GIVEN)))
  if unknown := [row for row in rows if row not in known]:
    raise UserError(f"--rows: there is no {unknown[0]!r}; use some of {', '.join(known)}")
  folders, figures, changed = folders_by_name(faces), {}, FIELDS
  if pretrained:
    pretrained = str(weights_path(pretrained).absolute())
    check_weights(pretrained)
    changed = FIELDS | {GIVEN: UNCHANGED | {"pretrained": pretrained}}
  with tempfile.TemporaryDirectory() as temporary:
    place = Path(workdir or temporary).expanduser().absolute()
    other = {name: place / "differences" / f"{name} {crc32(bytes(folder)):08x}" for name, folder in folders.items()}
    trained = {row: {} for row in needed_by(rows, changed)}
    for row, runs in trained.items():
      for name, folder in folders.items():
        if row == DIFFERENCES:
          write_differences(folder, other[name])
          folder = other[name]
        fields = fields_of(folder, images) | {"data.dir": str(place / "records")} | changed[row]
        run = place / f"{name}, {row}"
        try:
          train(run, RECIPE, fields | ({"epochs": epochs} if epochs else {}))
        except UserError as error:
          if "config.data.pairs" not in str(error):
            raise
          continue
        runs[name] = run
        log.info("trained on %s: %s", name, row)
    for row in rows:
      of_row = trained[row if row in changed else PLAIN]
      figures[row] = {"sets": {}}
      if row in changed and of_row:
        figures[row]["minutes"], figures[row]["images_per_second"] = cost_of(of_row.values())
      if row in changed and row != DIFFERENCES:
        figures[row]["after"] = {f"{kind} {level}": {} for kind, level in AFTER}
      for name, run in of_row.items():
        several = [(run, other[name] if row == DIFFERENCES else folders[name])]
        several += [(trained[DIFFERENCES][name], other[name])] if row == BESIDE else []
        places = PLACES if row == CROPS else None
        figures[row]["sets"][name] = judged(several, places)
        for corruption, found in zip(AFTER, figures[row].get("after", {}).values(), strict=False):
          found[name] = judged(several, places, corruption)
  return describe(figures, list(folders)), figures


def check_weights(pretrained):
  """Raises UserError, before anything is trained, where weights do not fit the recipe's network."""
  config = read_config_file(RECIPE, "recipe")
  load_pretrained(pretrained, init_variables(make_model(config.model), jax.random.key(0), config.data.crop))


def needed_by(rows, changed):
  """Those of `changed` that have to be trained for some rows of the table."""
  wanted = {row for row in rows if row in changed}
  wanted |= {PLAIN, DIFFERENCES} if BESIDE in rows else {PLAIN} if CROPS in rows else set()
  return [row for row in changed if row in wanted]


def judged(several, places=None, corruption=None):
  """The scores of runs, each on its folder, by the mean of their logits; arguments as of `logits_of`."""
  logits = [logits_of(load(run), folder / "val", places, corruption) for run, folder in several]
  return scores(logits[0][1], probability_of_fake(np.mean([said for said, _ in logits], 0)))


def logits_of(detector, folder, places, corruption):
  """(float64[N, 2], labels int[N]) of the faces in real/ and fake/, by name, without those that cannot be read.

  Args: `places`: of crops, to take means over. `corruption`: one of `AFTER`. Either may be None.
  """
  said, labels = [], []
  for label, name in enumerate(LABELS):
    for _, image in readable(image_files(folder / name).images):
      if corruption:
        image = corrupted(image, *corruption, resize=detector.resize, key=(0, len(labels)))
      said.append(detector.engine.logits(_seen(detector, image, places)).mean(0, dtype=np.float64))
      labels.append(label)
  return np.array(said), np.array(labels)


def readable(paths):
  """(path, uint8[H, W, 3]) of image files; one that cannot be read is told of and left out, as in training."""
  for path in paths:
    try:
      image = read_image(path)
    except UserError as error:
      log.warning("%s; left out", error)
      continue
    yield path, image


def _seen(detector, image, places):
  if not places:
    return detector.prepare([image]).pixels
  crops = [resize_and_crop(image, detector.resize, detector.crop, position=position) for position in places]
  return np.stack([turned for crop in crops for turned in (crop, crop[:, ::-1])])


def write_differences(folder, out):
  """Writes of every picture how its pixels differ from the first of their 2 x 2 block, as PNG; what is there stays.

  What enlarging has left in the relation of neighbouring pixels (Tan et al., Rethinking the Up-Sampling Operations in
  CNN-based Generative Network for Generalizable Deepfake Detection, 2024).
  """
  for place in (Path(split, kind) for split in ("train", "val") for kind in LABELS):
    targets = {path: out / f"{path.relative_to(folder)}.png" for path in image_files(folder / place).images}
    for path, image in readable(path for path, target in targets.items() if not target.exists()):
      targets[path].parent.mkdir(parents=True, exist_ok=True)
      with whole_file(targets[path]) as partial:
        Image.fromarray(differences(image)).save(partial, "PNG", compress_level=1)


def differences(image):
  """uint8[H, W, 3] -> the same: 128 where a pixel equals the first of its 2 x 2 block."""
  first = image[::2, ::2].repeat(2, 0).repeat(2, 1)[: image.shape[0], : image.shape[1]]
  return np.clip(128 + STRENGTH * (image.astype(int) - first), 0, 255).astype(np.uint8)


def describe(figures, names):
  lines = ["ROC AUC (95 % interval over images)",
           f"{'':<30}" + "".join(f"{name:<24}" for name in names) + "minutes  images/s"]
  for row, found in figures.items():
    cells = [_cell(found["sets"].get(name)) for name in names]
    cost = f"{found['minutes']:>7.1f}{found['images_per_second']:>10.0f}" if "minutes" in found else ""
    lines.append((f"{row:<30}" + "".join(f"{cell:<24}" for cell in cells) + cost).rstrip())
  after = {row: found["after"] for row, found in figures.items() if "after" in found}
  for kind, level in AFTER if after else ():
    lines += ["", f"after {CORRUPTIONS[kind].words.format(level)}"]
    for row, found in after.items():
      cells = [_cell(found[f"{kind} {level}"].get(name)) for name in names]
      lines.append((f"{row:<30}" + "".join(f"{cell:<24}" for cell in cells)).rstrip())
  return "\n".join(lines)


def _cell(found):
  return with_interval({"mean": found["roc_auc"], "interval": found["intervals"]["roc_auc"]}) if found else "no pairs"
