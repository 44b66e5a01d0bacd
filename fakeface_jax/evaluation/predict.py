"""What a network says of a whole split, every image once."""

from functools import partial

import jax
import numpy as np

from fakeface_jax.data.batches import plan_batches, read_batches
from fakeface_jax.devices import AXIS, to_devices
from fakeface_jax.models.network import normalize
from fakeface_jax.progress import Bar


def make_predict_step(model, trunk=None, devices=None):
  """Compiles `step(variables, batch) -> (logits, {"index", "label", "weight"})`, gathered from all processes' devices.

  Args: `trunk`: with it the logits are those of its features, as they are in training; `devices`: all by default.
  Args of the step: variables, replicated; batch as `read_batches` yields it, laid over D devices.
  Returns: float32[D * B, classes], and the batch's other fields, each [D * B].
  """

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, 0), out_axes=None, devices=devices)
  def step(variables, batch):
    if trunk is None:
      logits = model.apply(variables, normalize(batch["image"]))
    else:
      logits = model.apply(variables, trunk(variables, batch["image"]), start=trunk.cut)
    rest = {name: value for name, value in batch.items() if name != "image"}
    return jax.lax.all_gather((logits, rest), AXIS, tiled=True)

  return step


def predict_records(detector, source, batch_size, title):
  """As `predict_split`, with a `Detector`."""
  return predict_split(
      make_predict_step(detector.model), detector.variables, source, batch_size=batch_size, resize=detector.resize,
      crop=detector.crop, title=title)


def predict_split(step, variables, source, *, batch_size, resize, crop, title=None):
  """Logits of all N records of a split, in its order, on every process.

  Args:
    step, source: from `make_predict_step`, and records, as `open_dataset(...)[split]`.
    batch_size: images a step, over all devices; a multiple of their number.
  Returns: (logits float32[N, classes], labels int32[N]).
  """
  plan = plan_batches(len(source), batch_size)
  shard = plan.shard(jax.process_index(), jax.process_count())
  result, labels = None, np.zeros(len(source), np.int32)
  batches = read_batches(source, shard, resize=resize, crop=crop)
  with Bar(title, len(source), shown=bool(title)) as bar:
    for batch, weights in zip(batches, plan.weights, strict=True):
      logits, rest = jax.device_get(step(variables, to_devices(batch)))
      result = np.zeros((len(source), logits.shape[-1]), np.float32) if result is None else result
      counts = rest["weight"] > 0
      index = rest["index"][counts]
      result[index], labels[index] = logits[counts], rest["label"][counts]
      bar.update(int(weights.sum()))
  return result, labels
