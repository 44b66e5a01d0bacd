"""Scoring a finished detector on any data set."""

import logging

import jax

from fakeface_jax.data.datasets import choose_splits, notices, open_dataset
from fakeface_jax.data.splits import RunSplits, split_for_testing
from fakeface_jax.detector import load
from fakeface_jax.devices import check_batch_size
from fakeface_jax.evaluation.predict import predict_records
from fakeface_jax.evaluation.probability import probability_of_fake
from fakeface_jax.evaluation.scores import scores
from fakeface_jax.workdir import read_config

log = logging.getLogger(__name__)


def evaluate_run(workdir, data=None, split=None, batch_size=None):
  """Scores of a run's best epoch.

  Args:
    workdir: the run's folder.
    data: a data set's name or a folder; by default what the run was tested on.
    split: 'test', 'val', 'all', or a slice such as 'train[:10%]'. By default the run's test split, also where its own
      data come by another path; of other data 'test' where that has one, and 'all' where it has not, or where it was
      published without splits.
    batch_size: images a step over all devices; by default the run's, rounded up to the number of devices.
  Returns: (what was scored, in words; the scores as `evaluation.scores.scores`, and with "seen_in_training" as
    `RunSplits.seen` of all but the run's own test split; the files that the builder left out, [name, reason]).
  """
  config = read_config(workdir)
  dataset, split, held_out = what_to_score(config, data, split)
  source = dataset[split]
  devices = jax.device_count()
  batch_size = -(-config.batch_size // devices) * devices if batch_size is None else batch_size
  check_batch_size(batch_size)
  detector = load(workdir)
  logits, labels = predict_records(detector, source, batch_size, "scoring")
  title = f"{dataset.name}, {split}: {len(labels)} images"
  result = scores(labels, probability_of_fake(logits))
  if not held_out:
    result["seen_in_training"] = RunSplits(config, quiet=True).seen(source)
  return title, result, dataset.metadata.get("unreadable") or []


def what_to_score(config, data, split=None):
  """What a run is to be scored on.

  Args: `data`, `split`: as `evaluate_run` takes them.
  Returns: (data set, its split, whether that is the test split of the run's own data, which it has not seen).
  """
  run = RunSplits(config, quiet=True)
  if data in (None, config.data.get("test_name")):
    dataset = run.dataset("test")
  elif data == config.data.name:
    dataset = run.dataset("train")
  else:
    dataset = open_dataset(data, data_dir=config.data.dir)
    for notice in notices(dataset):
      log.warning("%s", notice)
  own = run.owns(dataset)
  if own:
    chosen = choose_splits(config.data, dataset.splits, quiet=True)
    tested, held_out = chosen["test"], chosen["test"] != chosen["val"]
  else:
    tested = run.name("test") if data is None or data == config.data.get("test_name") else split_for_testing(dataset)
    held_out = False
  return dataset, split or tested, held_out and split in (None, tested)
