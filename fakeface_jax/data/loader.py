"""Records to batches of uint8 pixels, the same ones whatever the number of processes and devices.

A plan says which record stands where in which global batch; it depends on (length, batch size, seed, epoch) alone.
So the position in the data is just a step number, and a process reads its own columns of the plan.
"""

import dataclasses

import grain
import numpy as np

from fakeface_jax.data.images import decode_image, resize_and_crop


@dataclasses.dataclass(frozen=True)
class Plan:
  """Which records make up which batch.

  Attributes:
    indices: int64[steps, batch_size], record numbers; the last batch is filled up with records already seen.
    weights: float32[steps, batch_size], 1 for a record that counts and 0 for a filler.
  """

  indices: np.ndarray
  weights: np.ndarray

  @property
  def steps(self):
    return len(self.indices)

  def from_step(self, step):
    """The plan without its first `step` batches."""
    return Plan(self.indices[step:], self.weights[step:])

  def shard(self, process, processes):
    """The columns that this process of several reads."""
    width = self.indices.shape[1] // processes
    columns = slice(process * width, (process + 1) * width)
    return Plan(self.indices[:, columns], self.weights[:, columns])


def plan_batches(length, batch_size, *, seed=None, epoch=0):
  """Every record once, in order or (with a seed) in the epoch's own order; the last batch padded from its start."""
  order = np.arange(length) if seed is None else np.random.default_rng((seed, epoch)).permutation(length)
  steps = -(-length // batch_size)
  total = steps * batch_size
  weights = (np.arange(total) < length).astype(np.float32)
  return Plan(np.resize(order, total).reshape(steps, batch_size), weights.reshape(steps, batch_size))


def read_batches(source, plan, *, resize, crop, augment=None, threads=2):
  """Yields the plan's batches, decoded in parallel threads.

  Args:
    source: random-access records of `features.face_features`, images as encoded bytes.
    plan: this process's `Plan`.
    resize: length in pixels that the shorter side of an image is brought to.
    crop: side in pixels of the square that is cut out: the centre, or with `augment` anywhere.
    augment: (seed, epoch); random crops and horizontal flips that depend on these and the record's number alone.
    threads: number of reading threads.
  Yields: {"image": uint8[B, crop, crop, 3], "label": int32[B], "weight": float32[B], "index": int32[B]}.
  """

  def read(slot):
    index, weight = int(plan.indices.flat[slot]), plan.weights.flat[slot]
    record = source[index]
    position, flip = None, False
    if augment is not None:
      random = np.random.default_rng((*augment, index))
      position, flip = tuple(random.random(2)), random.random() < 0.5
    image = resize_and_crop(decode_image(record["image"], record_name(record)), resize, crop, position=position)
    return {
        "image": image[:, ::-1] if flip else image,
        "label": np.int32(record["label"]),
        "weight": np.float32(weight),
        "index": np.int32(index),
    }

  slots = grain.MapDataset.source(range(plan.indices.size)).map(read).batch(plan.indices.shape[1])
  yield from slots.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads))


def record_name(record):
  """Where a record came from, as text."""
  source = record["source"]
  return source.decode() if isinstance(source, bytes) else str(source)
