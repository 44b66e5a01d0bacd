"""What a collection has done so far, line by line, and the tables that are made of it.

`collect.jsonl` is only ever appended to, one whole line for each thing done, so a command that is interrupted or killed
loses at most what it had in hand. A line is an object with one key:

    {"settings": {...}}    the first one: what may not change within a collection
    {"page": {...}}        a page of a search: its source, number, how many there are, and its photos
    {"begun": file}        the file for an image that is about to be written
    {"kept": {...}}        an image that was written
    {"left_out": {...}}    an image that was not, and why
    {"reported": key}      a service was told of an image that was kept

The tables (`data.csv`, `MANIFEST.csv`, `left_out.csv`) follow line by line and are made anew from it by every command.
"""

import collections
import contextlib
import csv
import errno
import io
import itertools
import json
import os
from pathlib import Path

from fakeface_jax.data.schema import LABELS, SHEET
from fakeface_jax.errors import UserError
from fakeface_jax.locks import locks
from fakeface_jax.workdir import write_whole

FILE = "collect.jsonl"
DATA_COLUMNS = ("images_id", "label")
MANIFEST_COLUMNS = ("file", "class", "address", "page", "author", "author_page", "licence", "fetched_at", "sha256",
                    "phash", "crop")
LEFT_OUT_COLUMNS = ("class", "address", "page", "reason", "detail", "fetched_at", "sha256")
REMOVED = "removed by hand"
NOT_UTF8 = "backslashreplace"  # what becomes of bytes in names that are no UTF-8, so that a table can be read
OTHER_FILES = ("data.csv", "MANIFEST.csv", "left_out.csv", SHEET, ".against.json")


