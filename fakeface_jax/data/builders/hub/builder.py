"""The TFDS builder `hub`: a data set of the Hugging Face hub with a column of images and one of labels, by its id.

    OWNER/NAME    OWNER/NAME:SUBSET    OWNER/NAME:real=WORD    OWNER/NAME:SUBSET:real=WORD

It is read from its parquet files, its own or those that the hub makes of other formats, see `layout`; a folder that is
laid out likewise may stand for OWNER/NAME. Labels count by their names and never by their numbers: the words of
`folder_names` mean real or fake, several may mean the same, and where some mean neither, `real` says which one is real;
all others are fake then. Splits are as published, called train, validation and test in any of the usual ways; of train
alone each image goes to train, val or test by its content, as in a folder without splits. A split without images of
both classes is not used, which is noted.

A repository's files are downloaded (into the hub's cache, where they are gone on with after an interruption) when its
records are made, and never looked at again. The records hold the images' own bytes (see `schema`). In
`builder.info.metadata` are `unreadable` and `not_used`, lists of [what, reason], and the `revision`.
"""

import dataclasses
import hashlib
import itertools
import logging
import os
import re
from pathlib import Path

from fakeface_jax.data import schema
from fakeface_jax.data.builders import base
from fakeface_jax.data.builders.hub import layout
from fakeface_jax.data.builders.hub.files import files_in, files_of
from fakeface_jax.data.builders.hub.parquet import LABEL_NAMES, Table, need_pyarrow
from fakeface_jax.data.reading.finding import all_files_below
from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.errors import UserError
from fakeface_jax.lines import listed
from fakeface_jax.paths import FOLDER, path_kind, user_path
from fakeface_jax.progress import with_progress

log = logging.getLogger(__name__)

REAL_IS = ":real="
PAGE = "https://huggingface.co/datasets/"
HIDDEN, NO_LABEL = "-1", -1  # what stands for no label, there and here
EXPECTED = "expected OWNER/NAME of the hub, or a folder with its parquet files"


@dataclasses.dataclass
class HubConfig(base.FolderConfig):
  """Which data set: `path` is its id, or an absolute path; '' says nothing."""

  subset: str = ""
  real: str = ""


@dataclasses.dataclass(frozen=True)
class Row(base.FaceFile):
  """An image in a parquet file, and the file's name in the repository."""

  file: str = ""
  number: int = 0


def hub_builder(
    path: str | os.PathLike, data_dir: str | os.PathLike | None = None, *, real: str | None = None) -> "Hub":
  """A builder for a data set of the hub; `download_and_prepare()` then fetches it.

  Args:
    path: see the module's docstring.
    data_dir: where the records are kept; by default TFDS's own place ($TFDS_DATA_DIR or ~/tensorflow_datasets).
    real: the label that means real faces, where the labels' names do not say it.
  Raises: UserError if `path` is neither the id of a data set nor a folder.
  """
  text, _, said = str(path).removeprefix("hub:").removeprefix(PAGE).partition(REAL_IS)
  where, subset = user_path(text), ""
  if path_kind(where) != FOLDER and ":" in where:
    where, _, subset = where.partition(":")
    where = user_path(where)
  choice = {"subset": subset, "real": (said or str(real or "")).strip()}
  if path_kind(where) == FOLDER:
    folder = Path(where)
    state = base.fingerprint(folder, all_files_below(folder)), choice
    config = base.folder_config(folder, _digest(state))
    return Hub(config=HubConfig(name=config.name, path=config.path, **choice), data_dir=data_dir)
  if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", where):
    raise UserError(f"config.data.path={path}: {EXPECTED}; there is no folder {where!r}")
  name = f"{re.sub(r'[^A-Za-z0-9_]+', '_', where)}-{_digest((where, choice))}"
  return Hub(config=HubConfig(name=name, path=where, **choice), data_dir=data_dir)


def _digest(what):
  return hashlib.sha256(repr(what).encode()).hexdigest()[:10]


