"""The images of an audit: what the network says of each, and what is known about it."""

from typing import Any, NamedTuple

import numpy as np

from fakeface_jax.data.reading.records import decode_mask, decode_record, record_name
from fakeface_jax.data.schema import FAKE
from fakeface_jax.data.splits import Part
from fakeface_jax.detector import Seen
from fakeface_jax.evaluation.placement import INSIDE, UNKNOWN, why_unusable
from fakeface_jax.evaluation.predict import predict_records
from fakeface_jax.evaluation.probability import probability_of_fake
from fakeface_jax.progress import with_progress


class Audited(NamedTuple):
  """The N images of a split."""

  detector: Any
  source: Any  # records, as `open_dataset(...)[split]`
  labels: np.ndarray  # int[N]
  probabilities: np.ndarray  # float64[N], of fake
  names: list
  regions: np.ndarray  # bool[N, len(REGIONS)]
  difficulties: np.ndarray  # int[N], indices into DIFFICULTIES
  sizes: np.ndarray  # float64[N], the share of a fake's known pixels that was changed; NaN where there is no mask
  unplaced: list  # '' for a fake with a mask that can be measured against, else why not

  def stored(self, indices):
    """The images uint8[H, W, 3] as they are stored, each decoded when it is asked for."""
    return Part(self.source, indices, decode_record)

  def seen(self, indices):
    """What the network sees of them, at least one: a `Seen`."""
    return Seen.joined(self.detector.prepare([image]) for image in self.stored(indices))

  def masks(self, indices):
    """uint8[n, crop, crop], of what the network sees."""
    return np.stack([self.detector.prepare_mask(decode_mask(self.source[int(i)])) for i in indices])


def predicted(detector, source, batch_size, title):
  """{"logits", "labels"} of all records, see `predict_records`."""
  return dict(zip(("logits", "labels"), predict_records(detector, source, batch_size, title), strict=True))


def read_audited(detector, source, parts, batch_size):
  """The `Audited`; `parts` keeps what takes long."""
  said = parts("predictions", lambda: predicted(detector, source, batch_size, "judging"))
  facts = parts("known", lambda: _facts(detector, source))
  return Audited(
      detector, source, said["labels"], probability_of_fake(said["logits"]), facts["names"].tolist(),
      facts["regions"], facts["difficulties"], facts["sizes"], facts["unplaced"].tolist())


def _facts(detector, source):
  rows = []
  for i in with_progress(range(len(source)), "reading masks"):
    record = source[i]
    mask = detector.prepare_mask(decode_mask(record))
    unplaced = why_unusable(mask) or "" if record["label"] == FAKE else "real"
    size = np.nan if unplaced else np.mean(mask[mask != UNKNOWN] == INSIDE)
    rows.append((record_name(record), record["regions"], record["difficulty"], size, unplaced))
  names, regions, difficulties, sizes, unplaced = zip(*rows, strict=True)
  return {"names": np.array(names, str), "regions": np.array(regions, bool),
          "difficulties": np.array(difficulties, int), "sizes": np.array(sizes), "unplaced": np.array(unplaced, str)}

