"""How well probabilities of "fake" agree with the labels, with an idea of how sure one may be of each number.

Every score is one NumPy function of per-image weights: all ones give the score itself, bootstrap counts its interval.
"""

from typing import Any

import numpy as np

from fakeface_jax.data.schema import FAKE, LABELS, REAL, THRESHOLD
from fakeface_jax.errors import UserError

ECE_BINS = 15
_RANKING = ("roc_auc", "average_precision", "eer")  # need both classes
_ROWS = {
    "f1_macro": "F1, both classes", "f1_real": "F1, real", "f1_fake": "F1, fake",
    "precision_real": "precision, real", "precision_fake": "precision, fake",
    "recall_real": "recall, real", "recall_fake": "recall, fake",
    "accuracy": "accuracy", "roc_auc": "ROC AUC", "average_precision": "average precision",
    "eer": "equal error rate", "ece": "calibration error",
}


def scores(labels, probabilities, *, bootstrap=1000, seed=0) -> dict:
  """Scores of a detector, ready for JSON.

  Args:
    labels: int[N], 0 = real, 1 = fake.
    probabilities: float[N], of fake, in 0..1.
    bootstrap: number of resamples behind the intervals; 0 for none.
    seed: of the resampling.
  Returns: a dict of
    f1_macro (mean of the two), {f1,precision,recall}_{real,fake}, accuracy: at `THRESHOLD`, in 0..1; 0 where nothing
      is there to divide by, as in scikit-learn.
    roc_auc; average_precision (the step-wise sum, not interpolated; fake is positive); eer (the equal error rate,
      where the ROC, its points joined by straight lines, has as many false alarms as misses). None with one class.
    ece: expected calibration error of the predicted class's confidence, max(p, 1 - p), in 15 equal bins of 0..1
      (Guo et al., 2017, eq. 3).
    confusion_matrix: [[real as real, real as fake], [fake as real, fake as fake]], and n: counts.
    intervals: {score: [low, high]}, 95 % percentile intervals (Efron, 1979) over resamples of the images, drawn
      within each class: how many of each a test set holds is its author's choice, not chance. None for a None.
    reasons: {score: why it is None}.
  Raises: UserError for no images, another label than 0 and 1, NaN or a probability outside 0..1.
  """
  labels, probabilities = _checked(labels, probabilities)
  by_weight = _weighted_scores(labels, probabilities)
  point = {name: float(value[0]) for name, value in by_weight(np.ones((1, len(labels)))).items()}
  result: dict[str, Any] = {name: point.get(name) for name in _ROWS}
  said_fake = probabilities >= THRESHOLD
  result["confusion_matrix"] = [
      [int(np.sum((labels == label) & (said_fake == said))) for said in (REAL, FAKE)] for label in (REAL, FAKE)]
  result["n"] = len(labels)
  result["intervals"] = _intervals(by_weight, labels, bootstrap, seed) if bootstrap else {}
  absent = [name for label, name in enumerate(LABELS) if not np.any(labels == label)]
  result["reasons"] = {name: f"there is no {absent[0]} image" for name in _RANKING if result[name] is None}
  return result


def _checked(labels, probabilities):
  labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float64)
  if labels.ndim != 1 or labels.shape != probabilities.shape:
    raise ValueError(f"expected labels[N] and probabilities[N], got {labels.shape} and {probabilities.shape}")
  if not len(labels):
    raise UserError("no images to score: the split is empty; choose another one")
  if not np.isin(labels, (REAL, FAKE)).all():
    raise UserError(f"labels: expected 0 (real) and 1 (fake), got {sorted(set(labels.tolist()))[:5]}")
  nan = int(np.isnan(probabilities).sum())
  if nan:
    raise UserError(f"{nan} of {len(labels)} probabilities are NaN: the network has diverged; lower its learning rate")
  if probabilities.min() < 0 or probabilities.max() > 1:
    raise UserError(f"probabilities: expected 0..1, got {probabilities.min():g} to {probabilities.max():g}; "
                    "give probabilities, not logits")
  return labels.astype(np.int64), probabilities


