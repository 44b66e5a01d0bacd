"""A run's best weights as one safetensors file: it opens at once, in torchvision and timm too.

The checkpoints stay what counts; the file is used as long as the checkpoint that it was made from is there, or none at
all, as in a folder that was published or adopted.
"""

import logging
from pathlib import Path

import jax
from safetensors import SafetensorError, safe_open

from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.models.pretrained import load_safetensors, save_safetensors
from fakeface_jax.workdir import CHECKPOINTS, WEIGHTS_FILE

log = logging.getLogger(__name__)


def save_best(workdir, like):
  """Writes the file. Args: `like`: the network's variables or their shapes."""
  step, variables = _from_checkpoint(workdir, like)
  save_safetensors(Path(workdir) / WEIGHTS_FILE, variables, step=str(step))


def load_best(workdir, like):
  """The variables of a run's best epoch, as a tree like `like`.

  Raises: UserError where there is no checkpoint yet, or NaN in the weights.
  """
  path = Path(workdir) / WEIGHTS_FILE
  if path.exists() and not (Path(workdir) / CHECKPOINTS).is_dir():
    return jax.device_put(load_safetensors(path, like))
  if path.exists():
    try:
      with safe_open(path, framework="numpy") as file:
        made_from = (file.metadata() or {}).get("step", "unknown")
    except (SafetensorError, OSError) as error:
      log.warning("%s cannot be used (%s); it is made again from the checkpoint.", path, of_disk(error))
      step, variables = _from_checkpoint(workdir, like)
      try:
        save_safetensors(path, variables, step=str(step))
      except OSError as error:
        log.warning("%s", of_disk(error))
      return variables
    if (Path(workdir) / CHECKPOINTS / made_from).is_dir():
      return jax.device_put(load_safetensors(path, like))  # once, not with every call that they go into
  return _from_checkpoint(workdir, like)[1]


def _from_checkpoint(workdir, like):
  from fakeface_jax.training.checkpoints import Checkpoints

  if not (Path(workdir) / CHECKPOINTS).is_dir():
    raise UserError(f"{workdir} has no checkpoint and no {WEIGHTS_FILE}; let scripts/train.py finish an epoch there")
  with Checkpoints(workdir, reading=True) as checkpoints:
    step = checkpoints.best if checkpoints.best is not None else checkpoints.latest
    if step is None:
      raise UserError(f"{workdir} has no whole checkpoint yet; let scripts/train.py finish an epoch there")
    return step, checkpoints.restore(step, {"variables": like})["variables"]
