"""Prepared records on the disk: made by one process at a time, checked when opened, made again where damaged."""

import contextlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging as absl_logging
from array_record.python.array_record_module import ArrayRecordReader
from google.protobuf import json_format
from tensorflow_datasets.core import constants
from tensorflow_datasets.core.proto import dataset_info_pb2
from tensorflow_datasets.core.utils import tqdm_utils
from tensorflow_datasets.proto import tf_example_pb2

from fakeface_jax.errors import UserError
from fakeface_jax.locks import locked

log = logging.getLogger(__name__)

FORMAT = 1  # of the records, which moves with `schema`: the first number of every builder's version
INFO_FILE = "dataset_info.json"  # tfds writes it last but for a rename


def version(content=0):
  """A builder's VERSION, which names the folder of its records; `content` moves when the same files make other ones."""
  return tfds.core.Version(f"{FORMAT}.{content}.0")


class RecordBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
  """A builder whose records may be damaged, or be in the making by another process.

  Attributes: `noted`: what the metadata beside the records must hold, where there is any.
  """

  noted: tuple[str, ...] = ()

  def __init__(self, *, config=None, data_dir=None, **kwargs):
    config = config or self.BUILDER_CONFIGS[0]
    data_dir = Path(data_dir or constants.DATA_DIR).expanduser()
    folder = data_dir / self.name / config.name / str(self.VERSION)
    wrong = damage(folder, self.noted) if folder.exists() else None
    if wrong and not renewable(config):
      raise UserError(f"{folder}: the prepared records are damaged ({wrong}), and the files that they were made of are"
                      " gone; put those back, or remove the folder")
    if wrong:
      with _held(folder):
        if damage(folder, self.noted):
          log.warning("%s: the prepared records are damaged (%s) and are made again.", folder, wrong)
          shutil.rmtree(folder, ignore_errors=True)
    with quiet():  # tfds warns of every config that is not in its registry
      super().__init__(config=config, data_dir=data_dir, file_format="array_record", **kwargs)

  def download_and_prepare(self, **kwargs):
    """Writes the records, or waits until the process that is at it has; quick where they are there.

    Raises: OSError where they cannot be written.
    """
    folder = Path(self.data_dir)
    if folder.exists():
      return
    with _held(folder):
      if folder.exists():  # somebody else's work meanwhile
        self.info.read_from_directory(self.data_dir)
        return
      for left in folder.parent.glob(f"incomplete.*_{folder.name}"):  # by a process that was killed
        shutil.rmtree(left)
      others = sorted(info.parent.name for info in folder.parent.glob(f"*/{INFO_FILE}"))
      if others:
        log.info("%s: the records there are of version %s; they are made anew.", folder.parent, ", ".join(others))
      self._prepare(**kwargs)

  def _prepare(self, **kwargs):
    with quiet():
      super().download_and_prepare(**kwargs)

  _log_download_bytes = _log_download_done = lambda self: None  # tfds prints sizes of a download; there is none


def _held(folder):
  return locked(folder.parent, busy=f"the records in {folder} are being prepared", wait=True)


@contextlib.contextmanager
def quiet():
  """Without tfds's three nested progress bars and its log lines below errors."""
  verbosity, bars = absl_logging.get_verbosity(), getattr(tqdm_utils, "_active", True)
  absl_logging.set_verbosity(absl_logging.ERROR)
  tfds.disable_progress_bar()
  try:
    yield
  finally:
    absl_logging.set_verbosity(verbosity)
    tfds.display_progress_bar(bars)


def renewable(config):
  """Whether what the records of a builder's config are made of is there."""
  return getattr(config, "path", None) != ""


def damage(folder, noted=()):
  """What is wrong with prepared records as far as it shows without reading them all, or None; `noted` as above."""
  path = folder / "metadata.json"
  try:
    if noted and not set(noted) <= json.loads(path.read_text()).keys():
      return f"{path.name} is garbled"
    path = folder / INFO_FILE
    info = json_format.Parse(path.read_text(), dataset_info_pb2.DatasetInfo())
    if info.version != folder.name:
      return f"{path.name} is garbled"
    shards = {
        folder / f"{info.name}-{split.name}.array_record-{i:05}-of-{len(split.shard_lengths):05}": length
        for split in info.splits for i, length in enumerate(split.shard_lengths)}
    if not shards:
      return f"{path.name} names no split"
    for path, length in shards.items():
      path.open("rb").close()  # where it may not be read
      reader = ArrayRecordReader(str(path))
      found = reader.num_records()
      reader.close()
      if found != length:
        return f"{path.name} holds {found} records instead of {length}"
  except FileNotFoundError:
    return f"{path.name} is not there"
  except OSError as error:
    raise UserError(f"{error.filename} cannot be read: {error.strerror}; change its permissions") from error
  except (ValueError, AttributeError, RuntimeError, IndexError, json_format.ParseError):
    return f"{path.name} is cut or garbled"
  return None


class Records:
  """Records of a split, see `schema`; what turns out to be damaged when it is read is made anew next time.

  They are parsed here, one at a time: three times as fast as by tfds in batches.

  Args: `source`: bytes of each record. `builder`: whose they are.
  """

  def __init__(self, source, builder):
    self._source, self._builder = source, builder

  def __len__(self):
    return len(self._source)

  def __getitem__(self, i):
    fields = tf_example_pb2.Example.FromString(self._bytes(i)).features.feature
    number = lambda name: fields[name].int64_list.value[0]
    text = lambda name: fields[name].bytes_list.value[0]
    return {
        "image": text("image"), "label": number("label"), "mask": text("mask"), "source": text("source"),
        "regions": np.array(fields["regions"].int64_list.value, np.bool_), "difficulty": number("difficulty")}

  def _bytes(self, i):
    try:
      return self._source[int(i)]
    except RuntimeError as error:
      folder = Path(self._builder.data_dir)
      then = "put the files that they were made of back, and remove the folder"
      if renewable(self._builder.builder_config):
        (folder / INFO_FILE).unlink(missing_ok=True)  # so that they count as damaged
        then = "give the same command again: they are made anew"
      raise UserError(f"{folder}: record {i} of the prepared records is damaged"
                      f" ({' '.join(str(error).split())[:120]}); {then}") from error
