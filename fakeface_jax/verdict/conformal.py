"""Which classes remain possible for a picture: split-conformal classification (Angelopoulos & Bates, 2021, section 1).

A class remains where the picture does not speak more strongly against it than against nearly all validation images
that are of it. Each class has a limit of its own (their section 4.2, Mondrian), so that the promise holds for reals and
for fakes, however many of each there are among the validation images and among those to be judged.
"""

import dataclasses
import math

import numpy as np

from fakeface_jax.data.schema import LABELS
from fakeface_jax.errors import UserError

CONFIDENCE = 0.9  # where nothing else is said


def check_confidence(confidence):
  """Raises UserError where it is not between 0 and 1, both left out."""
  if not (isinstance(confidence, int | float) and 0 < confidence < 1):
    percent = " (percent are not)" if isinstance(confidence, int | float) and 1 <= confidence <= 100 else ""
    raise UserError(f"confidence={confidence!r}: expected a number between 0 and 1, such as 0.9{percent}")


def limit(scores, confidence):
  """The ceil((n + 1) * confidence)-th smallest of n scores, float; infinity where n is too small for that."""
  rank = math.ceil((len(scores) + 1) * confidence - 1e-9)  # 1e-9: 10 * 0.9 is to be 9
  return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def images_needed(confidence):
  """How many validation images of a class it takes for a limit below infinity."""
  return math.ceil(confidence / (1 - confidence) - 1e-9)


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
  """What the detector said of images that it was not trained on.

  Attributes:
    labels: int[N]. probabilities: float[N], of fake.
  """

  labels: np.ndarray
  probabilities: np.ndarray

  def of_class(self, label):
    """The scores of the images of a class, float[n]: one minus the probability of what they are."""
    return against(self.probabilities, label)[self.labels == label]

  def limits(self, confidence):
    """float[2]: how much may speak against each class while it remains."""
    check_confidence(confidence)
    return np.array([limit(self.of_class(label), confidence) for label in range(len(LABELS))])

  def remaining(self, probabilities, confidence):
    """bool[N, 2]: which classes remain of images with these probabilities of fake, at a confidence in 0..1."""
    scores = np.stack([against(probabilities, label) for label in range(len(LABELS))], axis=1)
    return scores <= self.limits(confidence)

  def short_of(self, confidence):
    """Names of the classes of which there are too few validation images for this confidence."""
    limits = self.limits(confidence)
    return [name for label, name in enumerate(LABELS) if math.isinf(limits[label])]


def against(probabilities, label):
  """How much speaks against a class, one minus its probability, of probabilities of fake."""
  probabilities = np.asarray(probabilities, np.float64)
  return probabilities if label == LABELS.index("real") else 1 - probabilities


def coverage(calibration, labels, probabilities, confidence=CONFIDENCE):
  """How often what is true remains, and how often the verdict is 'cannot tell', on other images of known class.

  Args:
    labels: int[N]. probabilities: float[N], of fake.
  Returns: ready for JSON: "confidence", "validation" {class: images}, "n", and [share, low, high] with 95 % Wilson
    intervals: "coverage", "coverage_real", "coverage_fake", "cannot_tell", "right" (of the verdicts that are given);
    Nones for no images.
  """
  from fakeface_jax.evaluation.intervals import wilson  # slow to import, and few need it

  labels = np.asarray(labels)
  remaining = calibration.remaining(probabilities, confidence)
  kept = remaining[np.arange(len(labels)), labels]
  told = remaining.sum(1) == 1
  share = lambda chosen, among: wilson(int((chosen & among).sum()), int(among.sum()))
  everyone = np.ones(len(labels), bool)
  return {
      "confidence": confidence, "n": len(labels),
      "validation": {name: int((calibration.labels == label).sum()) for label, name in enumerate(LABELS)},
      "coverage": share(kept, everyone),
      **{f"coverage_{name}": share(kept, labels == label) for label, name in enumerate(LABELS)},
      "cannot_tell": share(~told, everyone), "right": share(kept, told)}


def in_words(found):
  """What `coverage` returned, or {"reason"}, in a line."""
  if "reason" in found:
    return f"how sure a verdict is cannot be said: {found['reason']}"
  percent = lambda interval: "-" if interval[0] is None else f"{interval[0]:.1%}".replace("%", " %")
  return (
      f"at {found['confidence']:.0%} confidence the truth remains for {percent(found['coverage'])} of the images (real"
      f" {percent(found['coverage_real'])}, fake {percent(found['coverage_fake'])}); 'cannot tell' for"
      f" {percent(found['cannot_tell'])}").replace("0% ", "0 % ")
