"""What a folder of explanations holds, so that nothing in it is lost: which files are ours, of which image, made how.

`explain.json` says it before a file is written: {"made": [{"settings", "scale", "scale_note"}], "images": {stem:
{"source", "version", "made": index or null}}}; a line of `predictions.jsonl` says that the files of a face are there.
The first face of an image has the image's stem, the second the same with `.face2` after it.
"""

import json
import logging
import os
import re
import zipfile
from pathlib import Path

from fakeface_jax.errors import UserError
from fakeface_jax.explain.scale import is_scale, missing_from
from fakeface_jax.outputs import free_stems
from fakeface_jax.workdir import RUN_FILES, refuse_strangers, write_whole

log = logging.getLogger(__name__)

STATE_FILE, LINES_FILE = "explain.json", "predictions.jsonl"
PANEL, GRID, MAPS, PHOTOGRAPH = SUFFIXES = (".png", ".feature_maps.png", ".npz", ".photograph.jpg")
FILE_KEYS = ("panel", "feature_maps", "maps", "photograph")  # of a line
_FACE = re.compile(r"\.face\d+(?=\.|$)")


def stem_of_face(stem, number):
  """The stem of the files of an image's faces, which are counted from 1."""
  return stem if number == 1 else f"{stem}.face{number}"


class Explained:
  """A folder of explanations, and what this command adds to it.

  Args:
    out: the folder, which may hold files of the user's and of earlier commands.
    methods: {name: settings}, as `resolve_methods` returns them.
    settings: ready for JSON, all that the pictures depend on.
    scale, scale_note: as the panels take them; None where there is none yet. Pictures of the same settings that are
      there already go before.
  Attributes: `scale`, `scale_note`.
  Raises: UserError where it holds an `explain.json` or `predictions.jsonl` that is not ours; OSError.
  """

  def __init__(self, out, methods, settings, scale, scale_note):
    self.out = Path(out)
    self._made, self._images, self._lines = read_folder(self.out)
    made = next((one for one in self._made if one["settings"] == settings), None)
    if made is None:
      made = {"settings": settings, "scale": scale, "scale_note": scale_note}
      self._made.append(made)
    elif made["scale"] is None or missing_from(made["scale"], methods):
      made |= {"scale": scale, "scale_note": scale_note}
    self._own, self._number = made, self._made.index(made)

  @property
  def scale(self):
    return self._own["scale"]

  @property
  def scale_note(self):
    return self._own["scale_note"]

  def keep_scale(self, scale, note):
    self._own |= {"scale": scale, "scale_note": note}
    self._write_state()

  def take(self, items, overwrite):
    """{item: stem} of those that are to be explained; the others, and copies of an item, have been.

    Raises: UserError where pictures would be replaced and `overwrite` does not allow it.
    """
    stems = {row["source"]: stem for stem, row in self._images.items()}
    asked, todo, replaced = {}, {}, []
    for item in items:
      asked.setdefault(_source(item), item)
    for source, item in asked.items():
      lines = self._lines_of(stems.get(source))
      if not lines:
        todo[source] = item
      elif self._images[stems[source]] != self._row(item):
        replaced.append(source)
        todo[source] = item
      elif len(lines) < lines[0].get("faces", 1) or not all(map(self._is_there, lines)):
        log.warning("%s: of what was made of it not all is in %s any more, and is made again", item.name, self.out)
        todo[source] = item
    if replaced and not overwrite:
      first = replaced[0]
      raise UserError(
          f"out={self.out} holds pictures of {len(replaced)} of these images, the first {asked[first].name}, made"
          f" {self._difference(self._images[stems[first]])}; overwrite=True replaces them, or choose another folder")
    new = {source: _FACE.sub("_face", item.stem) for source, item in todo.items() if source not in stems}
    there = os.listdir(self.out)
    taken = [LINES_FILE, STATE_FILE, *RUN_FILES, *there, *(_FACE.sub("", name) for name in there)]
    taken += [stem + suffix for stem in self._images for suffix in SUFFIXES]
    stems |= dict(zip(new, free_stems(new.values(), SUFFIXES, taken), strict=True))
    self._images |= {stems[source]: self._row(item) for source, item in todo.items()}
    names = {item.name for item in todo.values()}
    again = {stems[source] for source in todo}
    gone = {stem for stem, line in self._lines.items()
            if (line["path"] in names if "error" in line else _FACE.sub("", stem) in again)}
    kept = [line for stem, line in self._lines.items() if stem not in gone]
    # In this order: a line of old pictures must not stand beside a state that calls them new.
    write_whole(self.out / LINES_FILE, "".join(json.dumps(line) + "\n" for line in kept))
    self._write_state()
    for line in (line for source in replaced for line in self._lines_of(stems[source])):
      for name in _files_of(line):
        (self.out / name).unlink(missing_ok=True)
    return {item: stems[source] for source, item in todo.items()}

  def _row(self, item):
    return {"source": _source(item), "version": item.version, "made": self._number}

  def _lines_of(self, stem):
    """The lines of an image's faces, first to last."""
    first = self._lines.get(stem)
    stems = [stem_of_face(stem, number + 1) for number in range(first.get("faces", 1))] if first else []
    return [self._lines[stem] for stem in stems if stem in self._lines]

  def _is_there(self, line):
    return all((self.out / name).is_file() for name in _files_of(line)) and zipfile.is_zipfile(self.out / line["maps"])

  def _difference(self, row):
    if row["made"] is None:
      return "with settings that are not known any more"
    theirs, ours = self._made[row["made"]]["settings"], self._own["settings"]
    differing = [key for key in ours if theirs.get(key) != ours[key]]
    return f"with other settings ({', '.join(differing)})" if differing else "of that file as it was before"

  def _write_state(self):
    state = {"made": self._made, "images": self._images}
    write_whole(self.out / STATE_FILE, json.dumps(state, indent=1) + "\n")


