"""Where results go: never over a file that is the user's, and under names that no two results share."""

import os
import unicodedata
from collections import Counter
from pathlib import Path

from fakeface_jax.errors import UserError
from fakeface_jax.workdir import write_output

LONGEST = 200  # bytes of a stem; file systems take names of 255, and suffixes and numbers come after


def check_new(path, overwrite=False):
  """Makes sure, before any work is done for it, that a file the user asked for can be written and replaces nothing.

  Raises: UserError where something is there (with `overwrite`, something else than a file), or it cannot be written.
  """
  path = Path(path)
  if os.path.lexists(path):
    if not path.is_file():
      raise UserError(f"out={path} is there and no file; name a new file")
    if not overwrite:
      raise UserError(f"out={path} is there already; overwrite=True replaces it, or choose another file")
  place = next(parent for parent in path.absolute().parents if parent.exists())
  if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
    raise UserError(f"out={path} cannot be written: {place} is no folder that you may write to; choose another place")


def write_new(path, content, overwrite=False):
  """Writes text or bytes to where the user asked for them. Raises: UserError as `check_new`, or where it fails."""
  check_new(path, overwrite)
  write_output(path, content)


def same_name(name):
  """What two names share that some file system takes for one: letters of either case, accents however composed."""
  return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def unique_stems(paths):
  """`free_stems` of images by their paths: where two would be the same, the folder's name goes before."""
  names = [Path(path).stem for path in paths]
  counts = Counter(map(same_name, names))
  folders = [os.path.basename(os.path.dirname(os.path.abspath(path))) for path in paths]
  return free_stems([
      f"{folder}_{name}" if counts[same_name(name)] > 1 and folder else name
      for folder, name in zip(folders, names, strict=True)])


def free_stems(wished, suffixes=("",), taken=()):
  """File stems like those wished, so that no two files are called alike, also where upper and lower case are the same.

  Long ones are cut; where one is not free, a number goes after it.

  Args:
    suffixes: of the files that each stem stands for.
    taken: names of files that there are.
  Returns: list of N.
  """
  taken, stems, numbers = set(map(same_name, taken)), [], Counter()
  for stem in wished:
    stem = start = _cut(stem or "image")
    while not taken.isdisjoint(same_name(stem + suffix) for suffix in suffixes):
      numbers[same_name(start)] += 1
      stem = f"{start}_{numbers[same_name(start)] + 1}"
    taken.update(same_name(stem + suffix) for suffix in suffixes)
    stems.append(stem)
  return stems


def _cut(stem):
  while len(os.fsencode(stem)) > LONGEST:
    stem = stem[:-1]
  return stem
