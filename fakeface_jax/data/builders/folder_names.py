"""What the names of folders mean: classes, masks and splits, as the people who make data sets call them."""

import os
import re
from pathlib import Path

from fakeface_jax.data.reading.finding import is_systems_folder
from fakeface_jax.errors import UserError

MASK = "mask"
MOST = 8  # names in a message
_KINDS = {
    "real": "real reals authentic genuine original originals pristine human humans natural nature bonafide unaltered",
    "fake": "fake fakes deepfake deepfakes ai aigenerated generated artificial synthetic synthesized synthesised"
            " manipulated tampered forged forgery forgeries altered edited retouched photoshopped swap swaps swapped"
            " faceswap faceswaps gan gans stylegan stylegans diffusion",
    MASK: "mask masks"}
_SPLITS = {
    "train": "train training", "val": "val valid validation validate dev development",
    "test": "test tests testing eval evaluation holdout"}
_SAYS_NOTHING = (
    "image images img imgs pic pics picture pictures photo photos face faces data dataset set class label sample"
    " samples folder split deep computer k")
_MEANS = {word: (place, meaning) for place, table in enumerate((_SPLITS, _KINDS))
          for meaning, words in table.items() for word in words.split()}
_SPLIT_OF = {word: meaning for word, (place, meaning) in _MEANS.items() if place == 0}
_FILLERS = frozenset(_SAYS_NOTHING.split())


def meaning(name):
  """(split or None, 'real', 'fake', 'mask' or None) that a folder's name stands for; None twice where it is unknown.

  Case, digits and signs do not matter, nor do words like 'images': '0_real', 'Training_Fake', 'val2', 'AI-generated'.
  """
  found = [set(), set()]
  for word in re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name)):
    if word.lower() in _MEANS:
      place, meant = _MEANS[word.lower()]
      found[place].add(meant)
    elif word.lower() not in _FILLERS:
      return None, None
  if max(map(len, found)) > 1:
    return None, None
  split, kind = (next(iter(meant), None) for meant in found)
  return split, kind


def split_in(path):
  """The one split that words of a path stand for, whatever else it says; None where there is none, or several."""
  found = {_SPLIT_OF[word] for word in re.findall(r"[a-z]+", path.lower()) if word in _SPLIT_OF}
  return found.pop() if len(found) == 1 else None


def subfolders(parent):
  """({meaning: folder} of the folders in a folder that mean something, [the others]), without systems' own.

  Raises: UserError where two of them mean the same.
  """
  known, unknown = {}, []
  for folder in entries(parent)[0]:
    meant = meaning(folder.name)
    if is_systems_folder(folder.name):
      continue
    if meant == (None, None):
      unknown.append(folder)
    elif meant in known:
      raise UserError(f"{parent}: {known[meant].name}/ and {folder.name}/ mean the same; keep one of them")
    else:
      known[meant] = folder
  return known, unknown


def entries(parent):
  """([folders], [files]) in a folder, sorted. Raises: UserError where it cannot be listed."""
  found = ([], [])
  try:
    with os.scandir(parent) as listing:
      for entry in listing:
        found[not entry.is_dir()].append(Path(entry.path))
  except OSError as error:
    raise UserError(f"{parent}: cannot be listed: {error.strerror}; change its permissions") from error
  return sorted(found[0]), sorted(found[1])


def contents(parent):
  """What lies in a folder, in words: 'real/, fake/, a.jpg and 3 more'."""
  folders, files = entries(parent)
  names = sorted([*(f"{folder.name}/" for folder in folders), *(file.name for file in files)])
  return (", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")) or "nothing"
