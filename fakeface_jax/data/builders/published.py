"""What the builders of published data sets share: finding, unpacking or downloading the files, saying what is missing.

The files lie in a folder of their own, `manual_dir`: as they are published, or in the one .zip they come in, which is
unpacked beside the records while those are written. By default that is `<data_dir>/downloads/manual/<name>`; if nothing
is there, `kagglehub` downloads them where it is installed and finds credentials. Records that were prepared from a
folder are used on when its files have gone, and prepared anew when they have changed.
"""

import abc
import contextlib
import hashlib
import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

from tensorflow_datasets.core import constants

from fakeface_jax.data.builders.base import FaceBuilder, FaceFile, FolderConfig, fingerprint
from fakeface_jax.data.builders.folder_names import contents
from fakeface_jax.data.reading.finding import all_files_below
from fakeface_jax.errors import UserError
from fakeface_jax.locks import locked
from fakeface_jax.paths import user_path

CREDENTIALS = "set KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY (kaggle.com/settings), and they are downloaded"
DEPTH = 2  # folders that people or archives may have put around the published layout


class PublishedBuilder(FaceBuilder, skip_registration=True):  # type: ignore[call-arg]
  """A subclass says what it is called at its source, and what its files look like there."""

  title: str
  page: str = ""  # on which people find it; Kaggle's by default
  kaggle: str = ""  # its owner/name on Kaggle, from which it is downloaded; '' where it is not there
  layout: str  # what is in it, for people
  parts: tuple[str, ...]  # paths that its folder holds; it is found by them
  image_folder: str = "."  # below that folder, the one that sources are relative to

  @property
  def prefix(self) -> str:  # type: ignore[override]
    return f"{self.name}/"

  @property
  def root(self) -> Path:
    return self.place / self.image_folder

  def _prepare(self, **kwargs):
    """See `RecordBuilder`. Raises: UserError, too, for an archive that cannot be unpacked or holds something else."""
    with contextlib.ExitStack() as self._stack:
      super()._prepare(**kwargs)

  def _find_faces(self):
    source = Path(self.builder_config.path)
    self.place = self._stack.enter_context(_unpacked(type(self), source, self._data_dir_root)) if is_zip(
        source) else source
    return self._find_published()

  @abc.abstractmethod
  def _find_published(self) -> tuple[list[FaceFile], list[list[str]]]:
    """As `_find_faces`, of the files below `place`."""


def published_builder(cls, path=None, data_dir=None):
  """A builder of a published data set.

  Args:
    path: the folder its files or its archive lie in (`manual_dir`); None for the default place, or a download.
    data_dir: where the records are kept; by default TFDS's own place ($TFDS_DATA_DIR or ~/tensorflow_datasets).
  Raises: UserError that says where to get the files and where to put them, if there are none.
  """
  data_dir = Path(data_dir or constants.DATA_DIR).expanduser()
  manual_dir = Path(user_path(path)) if path else data_dir / "downloads" / "manual" / cls.name
  who = hashlib.sha256(os.fsencode(manual_dir.resolve())).hexdigest()[:6]
  try:
    source = _find_source(cls, manual_dir)
  except OSError as error:
    raise UserError(f"{manual_dir}: cannot be listed: {error.strerror}; change its permissions") from error
  prepared = () if source else (data_dir / cls.name).glob(f"{who}-*/{cls.VERSION}/dataset_info.json")
  latest = max(prepared, key=lambda path: path.stat().st_mtime, default=None)
  if latest:
    return cls(config=FolderConfig(name=latest.parents[1].name), data_dir=data_dir)
  source = source or _find_source(cls, _download(cls, manual_dir, path))
  state = fingerprint(*(source.parent, [source]) if is_zip(source) else (source, all_files_below(source)))
  return cls(config=FolderConfig(name=f"{who}-{state}", path=str(source)), data_dir=data_dir)


def _find_source(cls, folder):
  """The published layout in a folder, or else the one archive in it (or that is it); None if there is neither."""
  if is_zip(folder):
    return folder
  found = find_layout(folder, cls.parts)
  if found:
    return found
  archives = sorted(path for path in folder.glob("*") if is_zip(path))
  if len(archives) > 1:
    names = ", ".join(path.name for path in archives)
    raise UserError(f"{folder}: holds {len(archives)} archives ({names}); keep only that of {cls.title}")
  return archives[0] if archives else None


def find_layout(folder, parts):
  """The folder, or the nearest one below it, that holds all these paths; None if there is none within DEPTH."""
  level = [folder]
  for _ in range(DEPTH + 1):
    for candidate in level:
      if all((candidate / part).exists() for part in parts):
        return candidate
    level = [entry for candidate in level if candidate.is_dir() for entry in sorted(candidate.iterdir())
             if entry.is_dir() and not entry.name.startswith((".", "__MACOSX"))]
  return None


def is_zip(path):
  return path.suffix.lower() == ".zip" and path.is_file()


@contextlib.contextmanager
def _unpacked(cls, archive, data_dir):
  """The published layout of an archive, in a temporary folder; those of processes that were killed are removed."""
  Path(data_dir).mkdir(parents=True, exist_ok=True)
  prefix = f"unpacked_{cls.name}_"
  for left in Path(data_dir).glob(f"{prefix}*"):
    with contextlib.suppress(UserError), locked(left, busy="in use"):
      shutil.rmtree(left)
  with tempfile.TemporaryDirectory(prefix=prefix, dir=data_dir) as folder, locked(folder, busy="in use"):
    files = Path(folder, "files")
    try:
      files.mkdir()
      with zipfile.ZipFile(archive) as file:
        file.extractall(files)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
      raise UserError(
          f"{archive}: cannot be unpacked ({error}); download it again, or unpack it there yourself") from error
    found = find_layout(files, cls.parts)
    if not found:
      raise UserError(f"{archive}: holds {contents(files)}; expected {cls.layout}: {_where(cls, archive.parent)}")
    yield found


def _download(cls, manual_dir, path):
  """The folder that kagglehub has downloaded the data set to. Raises: UserError where it could not."""
  there = f"holds {contents(manual_dir)}" if manual_dir.is_dir() else "is no folder" if manual_dir.exists() else (
      "is not there")
  problem = f"{cls.name}: {manual_dir} {there}; expected {cls.layout}: {_where(cls, manual_dir)}"
  if path or not cls.kaggle:
    raise UserError(problem)
  try:
    import kagglehub
  except ImportError:
    raise UserError(f"{problem}; or pip install '.[kaggle]', {CREDENTIALS}") from None
  try:
    if kagglehub.config.get_kaggle_credentials() is None:
      raise UserError(f"{problem}; or {CREDENTIALS}")
    folder = Path(kagglehub.dataset_download(cls.kaggle))
  except UserError:
    raise
  except Exception as error:  # it lets the errors of several libraries through
    reason = " ".join(str(error).split()) or type(error).__name__
    raise UserError(f"{problem}; kagglehub could not download them: {reason}") from error
  if not find_layout(folder, cls.parts):
    raise UserError(f"{cls.name}: kagglehub has downloaded {contents(folder)} to {folder}; expected {cls.layout}")
  return folder


def _where(cls, manual_dir):
  page = cls.page or f"kaggle.com/datasets/{cls.kaggle}"
  return (f"get '{cls.title}' from {page} and put its zip, or what is in it, into {manual_dir}, or"
          " name its folder with config.data.path (config.data.test_path of data to test on)")
