"""What a run's verdicts rest on, kept in its folder: images that it was checked on, and some that it was trained on."""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np

from fakeface_jax.data.reading.records import decode_record, record_name
from fakeface_jax.data.schema import LABELS
from fakeface_jax.detector import checksum
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.evaluation.probability import probability_of_fake
from fakeface_jax.explain.pooled_features import pooled_layers
from fakeface_jax.progress import in_parts
from fakeface_jax.runs.records import read_predictions, split_of_run
from fakeface_jax.verdict.conformal import Calibration, coverage
from fakeface_jax.verdict.kept import keep_reference
from fakeface_jax.verdict.likeness import Reference, TrainingImages, nearest, thumbnail, whitened, whitening
from fakeface_jax.workdir import REFERENCE_FILE, read_config, write_whole

log = logging.getLogger(__name__)

TRAINING, VALIDATION = 3000, 2000  # images at most, half of each class


def with_reference(detector, workdir):
  """The detector with what its verdicts rest on, made and kept where it is not there yet.

  Where the run's data are gone, images that it was tested on stand in for the validation images, and none for those of
  the training, which is said.
  """
  if detector.reference is not None:
    return detector
  workdir = Path(workdir)
  config = read_config(workdir)
  try:
    reference = make_reference(detector, config)
  except UserError as error:
    log.warning("What the detector was trained on cannot be had, so likeness to it is not judged: %s", error)
    return dataclasses.replace(detector, read_reference=lambda: _of_test_images(workdir, config))
  try:
    keep_reference(workdir / REFERENCE_FILE, reference, checksum(detector.variables))
  except OSError as error:
    log.warning("What the verdicts rest on could not be kept in %s: %s", workdir, of_disk(error))
  return dataclasses.replace(detector, read_reference=lambda: reference)


def make_reference(detector, config):
  """The `Reference` of a detector, from its run's data. Raises: UserError where they cannot be had."""
  train, val = (split_of_run(config, use) for use in ("train", "val"))
  trained = chosen(train, TRAINING, config.seed)
  checked = chosen(val, VALIDATION, config.seed)
  _, features, details = _looked_at(detector, train, trained, "images trained on: what they are like, once")
  mean, projection = whitening(features)
  rows = whitened(features, mean, projection).astype(np.float16).astype(np.float32)  # as they are kept
  names, labels, thumbnails = zip(*details, strict=True)
  logits, features, details = _looked_at(detector, val, checked, "validation images: how sure, once")
  return Reference(
      Calibration(np.array([label for _, label, _ in details]), probability_of_fake(logits)), "validation images",
      TrainingImages(
          mean, projection, rows, np.array(labels), list(names), list(thumbnails),
          nearest(whitened(features, mean, projection), rows)[1].mean(1)))


def chosen(source, count, seed):
  """Numbers of up to `count` records, half of each class as far as there are so many, ascending; chosen by a seed."""
  found = {label: [] for label in range(len(LABELS))}
  for i in np.random.default_rng([seed, len(source)]).permutation(len(source)).tolist():
    of_class = found[source[i]["label"]]
    if len(of_class) < count // len(LABELS):
      of_class.append(i)
    if all(len(some) == count // len(LABELS) for some in found.values()):
      break
  return sorted(i for some in found.values() for i in some)


def _looked_at(detector, source, numbers, title):
  """(logits float32[N, 2], features float32[N, D], [(name, label, thumbnail)]) of some records."""
  logits, features, details = [], [], []
  size, layers = detector.engine.batch_size, pooled_layers(detector.model)
  for start in in_parts(len(numbers), size, title):
    records = [source[i] for i in numbers[start : start + size]]
    pixels = detector.prepare([decode_record(record) for record in records]).pixels
    said = detector.engine.explain(pixels, np.zeros(len(pixels)), {}, pooled=layers)
    logits.append(said["logits"])
    features.append(said["features"])
    details += [
        (record_name(record), int(record["label"]), thumbnail(image))
        for record, image in zip(records, pixels, strict=True)]
  return np.concatenate(logits), np.concatenate(features), details


def _of_test_images(workdir, config):
  """The `Reference` of a run whose data are gone; None where it was not tested on images like its own."""
  if config.data.get("test_name"):
    return None
  try:
    rows = read_predictions(workdir)
  except UserError as error:
    log.warning("How sure a verdict is cannot be said: %s", error)
    return None
  labels, probabilities = (np.array([row[key] for row in rows]) for key in ("label", "probability"))
  return Reference(Calibration(labels, probabilities), "test images", None)


def report_coverage(detector, workdir):
  """Writes into `test_metrics.json` how often the truth remains on the run's test images; returns it."""
  path = Path(workdir) / "test_metrics.json"
  rows = read_predictions(workdir)
  labels, probabilities = (np.array([row[key] for row in rows]) for key in ("label", "probability"))
  found = coverage(detector.reference.calibration, labels, probabilities)
  write_whole(path, json.dumps(json.loads(path.read_text()) | {"conformal": found}, indent=2) + "\n")
  return found