class Hub(base.FaceBuilder):
  """See the module's docstring; made by `hub_builder`."""

  name = "hub"

  def _find_faces(self):
    chosen = self.builder_config
    need_pyarrow(chosen.path)
    files = files_in(Path(chosen.path), chosen.path) if os.path.isabs(chosen.path) else files_of(chosen.path)
    subsets = layout.subsets_of(files.names, files.card)
    subset = layout.chosen_subset(
        subsets, chosen.subset, files.card, chosen.path, f"config.data.path={chosen.path}:")
    splits, self._not_used = layout.our_splits(subsets[subset])
    self._open, self._revision, self._column = lambda path: Table(path, files.card, subset), files.revision, None
    names, words = list(itertools.chain(*splits.values())), {}
    for wanted in (names[:1], names):  # the labels of the first file are looked at before the others are waited for
      folder = files.fetch(wanted)
      words |= {name: self._labels(folder / name) for name in wanted if name not in words}
    classes = layout.classes_of({word for of_file in words.values() for word in of_file if word}, *self._asked())
    layout.refuse_one_class(classes, chosen.real, chosen.path)
    kinds = [layout.shown(sorted(word for word in classes if classes[word] == label)) for label in range(2)]
    log.info("%s: of its labels (column %s), real: %s; fake: %s", chosen.path, self._column, *kinds)
    rows = {split: [Row(folder / name, classes.get(word, NO_LABEL), file=name, number=number)
                    for name in of_split for number, word in enumerate(words[name])]
            for split, of_split in splits.items()}
    rows = self._of_both_classes(rows)
    faces = [row if list(rows) == ["train"] else dataclasses.replace(row, split=split)
             for split, of_split in rows.items() for row in of_split]
    return [row for row in faces if row.label != NO_LABEL], [
        [self._source(row), "has no label"] for row in faces if row.label == NO_LABEL]

  def _of_both_classes(self, rows):
    """{split: rows} without the splits that lack a class. Raises: UserError where none is left."""
    kept = {}
    for split, of_split in rows.items():
      kinds = {row.label for row in of_split} - {NO_LABEL}
      if len(kinds) == 2:
        kept[split] = of_split
      else:
        only = f"only {schema.LABELS[kinds.pop()]} images" if kinds else "no labels"
        self._not_used.append([f"split {split}", f"({only})"])
    if not kept:
      raise UserError(f"{self.builder_config.path}: no split has both real and fake images: "
                      + ", ".join(map(" ".join, self._not_used)))
    return kept

  def _asked(self):
    """The last arguments of `layout.classes_of`."""
    chosen = self.builder_config
    one_word = f"hub:{chosen.path}{f':{chosen.subset}' if chosen.subset else ''}{REAL_IS}"
    return chosen.real, chosen.path, ("config.data.real=", one_word)

  def _labels(self, path):
    """The words of a file's rows, None where there is none; the first file decides which column they are in."""
    table = self._open(path)
    if self._column is None:
      self._column = self._label_column(table)
    if self._column not in table.columns:
      raise UserError(f"{path}: has no column {self._column}, as other files of the data set have; its columns are"
                      f" {listed(table.columns)}")
    return [None if word == HIDDEN else word for word in table.words(self._column)]

  def _label_column(self, table):
    """The first column whose labels say what is real and what is fake, or hold the one that is said to be real.

    Raises: UserError, of the likeliest one, where there is none, or where it cannot be told which one is meant.
    """
    fit, problems, real = [], [], self.builder_config.real
    for column in table.labels:
      words = {*table.words(column), *(table.names(column) or () if real else ())} - {None, HIDDEN}
      try:
        found = layout.classes_of(words, *self._asked())
        fit += [column] if schema.REAL in found.values() or not real else []
      except UserError as error:
        problems.append(error)
    if fit and not real:
      return fit[0]
    likely = fit or table.labels
    if len(likely) > 1 and likely[0].lower() not in LABEL_NAMES:
      raise UserError(f"{table.name}: labels are in the columns {listed(likely)}; expected one of them to be called"
                      " label: rename it in a copy")
    if problems and not fit:
      raise problems[0]
    return likely[0]

  def _checked(self, faces):
    tasks = in_order(lambda task: self._check_row(*task), self._with_bytes(faces))
    return with_progress(tasks, "reading images", total=len(faces))

  def _check_row(self, row, data):
    return self._check(row, lambda _: data) if data else base.Checked(unreadable="its row holds no bytes of an image")

  def _with_bytes(self, rows):
    """Yields (row, the bytes of its image) of rows in the order of their files and numbers."""
    for path, of_file in itertools.groupby(rows, key=lambda row: row.path):
      wanted = {row.number: row for row in of_file}
      for number, data in enumerate(self._open(path).pictures()):
        if number in wanted:
          yield wanted[number], data

  def _generate_examples(self, records):
    masks = (mask for _, mask in records)
    for (row, data), mask in zip(self._with_bytes(row for row, _ in records), masks, strict=True):
      source = self._source(row)
      yield os.fsencode(source), base.record(source, data, row.label, mask)

  def _source(self, face):
    return f"{face.file}#{face.number}"

  def _place(self, face):
    return self.builder_config.path

  def _notes(self):
    return {"not_used": self._not_used, "revision": self._revision}
