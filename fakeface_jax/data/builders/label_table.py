"""A table of labels (CSV) beside folders of images: what both agree on, and what is said by one of them only."""

import csv
from pathlib import Path

from fakeface_jax.data.reading.kinds import IMAGE_SUFFIXES
from fakeface_jax.data.schema import LABELS
from fakeface_jax.errors import UserError


def read_table(path, columns):
  """Rows of a CSV file: list of (line number, the stripped values of these columns, '' where a row is too short).

  Raises: UserError if it cannot be read or lacks a column.
  """
  try:
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:  # as names of files
      reader = csv.DictReader(file)
      names = [(name or "").strip() for name in reader.fieldnames or []]
      missing = [column for column in columns if column not in names]
      if missing:
        raise UserError(f"{path}: has no column {missing[0]!r}; its first line is {','.join(names) or 'empty'}")
      reader.fieldnames = names
      return [(reader.line_num, *((row[column] or "").strip() for column in columns)) for row in reader]
  except (OSError, csv.Error) as error:
    raise UserError(f"{path}: cannot be read as CSV ({error}); replace it by the published file") from error


def confirmed_faces(faces, rows, table, source):
  """The images whose folder and row agree.

  An image that is called real by one and fake by the other is left out, and one without a row too, as nobody confirms
  it; rows without an image, with another word than a class, or for an image that has its row, are listed.

  Args:
    faces: {(id, label): list of FaceFile}, label as the folder has it. Both classes may have an image of the same id.
    rows: list of (line number, id, label or None, the word that stands for it).
    table: the name of the file with the rows.
  Returns: (list of FaceFile, list of [what, why it was left out]).
  Raises: UserError if folders and rows agree on nothing.
  """
  confirmed, denied, left_out = set(), set(), []
  for number, name, label, word in rows:
    line = f"{table}, line {number}"
    own, other = (name, label), (name, None if label is None else 1 - label)
    if label is None:
      left_out.append([line, f"calls {name or 'an image'} {word!r}; expected {LABELS[0]} or {LABELS[1]}"])
      denied.update((name, known) for known in range(len(LABELS)))
    elif own in faces:
      if own in confirmed:
        left_out.append([line, f"names {name} again; its first row counts"])
      confirmed.add(own)
    elif other in faces:
      left_out += [[source(face), f"its folder says {LABELS[1 - label]}, {line} {LABELS[label]}"]
                   for face in faces[other]]
      denied.add(other)
    else:
      left_out.append([line, f"names {name or 'nothing'}, but there is no such {LABELS[label]} image"])
  kept = []
  for key, members in faces.items():
    if key in confirmed - denied:
      kept += members
    elif key not in denied:
      left_out += [[source(face), f"has no row in {table}"] for face in members]
  if not kept:
    first = ": ".join(left_out[0]) if left_out else "both are empty"
    raise UserError(f"{table}: none of its {len(rows)} rows agrees with the folders (the first: {first}); is it the "
                    "table that was published with these images?")
  return kept, left_out


def stem_of(name):
  """An image's name without its suffix, if it has one."""
  path = Path(name)
  return path.with_suffix("").as_posix() if path.suffix.lower() in IMAGE_SUFFIXES else name
