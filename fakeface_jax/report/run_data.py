"""What a run worked on and wrote down."""

import json
from pathlib import Path

from fakeface_jax.data.features import FAKE
from fakeface_jax.data.images import decode_image
from fakeface_jax.errors import UserError


def read_lines(path):
  """The objects of a JSON-lines file."""
  try:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
  except FileNotFoundError:
    raise UserError(f"{path} is not there; let scripts/train.py finish in that folder first") from None


def split_of_run(config, use):
  """Records of the split that a run used as 'train', 'val' or 'test'."""
  from fakeface_jax.data.splits import RunSplits  # slow to import

  return RunSplits(config, quiet=True)[use]


def first_images(source, count, label=FAKE):
  """The first images of a class, up to `count`: list of uint8[H, W, 3]."""
  from fakeface_jax.data.loader import record_name

  images = []
  for record in map(source.__getitem__, range(len(source))):
    if record["label"] == label:
      images.append(decode_image(record["image"], record_name(record)))
    if len(images) == count:
      break
  return images
