"""A run's folder: who owns it, what it was started with, and writing into it whole files only."""

import itertools
import json
import logging
import math
import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ml_collections import ConfigDict

from fakeface_jax.config_fields import ADOPTED, FINE_TUNING, SINCE_ADDED, flatten_config, problems_of
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.locks import locked
from fakeface_jax.paths import user_path

log = logging.getLogger(__name__)

CONFIG_FILE = "config.json"
CHECKPOINTS = "checkpoints"
WEIGHTS_FILE = "weights.safetensors"
SCALE_FILE = "map_scale.json"
BEST_MAP_FILE = "best_map.json"
BACKGROUND_FILE = "background.npz"
FRAMING_FILE = "framing.json"
REFERENCE_FILE = "reference.npz"
SANITY_FILE = "sanity.json"
SECONDS_FILE = "seconds.json"
DATA_CHECK_FILE = "data_check.json"
HUB_FILE = "hub.json"

_numbers = itertools.count()


@contextmanager
def held(workdir):
  """Holds a run's folder, making it on the way, so that no other process works in it until the block ends.

  Raises: UserError where one does, which it names, or the folder cannot be written.
  """
  with ExitStack() as stack:
    try:
      stack.enter_context(locked(workdir, busy=f"workdir={workdir} is being worked in"))
    except OSError as error:
      raise _unusable(workdir, error) from error
    yield


def _unusable(workdir, error):
  reason = of_disk(error)
  advice = "" if ";" in reason else "; choose a folder that you may write to"
  return UserError(f"workdir={workdir} cannot be used: {reason}{advice}")


def claim_workdir(workdir, config):
  """Makes the run's folder and writes `config.json` into it, or makes sure that it belongs to this config.

  Raises: UserError where the folder cannot be written, or holds a run of another config (all differences are named).
  """
  path = Path(workdir) / CONFIG_FILE
  wanted = json.loads(config.to_json_best_effort())
  try:
    there = None
    try:
      there = _read_object(path)
    except FileNotFoundError:
      refuse_strangers(workdir, RUN_FILES, "workdir")
      path.parent.mkdir(parents=True, exist_ok=True)
    except _Damaged as error:
      if holds_weights(workdir):
        raise UserError(f"{error}; it says what run this is: put it back, or choose another folder") from error
      log.warning("%s and is written anew.", error)
    if there is not None:
      ours, theirs = (SINCE_ADDED | flatten_config(of) for of in (wanted, there))
      differing = [key for key in sorted(ours | theirs) if ours.get(key) != theirs.get(key)]
      if ours.keys() != theirs.keys() and not holds_weights(workdir):
        refuse_strangers(workdir, [CONFIG_FILE], "workdir")
      if differing and holds_weights(workdir):
        changes = ", ".join(f"{key} (there {theirs.get(key)!r}, now {ours.get(key)!r})" for key in differing)
        raise UserError(f"workdir={workdir} holds a run of another config: {changes}; choose another folder")
    if there is None or differing:  # where it never got anywhere, nothing is lost
      write_whole(path, json.dumps(wanted, indent=2) + "\n")
    if not os.access(path.parent, os.W_OK):
      raise PermissionError("no right to write there")
  except OSError as error:
    raise _unusable(workdir, error) from error


class _Damaged(UserError):
  """A file that is not what was once written to it."""


def _read_object(path):
  """The object of a JSON file. Raises: OSError; _Damaged where there is none in it, or an empty one."""
  try:
    found = json.loads(path.read_text())
  except ValueError as error:
    raise _Damaged(f"{path} is damaged ({error})") from error
  if not isinstance(found, dict) or not found:
    raise _Damaged(f"{path} is damaged (it holds {str(found)[:40]})")
  return found


def has_checkpoint(workdir):
  """Whether a run has got to a whole checkpoint (one that is being written has a longer name)."""
  return any(path.name.isdigit() for path in Path(workdir).glob(f"{CHECKPOINTS}/*"))


def holds_weights(workdir):
  """Whether there is a network in a run's folder: a whole checkpoint, or a file, which is all that others have."""
  return has_checkpoint(workdir) or (Path(workdir) / WEIGHTS_FILE).is_file()


def begun_with(workdir, field):
  """The value of a field, such as 'batch_size', that the run in a folder was begun with; None where there is none."""
  try:
    return _read_object(Path(workdir) / CONFIG_FILE).get(field) if holds_weights(workdir) else None
  except (OSError, _Damaged):  # `claim_workdir` says so
    return None


