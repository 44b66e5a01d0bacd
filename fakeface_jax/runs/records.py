"""What a run worked on and wrote down."""

import itertools
import json
from pathlib import Path

from fakeface_jax.data.schema import FAKE, REAL
from fakeface_jax.errors import UserError


def read_lines(path):
  """The objects of a JSON-lines file of a run. Raises: UserError where it is not there, or damaged."""
  try:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
  except FileNotFoundError:
    raise UserError(f"{path} is not there; let scripts/train.py finish in that folder first") from None
  except (OSError, ValueError) as error:
    raise _damaged(path, error) from error


def read_predictions(workdir, source=None):
  """What a run said of its test images, list of {"path", "record", "label", "probability"}.

  Args: `source`: their records, to make sure that they are there.
  """
  path = Path(workdir) / "test_predictions.jsonl"
  rows = read_lines(path)
  for number, row in enumerate(rows, 1):
    try:
      right = isinstance(row["path"], str) and type(row["record"]) is int and row["record"] >= 0
      right = right and (source is None or row["record"] < len(source))
      right = right and row["label"] in (REAL, FAKE) and 0 <= row["probability"] <= 1
    except (KeyError, TypeError):
      right = False
    if not right:
      of = "a test image" if source is None else f"one of the {len(source)} test images"
      raise _damaged(path, f"line {number} is no prediction of {of}")
  if not rows:
    raise _damaged(path, "it is empty")
  return rows


def _damaged(path, reason):
  return UserError(f"{path} is damaged ({reason}); give the command of the training again, which writes it anew")


def split_of_run(config, use):
  """Records of the split that a run used as 'train', 'val' or 'test'."""
  from fakeface_jax.data.splits import RunSplits  # slow to import

  return RunSplits(config, quiet=True)[use]


def first_images(source, count, label=FAKE):
  """The first images of a class, up to `count`: list of uint8[H, W, 3]."""
  from fakeface_jax.data.reading.records import decode_record

  records = map(source.__getitem__, range(len(source)))
  return list(itertools.islice((decode_record(record) for record in records if record["label"] == label), count))
