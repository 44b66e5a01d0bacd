"""A run's folder: who owns it, what it was started with, and writing into it whole files only."""

import json
import os
from pathlib import Path

from ml_collections import ConfigDict

from fakeface_jax.errors import UserError

CONFIG_FILE = "config.json"
CHECKPOINTS = "checkpoints"
WEIGHTS_FILE = "weights.safetensors"
SCALE_FILE = "map_scale.json"
BACKGROUND_FILE = "background.npz"
SANITY_FILE = "sanity.json"
SECONDS_FILE = "seconds.json"
DATA_CHECK_FILE = "data_check.json"


def flatten_config(config, prefix=""):
  """{'data.name': 'folder', ...} of a nested dict."""
  flat = {}
  for key, value in config.items():
    flat |= flatten_config(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
  return flat


def claim_workdir(workdir, config):
  """Makes the run's folder and writes `config.json` into it, or makes sure that it belongs to this config.

  Raises: UserError where the folder cannot be written, or holds a run of another config (all differences are named).
  """
  path = Path(workdir) / CONFIG_FILE
  wanted = json.loads(config.to_json_best_effort())
  try:
    if path.exists():
      ours, theirs = flatten_config(wanted), flatten_config(json.loads(path.read_text()))
      differing = [key for key in sorted(ours | theirs) if ours.get(key) != theirs.get(key)]
      if ours.keys() != theirs.keys() and not has_checkpoint(workdir):
        refuse_strangers(workdir, [CONFIG_FILE], "--workdir")
      if differing and not has_checkpoint(workdir):  # it never got anywhere: nothing is lost
        write_whole(path, json.dumps(wanted, indent=2) + "\n")
      elif differing:
        changes = ", ".join(f"{key} (there {theirs.get(key)!r}, now {ours.get(key)!r})" for key in differing)
        raise UserError(f"--workdir {workdir} holds a run of another config: {changes}; choose another --workdir")
    else:
      refuse_strangers(workdir, RUN_FILES, "--workdir")
      path.parent.mkdir(parents=True, exist_ok=True)
      write_whole(path, json.dumps(wanted, indent=2) + "\n")
    if not os.access(path.parent, os.W_OK):
      raise PermissionError("no right to write there")
  except json.JSONDecodeError as error:
    raise UserError(f"{path} is not readable as JSON ({error}); choose another --workdir") from error
  except OSError as error:
    raise UserError(f"--workdir {workdir} cannot be used: {error}; choose a folder that you may write to") from error


def has_checkpoint(workdir):
  """Whether a run has got to a whole checkpoint (one that is being written has a longer name)."""
  return any(path.name.isdigit() for path in Path(workdir).glob(f"{CHECKPOINTS}/*"))


def read_config(workdir):
  """The config that a detector's run was started with.

  Raises: UserError where there is no such file, or it cannot be read, or is that of a backbone.
  """
  path = Path(workdir) / CONFIG_FILE
  try:
    config = ConfigDict(json.loads(path.read_text()))
  except FileNotFoundError:
    raise UserError(f"{workdir} is no run folder: it has no {CONFIG_FILE}; train one with scripts/train.py") from None
  except (OSError, ValueError) as error:
    raise UserError(f"{path} cannot be read: {error}") from error
  if holds_backbone(workdir):
    raise UserError(
        f"{workdir} holds a pretrained backbone, no detector; train one with"
        f" scripts/train.py --config.pretrained={Path(workdir) / WEIGHTS_FILE}")
  return config


def write_whole(path, content):
  """Writes a file, text or bytes, so that a kill leaves the old one or the new one, and an OSError no part."""
  partial = Path(path).with_name(f".{Path(path).name}.part")
  try:
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    partial.replace(path)
  except OSError:
    partial.unlink(missing_ok=True)
    raise


def write_output(path, text):
  """Writes a file that the user asked for.

  Raises: UserError where that is not possible.
  """
  try:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
  except OSError as error:
    raise UserError(f"{path} cannot be written: {error}") from error


def holds_backbone(workdir):
  """Whether a run's config is one of scripts/pretrain.py; a config that cannot be read is not."""
  try:
    return "pretexts" in json.loads((Path(workdir) / CONFIG_FILE).read_text())
  except (OSError, ValueError):
    return False


def last_run(folder="runs"):
  """The detector's run below `folder` that was worked on last and has a checkpoint."""
  paths = [
      config.parent for config in Path(folder).glob(f"*/{CONFIG_FILE}")
      if has_checkpoint(config.parent) and not holds_backbone(config.parent)]
  runs = sorted((max(file.stat().st_mtime for file in path.iterdir()), path) for path in paths)
  if not runs:
    raise UserError(
        f"there is no trained run below {folder}/; train one with scripts/train.py, or name one with --workdir")
  return str(runs[-1][1])


RUN_FILES = (  # all that is written into a run's folder
    CONFIG_FILE, CHECKPOINTS, WEIGHTS_FILE, SCALE_FILE, BACKGROUND_FILE, SANITY_FILE, "sanity.png", SECONDS_FILE,
    DATA_CHECK_FILE, "metrics.jsonl", "tensorboard", "trunk", "test_predictions.jsonl", "test_metrics.json",
    "curves.png", "examples.png")


def refuse_strangers(folder, names, option="--out"):
  """Raises UserError where a folder in which we have not been yet holds something under a name of ours."""
  for name in names:
    if os.path.lexists(Path(folder, name)):
      raise UserError(f"{option} {folder} holds {name}, which this command did not write and would replace;"
                      f" choose another {option}")