def _files_of(line):
  """The names of the files that a line names, and that this command can have written."""
  stem = line["maps"].removesuffix(MAPS)
  return {stem + suffix for suffix in SUFFIXES} & {line.get(key) for key in FILE_KEYS}


def _source(item):
  return item.source or os.path.abspath(item.name)


def read_folder(out):
  """(made, images, {stem: line}) of a folder, empty where it holds nothing of ours; lines without maps have a number.

  Raises: UserError where an `explain.json` or `predictions.jsonl` is not ours.
  """
  lines, foreign = _read_lines(out / LINES_FILE)
  try:
    made, images = _read_state(out / STATE_FILE)
  except (FileNotFoundError, ValueError) as error:
    if foreign or not lines:
      refuse_strangers(out, [LINES_FILE] if foreign else [STATE_FILE])
      return [], {}, {}
    log.warning("%s cannot be read (%s) and is made again; how the pictures there were made is not known any more",
                out / STATE_FILE, " ".join(str(error).split()))
    made, images = [], {}
  for stem, line in lines.items():
    if "maps" in line:
      images.setdefault(_FACE.sub("", stem), {"source": os.path.abspath(line["path"]), "version": "", "made": None})
  return made, images, lines


def names_of_ours(folder):
  """The names of the files in a folder that were made here of other pictures; none where it is not ours."""
  try:
    _, images, lines = read_folder(folder)
  except (UserError, OSError):
    return set()
  faces = [stem for stem, line in lines.items() if "error" not in line]
  return {stem + suffix for stem in [*images, *faces] for suffix in SUFFIXES}


def _read_state(path):
  """(made, images). Raises: ValueError where the file is of another form."""
  state = json.loads(path.read_text())
  try:
    made, images = state["made"], state["images"]
    sound = all(
        isinstance(one["settings"], dict) and isinstance(one["scale_note"], str)
        and (one["scale"] is None or is_scale(one["scale"])) for one in made) and all(
        isinstance(row["source"], str) and isinstance(row["version"], str)
        and row["made"] in (None, *range(len(made))) for row in images.values())
  except (KeyError, TypeError, AttributeError) as error:
    raise ValueError(f"it is of another form: {error!r}") from error
  if not sound:
    raise ValueError("it is of another form")
  return made, images


def _read_lines(path):
  """({stem, or number where there are no maps: line}, whether there are lines that are not ours)."""
  try:
    texts = path.read_bytes().splitlines(keepends=True)
  except FileNotFoundError:
    return {}, False
  lines, foreign = {}, False
  for number, text in enumerate(texts):
    try:
      line = json.loads(text)
      stem = number if "error" in line else line["maps"].removesuffix(MAPS)
      if not isinstance(line["path"], str) or type(line.get("faces", 1)) is not int or (
          stem != number and line["maps"] != os.path.basename(stem) + MAPS):
        raise ValueError
      lines[stem] = line
    except (ValueError, KeyError, TypeError, AttributeError):
      foreign |= text.endswith(b"\n")  # the last line may be cut
  return lines, foreign
