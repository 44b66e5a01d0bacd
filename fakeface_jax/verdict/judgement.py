"""The verdict on a picture, in a word and in a sentence that anybody reads."""

import dataclasses
from typing import Literal

import numpy as np

from fakeface_jax.data.schema import LABELS
from fakeface_jax.verdict.conformal import CONFIDENCE, against, check_confidence, images_needed
from fakeface_jax.verdict.likeness import opened

CANNOT_TELL = "cannot tell"
UNLIKE = "This picture is unlike what the detector was trained on"


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbour:
  """A training image that a picture is most like.

  Attributes:
    name: where it came from. label: 'real' or 'fake'. thumbnail: uint8[64, 64, 3].
    distance: to it, in the units of `Judgement.limit`.
  """

  name: str
  label: str
  distance: float
  thumbnail: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Judgement:
  """What may be said of a picture.

  Attributes:
    verdict: 'fake', 'real', or 'cannot tell'. why: one sentence.
    probability: of fake, as the network has it. confidence: that was asked for.
    distance: the mean distance to its neighbours; None where no training images are kept with the detector.
    limit: of it, beyond which the picture is unlike what the detector was trained on; None as above.
    neighbours: the training images that it is most like, the nearest first.
  """

  verdict: Literal["fake", "real", "cannot tell"]
  why: str
  probability: float
  confidence: float
  distance: float | None
  limit: float | None
  neighbours: list[Neighbour]


def noted(judgement, note):
  """The judgement with what speaks against it said in its sentence; itself where there is nothing."""
  return dataclasses.replace(judgement, why=f"{judgement.why} Note: {note}.") if note else judgement


def judge(probabilities, features, reference, confidence=CONFIDENCE):
  """A `Judgement` of each of N pictures.

  Args:
    probabilities: float[N], of fake. features: float32[N, D], as `pooled_features` has them, or None.
    reference: `likeness.Reference` of the detector, or None.
    confidence: 0..1, how often the truth is to remain among what is not ruled out.
  Raises: UserError for another confidence.
  """
  check_confidence(confidence)
  training = reference and reference.training
  if training:
    indices, distances = training.nearest(features)
  judgements = []
  for i, probability in enumerate(map(float, probabilities)):
    verdict, why = _said(probability, reference, confidence)
    neighbours, distance, limit = [], None, None
    if training:
      neighbours = [
          Neighbour(training.names[j], LABELS[training.labels[j]], float(d), opened(training.thumbnails[j]))
          for j, d in zip(indices[i], distances[i], strict=True)]
      distance, limit = float(distances[i].mean()), training.limit
      if not distance <= limit:
        verdict = CANNOT_TELL
        why = f"{UNLIKE}, so what it says of it is worth nothing."
    elif verdict != CANNOT_TELL:
      why = f"{why.removesuffix('.')}; whether it knows such pictures is not known, as its training images are gone."
    judgements.append(Judgement(verdict, why, probability, confidence, distance, limit, neighbours))
  return judgements


def _said(probability, reference, confidence):
  """(verdict, why) by the probability alone."""
  if reference is None or reference.calibration is None:
    return CANNOT_TELL, (
        "Nothing says how sure this detector may be: no images are kept with it that it was checked on.")
  calibration, checked = reference.calibration, reference.calibrated_on
  short = calibration.short_of(confidence)
  if short:
    counts = " and ".join(f"{len(calibration.of_class(LABELS.index(name)))} {name}" for name in short)
    return CANNOT_TELL, (
        f"The detector was checked on only {counts} {checked}, too few to be {_percent(confidence)} sure of anything"
        f" (it takes {images_needed(confidence)} of each).")
  remaining = np.flatnonzero(calibration.remaining([probability], confidence)[0])
  if len(remaining) == 1:
    left, out = remaining[0], 1 - remaining[0]
    others = calibration.of_class(out)
    like = int(np.sum(others >= against([probability], out)[0]))
    return LABELS[left], (
        f"At {_percent(confidence)} confidence only '{LABELS[left]}' remains: of {len(others):,} {LABELS[out]}"
        f" {checked} that the detector was checked on, {_number(like)} looked as {LABELS[left]} to it as this picture.")
  if len(remaining):
    return CANNOT_TELL, (
        f"At {_percent(confidence)} confidence both 'real' and 'fake' remain: the detector has seen real as well as"
        f" fake {checked} that look like this to it.")
  return CANNOT_TELL, (
      f"At {_percent(confidence)} confidence neither 'real' nor 'fake' remains: to the detector this picture looks more"
      f" fake than {_percent(confidence)} of the real {checked} and more real than {_percent(confidence)} of the fake"
      f" ones.")


def _number(count):
  return "none" if not count else f"{count:,}"


def _percent(share):
  return f"{100 * share:g} %"
