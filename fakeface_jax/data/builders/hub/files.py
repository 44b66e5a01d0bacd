"""Where a data set's files are: a folder in the hub's layout, or a repository of the hub."""

import dataclasses
import glob
import logging
from collections.abc import Callable
from pathlib import Path

from fakeface_jax.data.builders.base import relative
from fakeface_jax.data.builders.hub.layout import refuse_missing_shards
from fakeface_jax.data.reading.finding import all_files_below
from fakeface_jax.errors import UserError
from fakeface_jax.models.weight_files import HUB_SECONDS, asked_once, hub_error, reason

log = logging.getLogger(__name__)

CARD = "README.md"
CONVERTED = "refs/convert/parquet"  # the branch with what the hub makes of other formats by itself


@dataclasses.dataclass
class Files:
  """The parquet files of a data set.

  Attributes: `card`: the YAML data of its README.md. `names`: paths in the repository. `fetch`: of a list of names, the
    folder that they are in then. `revision`: of a repository, its commit.
  """

  card: dict
  names: list[str]
  fetch: Callable[[list[str]], Path]
  revision: str = ""


def files_in(folder, title):
  """The `Files` of a folder. Raises: UserError where it has no parquet file, or lacks one of several."""
  names = [relative(path, folder) for path in all_files_below(folder) if path.suffix.lower() == ".parquet"]
  if not names:
    raise UserError(f"{title}: holds no parquet file; a folder of images is read by config.data.name=folder")
  refuse_missing_shards(names, title)
  path = folder / CARD
  return Files(read_card(path) if path.is_file() else {}, names, lambda _: folder)


def files_of(repository):
  """The `Files` of a repository, which are downloaded when they are fetched; without a network, of the hub's cache.

  Raises: UserError where it cannot be had, or has no parquet files.
  """
  import huggingface_hub as hub
  from huggingface_hub import errors

  ask = lambda revision: asked_once(hub.HfApi().dataset_info, repository, revision=revision, timeout=HUB_SECONDS)
  try:
    info, revision = ask(None), "main"
    has_card, names = any(file.rfilename == CARD for file in info.siblings), _parquet_of(info)
    if not names:
      try:
        info, revision = ask(CONVERTED), CONVERTED
      except errors.RevisionNotFoundError:
        raise UserError(f"{repository}: has no parquet files, and the hub has made none of what it has; download it"
                        " and give a folder with real/ and fake/ by config.data.name=folder") from None
      names = _parquet_of(info)
  except UserError:
    raise
  except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
    raise _error(error, repository) from error
  except Exception as error:  # which network error it is depends on the hub client's HTTP library
    return _cached(repository, error)

  def fetch(wanted):
    return _downloaded(repository, wanted, revision=revision)

  card = read_card(_downloaded(repository, [CARD], revision="main") / CARD) if has_card else {}
  return Files(card, names, fetch, info.sha)


def _parquet_of(info):
  return sorted(file.rfilename for file in info.siblings if file.rfilename.endswith(".parquet"))


def _downloaded(repository, names, **kwargs):
  """The folder that has these files of a repository, as far as it has them."""
  import huggingface_hub as hub
  from huggingface_hub import errors

  try:
    return Path(hub.snapshot_download(
        repository, repo_type="dataset", allow_patterns=[glob.escape(name) for name in names], **kwargs))
  except errors.RepositoryNotFoundError as error:
    raise _error(error, repository) from error
  except Exception as error:  # see `files_of`
    if isinstance(error, OSError) and error.errno:  # of the disk
      raise
    raise UserError(f"{repository}: its files could not be downloaded ({reason(error)}); give the same command again,"
                    " and it goes on with them") from error


def _cached(repository, error):
  """The `Files` that the hub's cache has, whole as far as can be told. Raises: UserError where it has none."""
  import huggingface_hub as hub
  from huggingface_hub import errors

  card = {}
  for revision in ("main", CONVERTED):
    try:
      folder = Path(hub.snapshot_download(
          repository, repo_type="dataset", revision=revision, local_files_only=True,
          allow_patterns=["*.parquet", CARD]))
    except errors.LocalEntryNotFoundError:
      continue
    card |= read_card(folder / CARD) if (folder / CARD).is_file() else {}
    if any(folder.rglob("*.parquet")):
      log.warning("%s: the hub cannot be reached (%s); what its cache holds is used.", repository, reason(error))
      return dataclasses.replace(files_in(folder, repository), card=card, revision=folder.name)
  raise _error(error, repository) from error


def _error(error, repository):
  return hub_error(error, repository, "parquet file", "folder", "--repo-type dataset")


def read_card(path):
  """The YAML data of a card, a dict. Raises: UserError where they are broken."""
  import yaml
  from huggingface_hub import repocard

  try:
    return repocard.metadata_load(path) or {}
  except (ValueError, yaml.YAMLError) as error:
    raise UserError(f"{path}: its first lines cannot be read as YAML ({reason(error)}); mend or remove them") from error
