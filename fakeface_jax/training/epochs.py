"""The two ways through an epoch: over images, or over the features that the frozen trunk has made of them.

Both take the same images in the same order, and lead to the same parameters.
"""

import jax
import numpy as np

from fakeface_jax.data.batches import plan_epoch, read_batches
from fakeface_jax.data.reading.order import epoch_order
from fakeface_jax.data.reading.views import augmentations
from fakeface_jax.devices import to_devices
from fakeface_jax.evaluation.predict import make_predict_step, predict_split
from fakeface_jax.training.loop import STEPS_IN_FLIGHT
from fakeface_jax.training.steps import make_feature_predict, make_feature_steps, make_image_step
from fakeface_jax.training.tables import make_table
from fakeface_jax.training.trunk import TrunkPass


class ImageEpochs:
  """Every epoch reads its images anew."""

  def __init__(self, config, model, splits, tail_step, trunk):
    self.config, self.splits = config, splits
    self._step, self._predict = make_image_step(tail_step, trunk), make_predict_step(model, trunk)

  def run(self, state, frozen, epoch, start):
    """Yields (state, step) now and then from step `start` of an epoch to its end."""
    config, data = self.config, self.config.data
    plan = plan_epoch(
        len(self.splits["train"]), config.batch_size, seed=config.seed, epoch=epoch, views=data.views,
        pairs=data.get("pairs", False))
    rest = plan.from_step(start).shard(jax.process_index(), jax.process_count())
    batches = read_batches(
        self.splits["train"], rest, resize=data.resize, crop=train_crop(data), augment=augmentations(data.augment),
        seed=config.seed)
    for step, batch in enumerate(batches, start=start + 1):
      state = self._step(state, frozen, to_devices(batch))
      if step % STEPS_IN_FLIGHT == 0 or step == plan.steps:
        yield state, step

  def validate(self, variables):
    """(logits float32[n, classes], labels int32[n]) of the validation images."""
    data = self.config.data
    return predict_split(
        self._predict, variables, self.splits["val"], batch_size=self.config.batch_size, resize=data.resize,
        crop=data.crop, title="validating" if jax.process_index() == 0 else None)


class FeatureEpochs:
  """The trunk's features of all images are made first, or found; see `ImageEpochs` for the rest."""

  def __init__(self, config, model, splits, tail_step, trunk, workdir, fingerprint):
    self.config, self._tables = config, {}
    whole = trunk.at(config.data.crop)
    self._steps, self._predict = make_feature_steps(tail_step, trunk), make_feature_predict(model, whole)
    for name, at, views in (("train", trunk, config.data.views), ("val", whole, 1)):
      length = len(splits[name])
      records = own_records(length, config.batch_size)
      rows = TrunkPass(
          at, name, splits[name], records, config, views=views,
          data_fingerprint=fingerprint(name)).open(workdir)
      self._tables[name] = make_table(
          config.trunk, name, rows, records, length, config.batch_size, views)

  def run(self, state, frozen, epoch, start):
    config, table = self.config, self._tables["train"]
    slots, views = map(np.asarray, epoch_order(
        config.seed, epoch, table.columns, length=table.length, batch_size=config.batch_size,
        views=config.data.views, pairs=config.data.get("pairs", False)))
    for stop, rows, which, weights in table.pieces(slots, views, start):
      length = which.shape[1]
      for first in range(0, length, STEPS_IN_FLIGHT):
        last = min(first + STEPS_IN_FLIGHT, length)
        state = self._steps(state, frozen, rows, which, weights, first, last)
        yield state, stop - length + last

  def validate(self, variables):
    table = self._tables["val"]
    slots = np.arange(table.steps)[:, None].repeat(len(table.columns), axis=1)
    pieces = [
        self._predict(variables, rows, which, weights)
        for _, rows, which, weights in table.pieces(slots, np.zeros_like(slots))]
    logits, labels, weights = (
        np.concatenate([np.asarray(part).reshape(-1, *part.shape[2:]) for part in parts])
        for parts in zip(*pieces, strict=True))
    return logits[weights > 0], labels[weights > 0]


def make_epochs(config, model, splits, tail_step, trunk, workdir, fingerprint):
  """`FeatureEpochs` where all that the trunk ever sees can be kept, `ImageEpochs` otherwise.

  Args: `fingerprint`: function of a split's use, see `data.splits.RunSplits`.
  Raises: UserError where the features do not fit where `config.trunk` says.
  """
  if trunk is None or config.data.views == 0 or config.trunk == "none":
    return ImageEpochs(config, model, splits, tail_step, trunk)
  return FeatureEpochs(config, model, splits, tail_step, trunk, workdir, fingerprint)


def train_crop(data):
  """Side of what training sees of an image, of a config's `data`; in pixels."""
  return data.get("train_crop") or data.crop


def own_records(length, batch_size):
  """int64[R], ascending: the records that stand in this process's columns of the batches, fillers among them."""
  width = batch_size // jax.process_count()
  columns = jax.process_index() * width + np.arange(width)
  return np.unique((np.arange(-(-length // batch_size))[:, None] * batch_size + columns) % length)
