"""What there is to explain: files, folders, or test images of a run."""

import dataclasses
import logging
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

from fakeface_jax.commands.explained import names_of_ours
from fakeface_jax.data.builders.folder_names import MASK, meaning
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.data.reading.kinds import IMAGE_SUFFIXES
from fakeface_jax.data.schema import FAKE, LABELS
from fakeface_jax.errors import UserError
from fakeface_jax.outputs import unique_stems
from fakeface_jax.runs.background import BACKGROUND_IMAGES
from fakeface_jax.runs.cases import pick_cases
from fakeface_jax.runs.records import read_predictions, split_of_run
from fakeface_jax.workdir import read_config

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Item:
  """An image to explain.

  Attributes:
    name: its path, for people.
    stem: that its files in the output folder should have; one that is taken there gets a number.
    read: returns uint8[H, W, 3], or raises UserError.
    source: where it comes from, whatever the current folder; '' for the file of that name.
    version: what changes when what is there changes.
    label: 0 real, 1 fake, None where nobody said.
    mask: returns uint8[H, W] of what was changed (255), or raises UserError; None where there is none.
  """

  name: str
  stem: str
  read: Callable
  source: str = ""
  version: str = ""
  label: int | None = None
  mask: Callable | None = None


def items_of_files(paths):
  """Items of image files and of all images in folders; what is missing or empty becomes an item that cannot be read.

  Pictures that `explain_items` drew are left out. Files in real/ and fake/ that stand side by side have that label.

  Raises: UserError where nothing is left.
  """
  if "" in paths:
    raise UserError("one of the images has an empty name (''); name files or folders, '.' for this one")
  files, problems = find_images(paths)
  ours = cache(names_of_ours)  # for this call only, as folders change
  found = [file for file in files if file.name not in ours(file.parent)]
  problems = [(path, reason) for path, reason in problems if path.name not in ours(path.parent)]
  if len(found) < len(files):
    log.info("%d pictures that this command drew are left out", len(files) - len(found))
  if not found and not problems:
    raise UserError(f"{paths[0]} holds no image but those that this command drew; name photographs")
  listed = cache(_listed)
  items = [_item_of_file(path, stem, listed) for path, stem in zip(found, unique_stems(found), strict=True)]
  return items + [
      Item(str(path), Path(path).stem, partial(_refuse, reason)) for path, reason in problems]


def _item_of_file(path, stem, listed):
  label, mask = _known_of_file(path, listed)
  try:
    version = "{0.st_size} {0.st_mtime_ns}".format(path.stat())
  except OSError:
    version = ""  # reading it will say why
  return Item(str(path), stem, partial(read_image, path), version=version, label=label, mask=mask)


def _listed(folder):
  """{stem: paths} of what is in a folder; of what is none or cannot be listed, nothing."""
  entries = {}
  try:
    for entry in sorted(folder.iterdir()):
      entries.setdefault(entry.stem, []).append(entry)
  except OSError:
    pass  # then nothing is known of the images beside it
  return entries


def _known_of_file(path, listed):
  """(label, what reads the mask) of a file in a folder such as the builder `folder` takes; None where it is in none."""
  path = Path(os.path.abspath(path))
  for folder in path.parents:
    name = meaning(folder.name)[1]
    if name in LABELS:
      beside = {meaning(entry.name)[1]: entry for entries in listed(folder.parent).values() for entry in entries}
      if not beside.keys() >= set(LABELS):
        break
      inner, masks = path.parent.relative_to(folder), []
      if name == LABELS[FAKE] and MASK in beside:
        masks = [mask for place in (beside[MASK] / inner, beside[MASK])
                 for mask in listed(place).get(path.stem, []) if mask.suffix.lower() in IMAGE_SUFFIXES]
      return LABELS.index(name), partial(_read_mask, masks[0], path) if masks else None
  return None, None


def _read_mask(mask, path):
  from fakeface_jax.data.builders.folder import read_mask  # slow to import, and few need it

  return read_mask(mask, read_image(path).shape[:2])


def _refuse(reason):
  raise UserError(reason)


def items_of_run(workdir, each):
  """Test images of a run, up to `each` of every outcome of `runs.cases`, named after it."""
  from fakeface_jax.data.reading.records import decode_mask, decode_record  # slow to import

  config = read_config(workdir)
  source = split_of_run(config, "test")
  predictions = read_predictions(workdir, source)
  labels, probabilities = ([row[key] for row in predictions] for key in ("label", "probability"))
  items, taken = [], set()
  for group, members in pick_cases(labels, probabilities, each).items():
    for rank, i in enumerate(member for member in members if member not in taken):
      taken.add(i)
      row = predictions[i]
      items.append(Item(
          row["path"], f"{group}_{rank + 1}", partial(_of_record, decode_record, source, row["record"]),
          f"{os.path.abspath(workdir)}, record {row['record']}", label=row["label"],
          mask=partial(_of_record, decode_mask, source, row["record"])))
  return items


def _of_record(decode, source, i):
  return decode(source[i])


def with_background(detector, folder, faces):
  """The detector with `faces` of a folder's first photographs to compare with; one that cannot be read is an error."""
  files, problems = find_images([folder])
  if not files:
    raise UserError(f"background={folder}: {problems[0][1]}")
  for path, reason in problems:
    log.warning("--background: %s %s", path, reason)
  looks = [look for file in files[:BACKGROUND_IMAGES] for look in detector.find(read_image(file), faces)]
  if not looks:
    raise UserError(f"background={folder}: no face was found in its photographs; name others, or --faces=none")
  return dataclasses.replace(detector, background=np.concatenate([look.seen.pixels for look in looks]))
