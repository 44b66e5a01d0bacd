"""What a detector's verdicts rest on, as a file: plain arrays, and of which weights they are."""

import json
import logging
import zipfile
import zlib

import numpy as np

from fakeface_jax.errors import of_disk
from fakeface_jax.verdict.conformal import Calibration
from fakeface_jax.verdict.likeness import Reference, TrainingImages
from fakeface_jax.workdir import whole_file

log = logging.getLogger(__name__)

FORMAT = 2  # of the file, and of the features; one of another format is made again


def keep_reference(path, reference, weights):
  """Writes a run's file. Args: `weights`: checksum of the detector's variables. Raises: OSError."""
  training = reference.training
  with whole_file(path) as partial:
    np.savez(
        partial, format=FORMAT, weights=np.uint32(weights), val_labels=reference.calibration.labels.astype(np.int8),
        val_probabilities=reference.calibration.probabilities, val_distances=training.distances, mean=training.mean,
        projection=training.projection, rows=training.rows.astype(np.float16), labels=training.labels.astype(np.int8),
        names=_bytes(json.dumps(training.names).encode()), thumbnails=_bytes(b"".join(training.thumbnails)),
        ends=np.cumsum([len(file) for file in training.thumbnails]))


def _bytes(content):
  return np.frombuffer(content, np.uint8)


def read_reference(path, weights):
  """The `Reference` of a run's file; None without it, where it is of other weights, or damaged, which is said."""
  again = "it is made again when needed"
  try:
    with path.open("rb") as file, np.load(file) as kept:
      if int(kept["format"]) != FORMAT:
        log.warning("%s is of format %d, not %d: %s.", path, kept["format"], FORMAT, again)
        return None
      if int(kept["weights"]) != weights:
        log.warning("%s was made with other weights: %s.", path, again)
        return None
      arrays = {name: kept[name] for name in kept.files}
    return _reference(arrays)
  except FileNotFoundError:
    return None
  except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
    reason = of_disk(error) if isinstance(error, OSError) else "it is damaged"
    log.warning("%s cannot be used (%s): %s.", path, reason, again)
    return None


def _reference(arrays):
  """Raises: ValueError where the arrays do not belong together."""
  ends, content, names = arrays["ends"], arrays["thumbnails"].tobytes(), json.loads(arrays["names"].tobytes())
  thumbnails = [content[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
  rows, checked = arrays["rows"].astype(np.float32), len(arrays["val_labels"])
  if not len(rows) == len(arrays["labels"]) == len(names) == len(thumbnails) > 0 or ends[-1] != len(content):
    raise ValueError("its training images are of several numbers")
  if not checked == len(arrays["val_probabilities"]) == len(arrays["val_distances"]) > 0:
    raise ValueError("its validation images are of several numbers")
  if arrays["projection"].shape != (len(arrays["mean"]), rows.shape[1]):
    raise ValueError("its features are of several widths")
  return Reference(
      Calibration(arrays["val_labels"].astype(int), arrays["val_probabilities"]), "validation images",
      TrainingImages(
          arrays["mean"], arrays["projection"], rows, arrays["labels"].astype(int), names, thumbnails,
          arrays["val_distances"]))
