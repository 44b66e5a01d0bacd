"""From a run's config to the records that it trains on, chooses its epoch by, and is tested on."""

import functools
import logging

import numpy as np

from fakeface_jax.data.datasets import choose_splits, open_dataset
from fakeface_jax.data.reading.records import decode_record
from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.data.schema import FAKE, LABELS
from fakeface_jax.errors import UserError
from fakeface_jax.progress import with_progress

log = logging.getLogger(__name__)

FEWEST_PAIRS = 0.1  # of the fakes; among unrelated faces some are alike by chance


class RunSplits:
  """The splits of a run, each opened when it is first asked for.

  Of the training split `config.data.train_size` may take a part; the test split may be that of another data set,
  `config.data.test_name`. Everything about a split follows from the config, so a run that goes on finds the same.
  """

  def __init__(self, config, *, quiet=False):
    self.config, self._data, self._quiet = config, config.data, quiet
    self._train_size = config.data.get("train_size")
    if self._data.get("test_path") and not self._data.get("test_name"):
      raise UserError(f"config.data.test_path={self._data.test_path} needs config.data.test_name: a data set's "
                      "name, or folder")

  @functools.cached_property
  def _own(self):
    if not self._data.get("name"):
      raise UserError("this detector was trained by others and has no images of its own; give it some"
                      " (data=NAME_OR_FOLDER, or photographs to explain)")
    return open_dataset(self._data.name, path=self._data.get("path"), data_dir=self._data.get("dir"),
                        real=self._data.get("real"))

  @functools.cached_property
  def _other(self):
    """What the run is tested on instead of its own data, or None."""
    name = self._data.get("test_name")
    other = open_dataset(name, path=self._data.get("test_path"), data_dir=self._data.get("dir")) if name else None
    return None if other and self.owns(other) else other

  def owns(self, dataset):
    """Whether a `Dataset` is what the run is trained on, whatever name or path it was opened by."""
    try:
      return dataset.fingerprint == self._own.fingerprint
    except UserError:  # its own data are gone
      return False

  @functools.cached_property
  def _chosen(self):
    for dataset in (self._own, self._other) if not self._quiet else ():
      for notice in dataset.notices if dataset else ():
        log.warning("%s", notice)
    available = self._own.splits | ({"test": 0} if self._other else {})
    return choose_splits(self._data, available, quiet=self._quiet)

  def prepare(self):
    """Prepares all records that the run needs, so that other processes find them."""
    return self._own, self._other

  def dataset(self, use):
    """The `Dataset` that 'train', 'val' or 'test' is a split of."""
    return self._other if use == "test" and self._other else self._own

  def name(self, use):
    """What the data set calls the split, or a slice."""
    if use == "test" and self._other:
      return self._data.test_split if self._data.test_split != "test" else split_for_testing(self._other)
    return self._chosen[use]

  def seen(self, source):
    """As `overlap.seen_in_training` of a source; {"reason"} where the run's own images cannot be had."""
    from fakeface_jax.data.checking.overlap import seen_in_training  # slow to import, and few need it

    if not self._data.get("name"):
      return {"reason": "it was trained by others"}
    try:
      trained = [self["train"], self["val"]]
    except UserError as error:
      return {"reason": f"the run's training images cannot be had ({error})"}
    return seen_in_training(source, trained)

  def __getitem__(self, use):
    """Records of 'train', 'val' or 'test'; see `Dataset.__getitem__`."""
    source = self.dataset(use)[self.name(use)]
    if use == "train" and self._train_size:
      source = Part(source, balanced_part(labels_of(source), self._train_size, self.config.seed))
    return source

  def for_training(self):
    """Records of 'train' as training takes them: with `config.data.pairs` the two of a pair stand side by side.

    Raises: UserError as `pairs_first`.
    """
    source = self["train"]
    return Part(source, pairs_first(source)) if self._data.get("pairs") else source

  def fingerprint(self, use):
    """Changes with the records and with their numbers."""
    part = f" {self._train_size} by {self.config.seed}" if use == "train" and self._train_size else ""
    order = " in pairs" if use == "train" and self._data.get("pairs") else ""
    return f"{self.dataset(use).fingerprint} {self.name(use)}{part}{order}"

  @property
  def unreadable(self):
    """What the data sets had to leave out, list of [name, reason]."""
    return [row for dataset in (self._own, self._other) if dataset for row in dataset.metadata.get("unreadable") or []]