def read_config(workdir):
  """The config that a detector's run was started with.

  Raises: UserError where there is no such file, or it cannot be read, or is that of a backbone.
  """
  path = Path(user_path(workdir)) / CONFIG_FILE
  try:
    config = _read_object(path)
  except FileNotFoundError:
    raise UserError(f"{workdir} is no run folder: it has no {CONFIG_FILE}; train one with scripts/train.py") from None
  except OSError as error:
    raise UserError(f"{path} cannot be read: {error}") from error
  if holds_backbone(workdir):
    raise UserError(
        f"{workdir} holds a pretrained backbone, no detector; train one with"
        f" scripts/train.py --config.pretrained={Path(workdir) / WEIGHTS_FILE}")
  problems = problems_of(flatten_config(config), ADOPTED if "adopted" in config else FINE_TUNING)
  if problems:
    name, problem = next(iter(problems.items()))
    raise UserError(f"{path} is damaged: {name}{problem}; put the file back as it was")
  return ConfigDict(config)


def read_json(path, holds, otherwise):
  """What a JSON file of a run holds, if that is as it should be; else None, and where it is damaged that is said.

  Args:
    holds: says of the content whether it is right; a KeyError, TypeError or AttributeError means that it is not.
    otherwise: what happens without it, for the log.
  """
  try:
    found = json.loads(Path(path).read_text())
    if holds(found):
      return found
    reason = "it is damaged"
  except FileNotFoundError:
    return None
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    reason = of_disk(error) if isinstance(error, OSError) else "it is damaged"
  log.warning("%s cannot be used (%s): %s.", path, reason, otherwise)
  return None


@contextmanager
def whole_file(path):
  """A path beside `path` to write to. What is there takes its place when the block ends, and goes where that fails.

  So a kill leaves the old file or the new one, an error the old one, and who has the old one open goes on reading it.
  """
  path = Path(path)
  partial = path.with_name(f".{os.getpid()}_{next(_numbers)}.part{path.suffix[:20]}")
  try:
    yield partial
    partial.replace(path)
  except BaseException as error:
    partial.unlink(missing_ok=True)
    if isinstance(error, OSError) and str(error.filename) in ("None", str(partial)):
      error.filename = str(path)  # a full disk names no file
    raise


def free_space(folder):
  """Bytes that are free on a folder's disk; infinity where the file system does not tell, as some of networks."""
  try:
    usage = shutil.disk_usage(folder)
  except OSError:
    return math.inf
  return usage.free if usage.total else math.inf


def write_whole(path, content):
  """Writes a file, text or bytes, as `whole_file` says. Raises: OSError."""
  with whole_file(path) as partial:
    partial.write_bytes(content.encode() if isinstance(content, str) else content)


def write_output(path, content):
  """Writes a file, text or bytes, that the user asked for.

  Raises: UserError where that is not possible.
  """
  try:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
  except OSError as error:
    raise UserError(f"{path} cannot be written: {of_disk(error)}") from error


def holds_backbone(workdir):
  """Whether a run's config is one of scripts/pretrain.py; a config that cannot be read is not."""
  try:
    return "pretexts" in _read_object(Path(workdir) / CONFIG_FILE)
  except (OSError, UserError):
    return False


def last_run(folder="runs"):
  """The detector's run below `folder` that was worked on last and has weights."""
  paths = [
      config.parent for config in Path(folder).glob(f"*/{CONFIG_FILE}")
      if holds_weights(config.parent) and not holds_backbone(config.parent)]
  runs = sorted(
      (max(file.lstat().st_mtime for file in path.iterdir() if not file.name.startswith(".")), path) for path in paths)
  if not runs:
    raise UserError(
        f"there is no trained run below {folder}/; train one with scripts/train.py, or name one with workdir=")
  return str(runs[-1][1])


RUN_FILES = (  # all that is written into a run's folder
    CONFIG_FILE, CHECKPOINTS, WEIGHTS_FILE, SCALE_FILE, BEST_MAP_FILE, BACKGROUND_FILE, FRAMING_FILE, REFERENCE_FILE,
    SANITY_FILE, "sanity.png", SECONDS_FILE, DATA_CHECK_FILE, HUB_FILE, "metrics.jsonl", "tensorboard", "trunk",
    "test_predictions.jsonl", "test_metrics.json", "curves.png", "examples.png")


def refuse_strangers(folder, names, option="out"):
  """Raises UserError where a folder in which we have not been yet holds something under a name of ours."""
  for name in names:
    if os.path.lexists(Path(folder, name)):
      raise UserError(f"{option}={folder} holds {name}, which this command did not write and would replace;"
                      f" choose another folder")