class Journal(contextlib.AbstractContextManager):
  """A folder's journal, read and ready to go on; a context manager that keeps other commands out.

  Args:
    out: the folder, made where it is missing.
    settings: dict for JSON; what the collection was begun with has to be the same.
  Attributes:
    kept: list of the rows of `MANIFEST.csv`, with `key` and `hashes`; pictures that the user has deleted since are
      left out from then on.
    left_out: list of the rows of `left_out.csv`, with `key`.
    originals: {SHA-256 of an image as fetched: file or address}, of both.
    pages: {source: its pages so far}.
    owed: {key: address to tell} of images that were kept, where that has not been done.
  Raises: UserError where the folder cannot be used, holds something else, or another command is at work in it.
  """

  def __init__(self, out, settings):
    self.out = Path(out)
    self.kept, self.left_out, self.done, self.originals = [], [], set(), {}
    self.pages, self.owed = collections.defaultdict(list), {}
    self._settings = None
    self._begun = set()
    self._last_number = dict.fromkeys(LABELS, 0)
    try:
      self._open()
      try:
        self._begin(json.loads(json.dumps(settings)))
      except BaseException:
        self._file.close()
        raise
    except OSError as error:
      raise UserError(f"out={out} cannot be used: {error}; choose one with room that you may write to") from error

  def _open(self):
    path = self.out / FILE
    if not path.exists():
      strangers = [name for name in (*LABELS, *OTHER_FILES) if os.path.lexists(self.out / name)]
      if strangers:
        raise UserError(f"out={self.out} holds {strangers[0]}, but no {FILE}: it was not made by this command; "
                        "choose another folder")
    for label in LABELS:
      (self.out / label).mkdir(parents=True, exist_ok=True)
    self._file = path.open("a+b", buffering=0)  # a full disk has to be heard of at once, and only once
    if not locks(self._file):
      self._file.close()
      raise UserError(f"out={self.out}: another command is collecting into it; let it end, or stop it")

  def _begin(self, settings):
    self._replay()
    if self._settings is None:
      self._append("settings", settings)
    elif self._settings != settings:
      changes = ", ".join(f"{key}={self._settings.get(key)} there, {value} now"
                          for key, value in settings.items() if self._settings.get(key) != value)
      raise UserError(f"out={self.out} holds a collection made with other options ({changes}); choose another folder")
    for row in [row for row in self.kept if not (self.out / row["file"]).is_file()]:
      self.leave_out(**{key: row[key] for key in ("key", "class", "address", "page", "fetched_at", "sha256")},
                     reason=REMOVED, detail=row["file"])
    tables = (("data.csv", DATA_COLUMNS, map(_data, self.kept)), ("MANIFEST.csv", MANIFEST_COLUMNS, self.kept),
              ("left_out.csv", LEFT_OUT_COLUMNS, self.left_out))
    for name, columns, rows in tables:
      write_whole(self.out / name, (",".join(columns) + "\n" + _lines(columns, rows)).encode(errors=NOT_UTF8))

  def _replay(self):
    """Takes up every whole line; half a line at the end is what a kill or a full disk left, and is cut off."""
    self._file.seek(0)
    data = self._file.read()
    whole = data.rfind(b"\n") + 1
    for number, line in enumerate(data[:whole].splitlines(), 1):
      try:
        ((kind, value),) = json.loads(line).items()
        self._take(kind, value)
      except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{self.out / FILE}: line {number} is damaged ({error!r}); remove that line") from error
    if whole < len(data):
      self._file.truncate(whole)

  def _take(self, kind, value):
    if kind == "settings":
      self._settings = value
    elif kind == "page":
      self.pages[value["source"]].append(value)
    elif kind == "reported":
      self.owed.pop(value, None)
    elif kind == "begun":
      self._begun.add(value)
    elif kind == "kept":
      self.kept.append(value)
      self._know(value, value["file"])
      self._last_number[value["class"]] = int(Path(value["file"]).stem.rpartition("_")[2])
      if value["report_to"]:
        self.owed[value["key"]] = value["report_to"]
    elif kind == "left_out":
      self.left_out.append(value)
      self._know(value, value["address"])
      if value["reason"] == REMOVED:
        self.kept = [row for row in self.kept if row["file"] != value["detail"]]
    else:
      raise KeyError(kind)

  def _know(self, row, name):
    self.done.add(row["key"])
    if row["sha256"]:
      self.originals.setdefault(row["sha256"], name)

  def _append(self, kind, value):
    line = json.dumps({kind: value}).encode() + b"\n"
    if self._file.write(line) < len(line):
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.out / FILE))
    self._take(kind, value)

  def number(self, label):
    """How many images of a class are kept."""
    return sum(row["class"] == label for row in self.kept)

  def page(self, source, page):
    """Keeps a page of a search: {"number", "pages", "photos"}."""
    self._append("page", {"source": source, **page})

  def reported(self, key):
    """Notes that the service has been told of this image."""
    self._append("reported", key)

  def next_file(self, label):
    """The path below the folder for the next image of a class; never one that was used before."""
    for number in itertools.count(self._last_number[label] + 1):
      file = f"{label}/{label}_{number:05}.jpg"
      if file in self._begun or not os.path.lexists(self.out / file):  # others were put there by hand
        return file

  def keep(self, picture, **row):
    """Writes an image whole, and then its line. Args: picture, the file's bytes; row, as `kept` holds it."""
    path = self.out / row["file"]
    if row["file"] not in self._begun:
      self._append("begun", row["file"])
    write_whole(path, picture)
    try:
      self._append("kept", row)
    except OSError:
      path.unlink()  # a picture without a line would be nobody's
      raise
    self._add_to_table("data.csv", DATA_COLUMNS, _data(row))
    self._add_to_table("MANIFEST.csv", MANIFEST_COLUMNS, row)

  def leave_out(self, **row):
    """Notes an image that was not taken. Args: row, as `left_out` holds it."""
    self._append("left_out", row)
    self._add_to_table("left_out.csv", LEFT_OUT_COLUMNS, row)

  def _add_to_table(self, name, columns, row):
    with (self.out / name).open("a", encoding="utf-8", errors=NOT_UTF8, newline="") as file:
      file.write(_lines(columns, [row]))

  def __exit__(self, *_):
    self._file.close()


def _data(row):
  return {"images_id": Path(row["file"]).stem, "label": row["class"]}


def _lines(columns, rows):
  text = io.StringIO()
  csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n").writerows(rows)
  return text.getvalue()
