"""What there is to explain: files, folders, or test images of a run."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fakeface_jax.data.images import decode_image, find_images, read_image
from fakeface_jax.errors import UserError
from fakeface_jax.report.cases import pick_cases
from fakeface_jax.report.run_data import read_predictions, split_of_run
from fakeface_jax.workdir import read_config


@dataclasses.dataclass(frozen=True)
class Item:
  """An image to explain.

  Attributes:
    name: its path, for people.
    stem: of its files in the output folder, unique there.
    read: returns uint8[H, W, 3], or raises UserError.
  """

  name: str
  stem: str
  read: Callable


def items_of_files(paths):
  """Items of image files and of all images in folders; what is missing or empty becomes an item that cannot be read."""
  files, problems = find_images(paths)
  items = [
      Item(str(path), stem, partial(read_image, path)) for path, stem in zip(files, unique_stems(files), strict=True)]
  return items + [Item(str(path), Path(path).stem, partial(_refuse, reason)) for path, reason in problems]


def _refuse(reason):
  raise UserError(reason)


def items_of_run(workdir, each):
  """Test images of a run, up to `each` of every outcome of `report.cases`, named after it."""
  config = read_config(workdir)
  source = split_of_run(config, "test")
  predictions = read_predictions(workdir, source)
  labels, probabilities = ([row[key] for row in predictions] for key in ("label", "probability"))
  items, taken = [], set()
  for group, members in pick_cases(labels, probabilities, each).items():
    for rank, i in enumerate(member for member in members if member not in taken):
      taken.add(i)
      row = predictions[i]
      items.append(Item(row["path"], f"{group}_{rank + 1}", partial(_read_record, source, row["record"])))
  return items


def _read_record(source, i):
  from fakeface_jax.data.loader import record_name

  return decode_image(source[i]["image"], record_name(source[i]))


def unique_stems(paths):
  """A file stem for each path; where two would be the same, the folder's name goes before, then a number after."""
  stems = [Path(path).stem for path in paths]
  counts = Counter(stems)
  stems = [f"{Path(path).parent.name}_{stem}" if counts[stem] > 1 else stem
           for path, stem in zip(paths, stems, strict=True)]
  seen = {}
  for i, stem in enumerate(stems):
    seen[stem] = seen.get(stem, 0) + 1
    stems[i] = stem if seen[stem] == 1 else f"{stem}_{seen[stem]}"
  return stems


def with_background(detector, folder, most=32):
  """The detector with the first photographs of a folder to compare with; one that cannot be read is an error."""
  files, problems = find_images([folder])
  if problems:
    raise UserError(f"--background {folder}: {problems[0][1]}")
  return dataclasses.replace(detector, background=detector.prepare([read_image(file) for file in files[:most]]).pixels)