def split_for_testing(dataset):
  """The split to test a detector on that was trained on other data: all, where none is set apart by its owner."""
  return "test" if "test" in dataset.splits and not dataset.metadata.get("split_by_content") else "all"


class Part:
  """Some records of a source as a source of their own; `read`: makes of a record what is asked for."""

  def __init__(self, source, numbers, read=lambda record: record):
    self._source, self._numbers, self._read = source, numbers, read

  def __len__(self):
    return len(self._numbers)

  def __getitem__(self, i):
    return self._read(self._source[int(self._numbers[i])])


def labels_of(source):
  """int[N], the labels of all records."""
  records = with_progress(range(len(source)), "reading labels")
  return np.fromiter((source[i]["label"] for i in records), int, len(source))


def pairs_first(source):
  """int[N], all records of a source in an order in which record 2 i and 2 i + 1 are a pair, as long as there are any.

  Raises: UserError where hardly any fake is in a pair.
  """
  from fakeface_jax.data.checking.duplicates import smaller_thumbnail, thumbnail_of  # slow, and few need it
  from fakeface_jax.data.pairs import pairs_of

  def look(i):
    record = source[i]
    return smaller_thumbnail(thumbnail_of(decode_record(record))), int(record["label"])

  thumbnails, labels = zip(*in_order(look, with_progress(range(len(source)), "looking for pairs")), strict=True)
  paired = pairs_of(np.stack(thumbnails), labels).ravel()
  if len(paired) < 2 * FEWEST_PAIRS * np.sum(np.array(labels) == FAKE) or not len(paired):
    raise UserError(f"config.data.pairs: {len(paired) // 2} fakes of the train split look like a real image of it but"
                    " for what was changed; add the images that the fakes were made from, or train without pairs")
  log.info("%s of the %s training images are in pairs.", f"{len(paired):,}", f"{len(source):,}")
  return np.concatenate([paired, np.setdiff1d(np.arange(len(source)), paired)])


def balanced_part(labels, size, seed):
  """Which records make up a part with as many reals as fakes.

  With one seed, a smaller part is contained in a larger one.

  Args: labels: int[N]. size: of the part, even.
  Returns: int[size], ascending.
  Raises: UserError where the size is not even, or there are too few images of a class.
  """
  counts = [int(np.sum(labels == label)) for label in range(len(LABELS))]
  if size < 0 or size % 2:
    raise UserError(f"config.data.train_size={size}: expected an even number (half real, half fake), or 0 for all")
  if size // 2 > min(counts):
    raise UserError(f"config.data.train_size={size} needs {size // 2:,} images of each class, and the train split "
                    f"has {counts[0]:,} real and {counts[1]:,} fake; use at most {2 * min(counts)}, or 0 for all")
  chosen = [np.random.default_rng([seed, label]).permutation(np.flatnonzero(labels == label))[:size // 2]
            for label in range(len(LABELS))]
  return np.sort(np.concatenate(chosen))


def what_to_score(config, data, split=None):
  """What a run is to be scored on.

  Args: `data`, `split`: as `commands.evaluate.evaluate_run` takes them.
  Returns: (data set, its split, whether that is the test split of the run's own data, which it has not seen).
  """
  run = RunSplits(config, quiet=True)
  if data in (None, config.data.get("test_name")):
    dataset = run.dataset("test")
  elif data == config.data.get("name"):
    dataset = run.dataset("train")
  else:
    dataset = open_dataset(data, data_dir=config.data.get("dir"))
    for notice in dataset.notices:
      log.warning("%s", notice)
  own = run.owns(dataset)
  if own:
    chosen = choose_splits(config.data, dataset.splits, quiet=True)
    tested, held_out = chosen["test"], chosen["test"] != chosen["val"]
  else:
    tested = run.name("test") if data is None or data == config.data.get("test_name") else split_for_testing(dataset)
    held_out = False
  return dataset, split or tested, held_out and split in (None, tested)
