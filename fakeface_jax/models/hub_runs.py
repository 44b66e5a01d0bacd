"""Run folders that people published on the Hugging Face hub, read by their id 'OWNER/NAME'."""

import json
import logging
import re
import shutil
from pathlib import Path

from fakeface_jax.errors import UserError
from fakeface_jax.models.weight_files import hub_file
from fakeface_jax.paths import NOTHING, path_kind, user_path
from fakeface_jax.workdir import CONFIG_FILE, HUB_FILE, WEIGHTS_FILE, last_run, read_json, whole_file, write_output

log = logging.getLogger(__name__)

FILES = (WEIGHTS_FILE, CONFIG_FILE)


def run_folder(workdir):
  """The folder that a run's files are in, a Path: the one of that name or, of a hub id, that of its download.

  A folder here goes before a repository of its name; what was downloaded once needs no network.

  Raises: UserError where there is neither.
  """
  path = Path(user_path(workdir))
  if not _is_published(path):
    return path
  return [hub_file(str(path), name, "run folder", " ".join(FILES)) for name in FILES][-1].parent


def chosen_run(workdir, below="runs"):
  """The folder of the run that somebody names, which may be written to, as text; without a name that of the last one.

  Of a run on the hub it is a copy, `below`/OWNER_NAME, and that is said.
  """
  if not workdir:
    return last_run(below)
  path = Path(user_path(workdir))
  if not _is_published(path):
    return str(path)
  origin, copy = {"repository": str(path)}, Path(below, "_".join(path.parts))
  if not (copy / CONFIG_FILE).exists():
    folder = run_folder(path)
    write_output(copy / HUB_FILE, json.dumps(origin) + "\n")
    for name in FILES:  # the config last: with it the folder is a run's
      with whole_file(copy / name) as partial:
        shutil.copyfile(folder / name, partial)
  elif read_json(copy / HUB_FILE, lambda found: found == origin, "it says where the run is from") is None:
    raise UserError(f"workdir={workdir}: {copy}, where a copy of it would go, holds another run; rename that folder")
  log.info("%s is a copy of %s on the hub; what is made of it goes there", copy, path)
  return str(copy)


def _is_published(path):
  return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", str(path)) is not None and path_kind(path) == NOTHING
