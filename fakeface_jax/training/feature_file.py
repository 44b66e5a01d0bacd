"""Rows of features in a file that can be gone on with, and that is never taken for another's.

`train.npy` is uint16[rows, width]. `train.json` beside it has the key (all that the rows depend on, by name), how many
rows are done; it is written after the rows that it counts, so a kill at any moment costs one batch at most.
"""

import io
import json
import logging
from pathlib import Path

import numpy as np

from fakeface_jax.workdir import write_whole

log = logging.getLogger(__name__)

FOLDER = "trunk"  # below a run's folder


class FeatureFile:
  """Rows that are being written, or are all there."""

  def __init__(self, path, key, shape):
    """Goes on with the file if it has this key, a dict for JSON, and shape; replaces it otherwise, and says so."""
    self.path, self._key, self._shape = Path(path), key, shape
    self.done = 0
    wrong = what_is_wrong(self.path, key, shape)
    if wrong is None:
      self.done = read_notes(self.path)["rows"]
      return
    if self.path.exists():
      log.warning("%s %s; it is computed anew.", self.path, wrong)
    self.path.parent.mkdir(parents=True, exist_ok=True)
    _notes_path(self.path).unlink(missing_ok=True)
    write_whole(self.path, _header(shape))  # a new file: another run may have the old one mapped

  def append(self, rows):
    """Adds uint16[n, width] rows. Raises: OSError."""
    with self.path.open("r+b") as file:
      file.seek(_end(self._shape, self.done))
      file.write(np.ascontiguousarray(rows, "<u2"))
    self.done += len(rows)
    write_whole(_notes_path(self.path), json.dumps({"key": self._key, "rows": self.done}, indent=1) + "\n")

  def rows(self):
    """uint16[rows, width], mapped into memory."""
    return mapped(self.path, self._shape)


class FeatureMemory:
  """As `FeatureFile`, in this process's memory."""

  def __init__(self, shape):
    self._rows, self.done = np.empty(shape, np.uint16), 0

  def append(self, rows):
    self._rows[self.done : self.done + len(rows)] = rows
    self.done += len(rows)

  def rows(self):
    return self._rows


def find_complete(workdir, name, key, shape):
  """The rows of the file called `name` of this run, or of one beside it, if it has this key and all of them; or None.

  They stay as they were when they were found.
  """
  own = Path(workdir) / FOLDER / name
  for path in (own, *sorted(Path(workdir).resolve().parent.glob(f"*/{FOLDER}/{name}"))):
    notes = read_notes(path)
    if notes is None or notes["rows"] != shape[0]:
      continue
    try:
      rows = mapped(path, shape)  # first: now they stay, whatever another process does to the path
      if what_is_wrong(path, key, shape) is None:
        return rows
    except (OSError, ValueError):  # too short, or gone
      continue
  return None


def mapped(path, shape):
  """uint16[rows, width] of a file, mapped into memory. Raises: ValueError where the file is too short."""
  return np.memmap(path, "<u2", "r", len(_header(shape)), shape)


def what_is_wrong(path, key, shape):
  """Why a file cannot be used as, or as the start of, the rows of that key and shape; None where it can."""
  notes = read_notes(path)
  if notes is None:
    return "has no notes"
  differing = [name for name in key if notes["key"].get(name) != key[name]]
  if differing:
    return f"is of other {', '.join(differing)}"
  if notes["rows"] > shape[0]:
    return "has notes of more rows than there can be"
  size, expected = path.stat().st_size, _end(shape, notes["rows"])
  return f"is truncated ({size:,} of {expected:,} bytes)" if size < expected else None


def read_notes(path):
  """What stands beside a .npy file about it, or None where one of the two is missing or broken."""
  try:
    notes = json.loads(_notes_path(path).read_text())
    whole = isinstance(notes["key"], dict) and type(notes["rows"]) is int and notes["rows"] >= 0
    return notes if whole and path.exists() else None
  except (OSError, ValueError, AttributeError, KeyError, TypeError):
    return None


def _notes_path(path):
  return path.with_suffix(".json")


def _header(shape):
  header = io.BytesIO()
  np.lib.format.write_array_header_1_0(header, {"descr": "<u2", "fortran_order": False, "shape": shape})
  return header.getvalue()


def _end(shape, rows):
  """Length in bytes of a file that has so many rows."""
  return len(_header(shape)) + 2 * rows * shape[1]


def bytes_in_words(count):
  """A number of bytes for people, such as 1.5 GiB."""
  return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
