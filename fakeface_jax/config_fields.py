"""Every field of a config: its type and range, in one table for each of the two kinds of config, and their check."""

import dataclasses
import difflib
import math
from collections.abc import Callable

import psutil

from fakeface_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Field:
  """What a field may hold: in words, and as a test of a value. `optional` ones may be None, or not be there."""

  words: str
  holds: Callable
  optional: bool = False


def whole(low, high):
  return Field(
      f"a whole number from {low} to {high:,}",
      lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high)


def number(low, high, *, above=False, below=False):
  start, end = f"above {low:g} and" if above else f"from {low:g}", f"below {high:g}" if below else f"up to {high:,g}"
  return Field(
      f"a number {start} {end}",
      lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
      and (low < value if above else low <= value) and (value < high if below else value <= high))


def one_of(*choices):
  return Field(", ".join(map(str, choices[:-1])) + f" or {choices[-1]}",
               lambda value: type(value) is type(choices[0]) and value in choices)


def or_none(field):
  """Of a field that has to be there, and for which None means something."""
  return Field(f"{field.words}, or None", lambda value: value is None or field.holds(value))


def optional(field):
  return dataclasses.replace(or_none(field), optional=True)


TEXT = Field("some text", lambda value: isinstance(value, str) and value.strip() != "")
ANY_TEXT = Field("text", lambda value: isinstance(value, str))

# Fields that older configs lack, or newer ones, and what these mean.
SINCE_ADDED = {"model.name": "resnet", "data.pairs": False, "ema_decay": 0.0, "label_smoothing": 0.0, "data.forge": 0.0}

_EVERY_RUN = {
    "seed": whole(0, 2**31 - 1),
    "model.name": TEXT,  # one of `models.NETWORKS`
    "model.depth": one_of(18, 34, 50, 101, 152),  # of a ResNet
    "model.dtype": one_of("float32", "bfloat16"),
    "batch_size": whole(1, 2**16),
    "epochs": whole(1, 10_000),
    "learning_rate": number(0, 10, above=True),
    "checkpoint_minutes": number(0, 1e6),
}
FINE_TUNING = _EVERY_RUN | {
    "pretrained": ANY_TEXT,
    "trainable": TEXT,
    "data.name": TEXT,
    "data.path": optional(ANY_TEXT),
    "data.real": optional(ANY_TEXT),
    "data.dir": optional(ANY_TEXT),
    "data.resize": or_none(whole(8, 4096)),
    "data.crop": whole(8, 2048),
    "data.train_crop": optional(whole(8, 2048)),
    "data.pairs": one_of(False, True),
    "data.views": whole(0, 10_000),
    "data.augment": ANY_TEXT,
    "data.train_size": optional(whole(0, 2**31 - 1)),
    "data.train_split": TEXT,
    "data.val_split": TEXT,
    "data.test_split": TEXT,
    "data.test_name": optional(ANY_TEXT),
    "data.test_path": optional(ANY_TEXT),
    "trunk": one_of("auto", "device", "host", "file", "none"),
    "ema_decay": number(0, 1, below=True),
    "label_smoothing": number(0, 1, below=True),
    "plateau.factor": number(0, 1, above=True, below=True),
    "plateau.patience": whole(0, 100_000),
    "early_stopping_patience": whole(0, 100_000),
}
ADOPTED = {  # of a detector that others trained, see `runs.adopted`: it has no data of its own
    **{name: _EVERY_RUN[name] for name in ("seed", "model.name", "model.depth", "model.dtype", "batch_size")},
    "data.resize": FINE_TUNING["data.resize"],
    "data.crop": FINE_TUNING["data.crop"],
    "adopted.source": TEXT,
    "adopted.sha256": TEXT,  # of the file
    "adopted.logits": whole(1, 2),
    "adopted.classes": one_of("real,fake", "fake,real"),
}
PRETRAINING = _EVERY_RUN | {
    "pretexts": TEXT,
    "crop": whole(32, 1024),
    "classes": whole(1, 100_000),
    "faces": whole(1, 1_000_000),
    "steps_per_epoch": whole(1, 100_000),
    "val_steps": whole(1, 100_000),
}


def flatten_config(config, prefix=""):
  """{'data.name': 'folder', ...} of a nested dict."""
  flat = {}
  for key, value in config.items():
    flat |= flatten_config(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
  return flat


def problems_of(values, fields):
  """What is wrong with the values of a config, {'data.crop': 72, ...}: {field: the value and what was expected}."""
  found = {}
  values = SINCE_ADDED | values
  if values["model.name"] != "resnet":
    fields = fields | {"model.depth": whole(0, 10_000)}  # which there are, the network says
  for name, field in fields.items():
    if name not in values:
      found |= {} if field.optional else {name: f" is missing: expected {field.words}"}
    elif not field.holds(values[name]):
      found[name] = f"={values[name]!r}: expected {field.words}"
  for name in ("data.crop", "data.train_crop") if not found else ():
    if (values.get(name) or 0) > (values.get("data.resize") or math.inf):
      found[name] = f"={values[name]}: expected at most data.resize={values['data.resize']}"
  if not found and values.get("data.pairs") and values["batch_size"] % 2:
    found["batch_size"] = f"={values['batch_size']}: expected an even number, as data.pairs fills batches by twos"
  return found


def check_config(config, fields):
  """Raises UserError naming every field of a run's config that is unknown, missing, or out of its range.

  Args: `fields`: FINE_TUNING, PRETRAINING or ADOPTED.
  """
  values = flatten_config(config.to_dict())
  if ("pretexts" in values) != ("pretexts" in fields):
    script = "pretrain.py" if "pretexts" in values else "train.py"
    raise UserError(f"these are fields of another script's config; use scripts/{script}")
  found = problems_of(values, fields)
  for name in values:
    if name not in fields:
      near = difflib.get_close_matches(name, fields, 1)
      found[name] = ": there is no such field" + (f"; the nearest is {near[0]}" if near else "")
  if found:
    raise UserError("; ".join(f"config.{name}{problem}" for name, problem in found.items()))
  side = max(values.get("data.crop") or values["crop"], values.get("data.train_crop") or 0)
  size, memory = values["batch_size"] * side**2 * 3, psutil.virtual_memory().total
  if size > memory / 2:
    raise UserError(
        f"config.batch_size={values['batch_size']}: a batch of {side} px takes {size / 2**30:,.0f} GiB, and this"
        f" machine has {memory / 2**30:,.0f} GiB of memory; use a smaller one")
