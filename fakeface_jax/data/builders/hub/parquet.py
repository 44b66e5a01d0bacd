"""Columns of one parquet file: which hold the images and the labels, and their values, a few rows at a time."""

import json
import math
import re

from fakeface_jax.data.builders.folder_names import meaning
from fakeface_jax.data.builders.hub.layout import label_names
from fakeface_jax.data.schema import LABELS
from fakeface_jax.errors import UserError
from fakeface_jax.lines import listed

ROWS = 16  # images that are read at a time
BUFFER = 1 << 20  # bytes of a column that are read at a time
IMAGE_NAMES = ("image", "img", "picture", "photo", "face", "images", "jpg", "jpeg", "png", "webp")
LABEL_NAMES = ("label", "labels", "class", "classes", "target", "category")
_IS = re.compile("is(?=[^a-z])")  # before the name of a column that says yes (1) or no (0)


def need_pyarrow(title):
  """Raises: UserError where what reads parquet files is not installed."""
  try:
    import pyarrow.parquet  # noqa: F401
  except ImportError as error:
    raise UserError(f"{title}: reading parquet files needs pyarrow; `pip install 'fakeface-jax[hub]'`") from error


class Table:
  """A parquet file, opened.

  Attributes: `name`: its path, for messages. `images`: the name of the column of images. `labels`: the columns that
    may be labels, likely ones first. `columns`: all columns.
  Raises: UserError where it cannot be read or has no such columns.
  """

  def __init__(self, path, card, subset):
    import pyarrow as pa
    import pyarrow.parquet as pq

    self.name, self._card, self._subset = str(path), card, subset
    self._errors = (pa.ArrowException, OSError, ValueError)
    try:
      with open(path, "rb") as file:
        start = file.read(64)
      if start.startswith(b"version https://git-lfs"):
        raise UserError(f"{path}: only a git-lfs pointer; run `git lfs pull` in its folder to fetch the file")
      self._file = pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
      schema = self._file.schema_arrow
      said = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except UserError:
      raise
    except self._errors as error:
      raise self._damaged(error) from error
    self.columns, self._features = schema.names, said.get("info", {}).get("features") or {}
    types = dict(zip(schema.names, schema.types, strict=True))
    self.images = self._image_column(types, pa.types)
    self.labels = self._label_columns(types, pa.types)

  def _image_column(self, types, kinds):
    binary = lambda kind: kinds.is_binary(kind) or kinds.is_large_binary(kind)
    inner = lambda kind: [field.name for field in kind if binary(field.type)] if kinds.is_struct(kind) else []
    found = [name for name, kind in types.items() if "bytes" in inner(kind)] or [
        name for name, kind in types.items() if binary(kind)]
    if len(found) > 1:
      found = [name for wanted in IMAGE_NAMES for name in found if name.lower() == wanted] or found
      if found[0].lower() not in IMAGE_NAMES:
        raise UserError(f"{self.name}: images are in the columns {listed(found)}; expected one of them to be called"
                        " image: rename it in a copy")
    if not found:
      raise UserError(
          f"{self.name}: no column holds images (the bytes of files); its columns are {listed(self.columns)}")
    return found[0]

  def _label_columns(self, types, kinds):
    simple = (kinds.is_integer, kinds.is_floating, kinds.is_boolean, kinds.is_string, kinds.is_large_string,
              kinds.is_dictionary, kinds.is_null)
    may_be = [name for name, kind in types.items() if any(is_one(kind) for is_one in simple)]
    place = lambda name: LABEL_NAMES.index(name.lower()) if name.lower() in LABEL_NAMES else len(LABEL_NAMES)
    yes_or_no = [name for name, kind in types.items()
                 if kinds.is_boolean(kind) or (kinds.is_integer(kind) and _IS.match(name))]
    self._yes_or_no = {name: said for name in yes_or_no if (said := meaning(_IS.sub("", name))[1]) in LABELS}
    found = [name for name in may_be
             if self.names(name) or set(re.findall("[a-z]+", name.lower())) & set(LABEL_NAMES)]
    if not found:
      raise UserError(f"{self.name}: no column of numbers or words is called label (or {', '.join(LABEL_NAMES[1:])});"
                      f" its columns are {listed(self.columns)}; a detector needs to know which faces are real")
    return sorted(found, key=place)  # in the file's order where neither is likelier

  def names(self, column):
    """What the classes of a column are called, in the order of their numbers, or None; of is_fake: real, fake."""
    if column in self._yes_or_no:
      return sorted(LABELS, key=self._yes_or_no[column].__eq__)
    own = self._features.get(column)
    return (own.get("names") if isinstance(own, dict) and own.get("_type") == "ClassLabel" else None) or label_names(
        self._card, self._subset, column)

  def words(self, column):
    """The labels of all rows as words, by the names of the classes where there are any; None for a row without one."""
    names = self.names(column)
    try:
      values = self._file.read([column], use_threads=False).column(0).to_pylist()
    except self._errors as error:
      raise self._damaged(error) from error
    known = {value: _word(value, names) for value in set(values)}
    return [known[value] for value in values]

  def pictures(self):
    """Yields each row's image as bytes; b'' where there is none."""
    batches = self._file.iter_batches(ROWS, columns=[self.images], use_threads=False)
    while True:
      try:
        batch = next(batches)
      except StopIteration:
        return
      except self._errors as error:
        raise self._damaged(error) from error
      for value in batch.column(0):
        value = value.as_py()
        yield (value.get("bytes") if isinstance(value, dict) else value) or b""

  def _damaged(self, error):
    return UserError(f"{self.name}: cannot be read as a parquet file ({' '.join(str(error).split())[:200]}); download"
                     " it again")


def _word(value, names):
  if value is None or (isinstance(value, float) and math.isnan(value)):
    return None
  if isinstance(value, float) and value.is_integer():
    value = int(value)
  if names and isinstance(value, int):
    return names[value] if 0 <= value < len(names) else None
  return str(value).strip() or None