def _weighted_scores(labels, probabilities):
  """A function from weights float64[B, N] to {score: float64[B]}; those it cannot tell are left out."""
  order = np.argsort(-probabilities, kind="stable")
  ranked = probabilities[order]
  tie_ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # thresholds fall between ties only
  fakes = (labels == FAKE)[order]
  said_fake = ranked >= THRESHOLD
  confidence = np.maximum(ranked, 1 - ranked)
  bins = np.digitize(confidence, np.linspace(0, 1, ECE_BINS + 1)[1:-1], right=True)
  surplus = np.zeros((len(labels), ECE_BINS))  # of being right over having said so
  surplus[np.arange(len(labels)), bins] = (said_fake == fakes) - confidence

  def by_weight(weights):
    weights = weights[:, order]
    total = weights.sum(1)
    hits, alarms = weights[:, fakes & said_fake].sum(1), weights[:, ~fakes & said_fake].sum(1)
    misses = weights[:, fakes & ~said_fake].sum(1)
    passes = total - hits - alarms - misses
    result = {"accuracy": (hits + passes) / total, "ece": np.abs(weights @ surplus).sum(1) / total}
    for name, right, wrongly_in, wrongly_out in (("real", passes, misses, alarms), ("fake", hits, alarms, misses)):
      result[f"precision_{name}"] = _ratio(right, right + wrongly_in)
      result[f"recall_{name}"] = _ratio(right, right + wrongly_out)
      result[f"f1_{name}"] = _ratio(2 * right, 2 * right + wrongly_in + wrongly_out)
    result["f1_macro"] = (result["f1_real"] + result["f1_fake"]) / 2
    if fakes.any() and not fakes.all():
      result |= _ranking_scores(np.cumsum(weights * fakes, 1)[:, tie_ends], np.cumsum(weights * ~fakes, 1)[:, tie_ends])
    return result

  return by_weight


def _ranking_scores(hits, alarms):
  """From counts of fakes and reals above ever lower thresholds, float64[B, T]."""
  precision = _ratio(hits, hits + alarms)
  start = np.zeros((len(hits), 1))
  recall = np.hstack([start, hits / hits[:, -1:]])
  false_alarms = np.hstack([start, alarms / alarms[:, -1:]])
  gain = np.diff(recall, axis=1)
  gap = false_alarms + recall - 1  # false alarms less misses, from -1 up to 1
  after = np.argmax(gap >= 0, axis=1)[:, None]
  before = after - 1
  at = lambda values, index: np.take_along_axis(values, index, 1)[:, 0]
  part = at(gap, before) / (at(gap, before) - at(gap, after))
  return {
      "roc_auc": (np.diff(false_alarms, axis=1) * (recall[:, 1:] + recall[:, :-1]) / 2).sum(1),
      "average_precision": (gain * precision).sum(1),
      "eer": at(false_alarms, before) + part * (at(false_alarms, after) - at(false_alarms, before)),
  }


def _ratio(part, whole):
  return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _intervals(by_weight, labels, bootstrap, seed):
  rng = np.random.default_rng(seed)
  classes = [np.flatnonzero(labels == label) for label in (REAL, FAKE) if np.any(labels == label)]
  chunk = max(1, min(bootstrap, 1_000_000 // len(labels)))  # about 8 MB per array
  drawn = []
  for start in range(0, bootstrap, chunk):
    weights = np.zeros((min(chunk, bootstrap - start), len(labels)))
    for members in classes:
      for row in weights:
        row[members] = np.bincount(rng.integers(len(members), size=len(members)), minlength=len(members))
    drawn.append(by_weight(weights))
  samples = {name: np.concatenate([part[name] for part in drawn]) for name in drawn[0]}
  return {name: np.percentile(samples[name], (2.5, 97.5)).tolist() if name in samples else None for name in _ROWS}


def table(scores: dict) -> str:
  """What `scores` returned as lines of plain text for a terminal, the confusion matrix below."""
  width = max(map(len, _ROWS.values())) + 2
  lines = [f"{'':{width}}score   95 % interval" if scores["intervals"] else f"{'':{width}}score"]
  for name, title in _ROWS.items():
    if scores[name] is None:
      lines.append(f"{title:{width}}  -     {scores['reasons'][name]}")
      continue
    interval = scores["intervals"].get(name)
    lines.append(f"{title:{width}}{scores[name]:.3f}" + ("   {:.3f} to {:.3f}".format(*interval) if interval else ""))
  counts = scores["confusion_matrix"]
  cell = max(len("said real"), len(str(scores["n"]))) + 2
  lines += ["", f"{scores['n']:,} images".ljust(width) + "".join(f"{f'said {name}':>{cell}}" for name in LABELS)]
  lines += [f"{f'is {name}':{width}}" + "".join(f"{count:>{cell},}" for count in row)
            for name, row in zip(LABELS, counts, strict=True)]
  return "\n".join(lines)
