"""What a network says of a whole split, every image once."""

from functools import partial

import jax
import numpy as np
from tqdm import tqdm

from fakeface_jax.data.loader import plan_batches, read_batches, record_name
from fakeface_jax.devices import AXIS, to_devices
from fakeface_jax.models.resnet import normalize


def make_predict_step(model):
  """Compiles `step(variables, batch) -> (logits, index)`, gathered from the D devices of all processes.

  Args of the step: variables, replicated; batch {"image": uint8[D, B, H, W, 3], "index": int32[D, B]}.
  Returns: float32[D * B, classes], int32[D * B].
  """

  @partial(jax.pmap, axis_name=AXIS, in_axes=(None, 0), out_axes=None)
  def step(variables, batch):
    logits = model.apply(variables, normalize(batch["image"]))
    return jax.lax.all_gather((logits, batch["index"]), AXIS, tiled=True)

  return step


def predict_split(step, variables, source, *, batch_size, resize, crop, title=None):
  """Logits float32[N, classes] of all N records of a split, in its order, on every process.

  Args:
    step: from `make_predict_step`.
    source: records, as `open_dataset(...)[split]`.
    batch_size: images a step, over all devices; a multiple of their number.
    resize, crop: as in `read_batches`.
    title: of a progress bar; none is shown without it.
  """
  plan = plan_batches(len(source), batch_size)
  shard = plan.shard(jax.process_index(), jax.process_count())
  result = None
  batches = read_batches(source, shard, resize=resize, crop=crop)
  for batch in tqdm(batches, title, total=plan.steps, disable=None if title else True, unit="batch", leave=False):
    logits, index = jax.device_get(step(variables, to_devices({name: batch[name] for name in ("image", "index")})))
    result = np.zeros((len(source), logits.shape[-1]), np.float32) if result is None else result
    result[index] = logits
  return result


def labels_and_names(source):
  """(labels int32[N], names list[str]) of all records, without decoding an image."""
  records = [source[i] for i in range(len(source))]
  return np.array([record["label"] for record in records], np.int32), [record_name(record) for record in records]
