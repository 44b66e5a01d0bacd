"""Scoring a finished detector on any data set."""

import jax

from fakeface_jax.data.splits import RunSplits, what_to_score
from fakeface_jax.detector import load
from fakeface_jax.devices import check_batch_size
from fakeface_jax.evaluation.predict import predict_records
from fakeface_jax.evaluation.probability import probability_of_fake
from fakeface_jax.evaluation.scores import scores
from fakeface_jax.runs.reference import with_reference
from fakeface_jax.verdict.conformal import coverage
from fakeface_jax.workdir import read_config


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
    `RunSplits.seen` of all but the run's own test split, and "conformal" as `conformal.coverage` or {"reason"}; the
    files that the builder left out, [name, reason]).
  """
  config = read_config(workdir)
  dataset, split, held_out = what_to_score(config, data, split)
  source = dataset[split]
  devices = jax.device_count()
  batch_size = -(-config.batch_size // devices) * devices if batch_size is None else batch_size
  check_batch_size(batch_size)
  detector = with_reference(load(workdir), workdir)
  logits, labels = predict_records(detector, source, batch_size, "scoring")
  title = f"{dataset.name}, {split}: {len(labels)} images"
  result = scores(labels, probability_of_fake(logits))
  reference = detector.reference
  result["conformal"] = coverage(reference.calibration, labels, probability_of_fake(logits)) if reference else {
      "reason": "there are no images that the detector was checked on"}
  if not held_out:
    result["seen_in_training"] = RunSplits(config, quiet=True).seen(source)
  return title, result, dataset.metadata.get("unreadable") or []
