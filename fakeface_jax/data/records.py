"""Prepared records on the disk: made by one process at a time, checked when opened, made again where damaged."""

import json
import logging
import shutil
from pathlib import Path

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader
from google.protobuf import json_format
from tensorflow_datasets.core import constants
from tensorflow_datasets.core.proto import dataset_info_pb2

from fakeface_jax.errors import UserError
from fakeface_jax.locks import locked

log = logging.getLogger(__name__)

INFO_FILE = "dataset_info.json"  # tfds writes it last but for a rename


class RecordBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """A builder whose records may be damaged, or be in the making by another process.

  Attributes: `noted`: what the metadata beside the records must hold, where there is any.
  """

  noted = ()

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
    super().__init__(config=config, data_dir=data_dir, **kwargs)

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
      self._prepare(**kwargs)

  def _prepare(self, **kwargs):
    super().download_and_prepare(**kwargs)


def _held(folder):
  return locked(folder.parent, busy=f"the records in {folder} are being prepared", wait=True)


def renewable(config):
  """Whether what the records of a builder's config are made of is there."""
  return getattr(config, "path", None) != ""


def damage(folder, noted=()):
  """What is wrong with prepared records as far as it shows without reading them all, or None; `noted` as above."""
  path = folder / "metadata.json"
  try:
    if noted and not set(noted) <= json.loads(path.read_text()).keys():
      return f"{path.name} is garbled"
  except FileNotFoundError:
    return f"{path.name} is not there"
  except OSError as error:
    raise UserError(f"{path} cannot be read: {error.strerror}; change its permissions") from error
  except (ValueError, AttributeError):
    return f"{path.name} is cut or garbled"
  path = folder / INFO_FILE
  try:
    info = json_format.Parse(path.read_text(), dataset_info_pb2.DatasetInfo())
  except FileNotFoundError:
    return f"{INFO_FILE} is not there"
  except OSError as error:
    raise UserError(f"{path} cannot be read: {error.strerror}; change its permissions") from error
  except (json_format.ParseError, ValueError):
    return f"{INFO_FILE} is cut or garbled"
  if info.version != folder.name:
    return f"{INFO_FILE} is garbled"
  shards = {
      folder / f"{info.name}-{split.name}.array_record-{i:05}-of-{len(split.shard_lengths):05}": length
      for split in info.splits for i, length in enumerate(split.shard_lengths)}
  if not shards:
    return f"{INFO_FILE} names no split"
  for path, length in shards.items():
    try:
      path.open("rb").close()
      reader = ArrayRecordReader(str(path))
      found = reader.num_records()
      reader.close()
    except FileNotFoundError:
      return f"{path.name} is not there"
    except OSError as error:
      raise UserError(f"{path} cannot be read: {error.strerror}; change its permissions") from error
    except (RuntimeError, ValueError, IndexError):
      return f"{path.name} is cut or garbled"
    if found != length:
      return f"{path.name} holds {found} records instead of {length}"
  return None


class Records:
  """Records of a split as tfds gives them out; what turns out to be damaged when it is read is made anew next time.

  Attributes:
    data_source: the same, unparsed.
  """

  def __init__(self, source, builder):
    self._source, self._builder = source, builder
    if hasattr(source, "data_source"):
      self.data_source = Records(source.data_source, builder)

  def __len__(self):
    return len(self._source)

  def __getitem__(self, i):
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
