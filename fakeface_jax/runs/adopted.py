"""Other people's detectors: their ResNet's weights with a head of two logits in this project's order, real and fake."""

import hashlib
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from fakeface_jax.config_fields import ADOPTED, check_config
from fakeface_jax.data.schema import LABELS
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.models.pretrained import (
  ANCHOR,
  HEAD,
  depth_of,
  from_state_dict,
  save_safetensors,
  torchvision_state_dict,
)
from fakeface_jax.models.resnet import DEPTHS, resnet
from fakeface_jax.models.weight_files import read, weights_path
from fakeface_jax.workdir import WEIGHTS_FILE, claim_workdir, held

BATCH_SIZE = 32  # images a step of scripts/evaluate.py
RESIZE = 8 / 7  # times the crop: 256 px for 224, as nearly everybody does it


def adopt(source, workdir, *, depth=None, crop=224, resize="usual", classes=LABELS):
  """Makes a run folder of a published detector's weights.

  Args:
    source, depth, classes: as `adopted` takes them.
    workdir: the folder, a new one or that of the same weights.
    crop: px, the side of the square that the network sees.
    resize: px, what a picture's shorter side is brought to before; None: its pixels stay as they are; by default 8/7 of
      the crop.
  Returns: (the run's config, the detector's title).
  Raises: UserError as `adopted`, and where the folder holds something else or cannot be written.
  """
  resize = round(RESIZE * crop) if resize == "usual" else resize
  depth, variables, origin = adopted(source, depth, classes)
  config = ConfigDict({
      "adopted": origin, "model": {"name": "resnet", "depth": depth, "dtype": "float32"},
      "data": {"resize": resize, "crop": crop}, "batch_size": BATCH_SIZE, "seed": 0})
  check_config(config, ADOPTED)
  try:
    with held(workdir):
      claim_workdir(workdir, config)
      save_safetensors(Path(workdir) / WEIGHTS_FILE, variables, source=str(source))
  except OSError as error:
    raise UserError(f"workdir={workdir} cannot be written: {of_disk(error)}") from error
  return config, resnet(depth).title


def adopted(source, depth=None, classes=LABELS):
  """A published detector as one of this project's.

  Args:
    source: a weights file or a hub repository, as `pretrained.load_pretrained` takes it.
    depth: of the ResNet; None for the one that the weights are of.
    classes: ('real', 'fake') or ('fake', 'real'): the order of its two logits. A single logit z is that of the second
      one, as CNNDetection's is of fake: it becomes the logits 0 and z, whose softmax is the sigmoid of z.
  Returns: (depth, variables, what is kept about their origin, ready for JSON).
  Raises: UserError where the weights are of no such ResNet, have no head of one or two logits, or cannot be read.
  """
  if sorted(classes) != sorted(LABELS):
    raise UserError(f"classes={','.join(classes)}: expected real,fake or fake,real, the order of its outputs")
  path = weights_path(source)
  tensors = torchvision_state_dict(read(path), source)
  depth = depth or depth_of(tensors)
  if depth is None:
    raise UserError(f"{source}: fits no ResNet of depth {', '.join(map(str, DEPTHS))}; give the weights of one of them")
  empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), resnet(depth).shapes)
  weight = tensors.get(HEAD[0], np.zeros(0))
  logits = len(weight)
  if logits not in (1, 2) and any(map(ANCHOR.fullmatch, tensors)):
    raise UserError(f"{source}: its head has {logits:,} outputs, and a detector's (fc.weight, fc.bias) has 1 or 2;"
                    f" train one on these weights with scripts/train.py --config.pretrained={source}")
  for name in set(HEAD) & set(tensors):
    rows = tensors[name] if logits == 2 else np.concatenate([np.zeros_like(tensors[name]), tensors[name]])
    tensors[name] = rows if tuple(classes) == LABELS else rows[::-1]
  variables = from_state_dict(tensors, empty, source)
  origin = {"source": str(source), "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "logits": logits,
            "classes": ",".join(classes)}
  return depth, variables, origin
