"""What is caught and what is missed: curves, thresholds set on other images, and shares by kind of fake."""

import collections
import itertools
from pathlib import PurePosixPath

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from fakeface_jax.data.schema import DIFFICULTIES, FAKE, LABELS, REAL, REGIONS, THRESHOLD
from fakeface_jax.evaluation.intervals import wilson
from fakeface_jax.evaluation.scores import scores

BINS = 20  # of the histogram
CALIBRATION_BINS = 10
CURVE_POINTS = 200  # at most; more cannot be drawn
FALSE_ALARMS = (0.01, 0.05, 0.1)  # rates that a threshold is looked for
MOST_SOURCES = 20
FEW = 10  # images; of fewer a share says little


def detection(
    labels, probabilities, *, regions=None, difficulties=None, sizes=None, sources=None, validation=None):
  """How well a detector tells fakes from reals, and which fakes it misses.

  Args:
    labels, probabilities: int[N], float[N], as `scores` takes them.
    regions: bool[N, len(REGIONS)], what was manipulated; or None.
    difficulties: int[N], indices of DIFFICULTIES; or None.
    sizes: float[N], the share of each picture that was changed, NaN where that is not known; or None.
    sources: [N] names of the images, whose folders are compared where there are several; or None.
    validation: (labels, probabilities) of the images that thresholds are set on, or why there are none, a sentence.
  Returns: {"verdict", "scores", "curves", "thresholds", "groups"}, ready for JSON; intervals are 95 %, Wilson's for
    shares.
  """
  labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float64)
  figures = scores(labels, probabilities)
  said_fake = probabilities >= THRESHOLD
  groups = {
      "regions": [] if regions is None else _shares(
          [(name, labels.astype(bool) & regions[:, i]) for i, name in enumerate(REGIONS)], said_fake),
      "difficulty": [] if difficulties is None else _shares(
          [(name, (labels == FAKE) & (difficulties == i)) for i, name in enumerate(DIFFICULTIES) if i], said_fake),
      "size": [] if sizes is None else _by_size(np.asarray(sizes), said_fake),
      "source": [] if sources is None else _by_source(labels, said_fake, sources)}
  return {
      "verdict": _verdict(figures, groups), "scores": figures, "curves": _curves(labels, probabilities),
      "thresholds": _thresholds(labels, probabilities, validation), "groups": groups}


def _shares(members, right):
  """A row for each (name, bool[N] who belongs to it) that anyone belongs to."""
  rows = [(name, int(chosen.sum()), int((chosen & right).sum())) for name, chosen in members]
  return [{"name": name, "images": images, "caught": caught, "recall": wilson(caught, images)}
          for name, images, caught in rows if images]


def _by_size(sizes, said_fake):
  """By quarters of the fakes, from the least changed to the most; of too few to divide, nothing."""
  known = np.isfinite(sizes)
  if known.sum() < 4 * FEW:
    return []
  borders = np.quantile(sizes[known], (0, 0.25, 0.5, 0.75, 1))
  quarters = np.digitize(sizes, borders[1:-1])
  return _shares([(f"{100 * low:.1f} to {100 * high:.1f} %", known & (quarters == i))
                  for i, (low, high) in enumerate(itertools.pairwise(borders))], said_fake)


def _by_source(labels, said_fake, sources):
  """By the folders that the images lie in, where there are more than one of a class; of reals, those recognised."""
  folders = [str(PurePosixPath(source).parent) for source in sources]
  chosen = collections.defaultdict(lambda: np.zeros(len(labels), bool))
  for i, folder in enumerate(folders):
    chosen[LABELS[labels[i]], folder][i] = True
  of_class = collections.Counter(label for label, _ in chosen)
  rows = [(f"{folder} ({label})", members) for (label, folder), members in sorted(chosen.items())
          if of_class[label] > 1]
  return _shares(rows, said_fake == (labels == FAKE)) if len(rows) <= MOST_SOURCES else []


def _curves(labels, probabilities):
  curves = {"calibration": _calibration(labels, probabilities)}
  edges = np.linspace(0, 1, BINS + 1)
  curves["histogram"] = {"edges": edges.tolist()} | {
      name: np.histogram(probabilities[labels == label], edges)[0].tolist() for label, name in enumerate(LABELS)}
  if len(np.unique(labels)) < len(LABELS):
    return curves
  false_alarms, recall, _ = roc_curve(labels, probabilities)
  curves["roc"] = _thinned(false_alarm_rate=false_alarms, recall=recall)
  precision, recall, _ = precision_recall_curve(labels, probabilities, drop_intermediate=True)
  curves["precision_recall"] = _thinned(recall=recall[::-1], precision=precision[::-1])
  return curves


def _thinned(**columns):
  """The columns as lists, of at most CURVE_POINTS points, the first and last among them."""
  length = len(next(iter(columns.values())))
  kept = np.unique(np.linspace(0, length - 1, min(length, CURVE_POINTS)).round().astype(int))
  return {name: values[kept].tolist() for name, values in columns.items()}


def _calibration(labels, probabilities):
  """Of what is called fake with about some probability, how much is: bins that hold an image."""
  edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
  bins = np.clip(np.digitize(probabilities, edges[1:-1]), 0, CALIBRATION_BINS - 1)
  rows = []
  for i in range(CALIBRATION_BINS):
    inside = bins == i
    if inside.any():
      rows.append({
          "low": float(edges[i]), "high": float(edges[i + 1]), "images": int(inside.sum()),
          "confidence": float(probabilities[inside].mean()),
          "share_fake": wilson(int(labels[inside].sum()), int(inside.sum()))})
  return rows


def threshold_for(reals, rate):
  """The lowest threshold at which at most this share of real images is called fake.

  Args: `reals`: float[N], their probabilities of fake, N > 0. rate: 0..1.
  Returns: float; a probability from there on is called fake.
  """
  ranked = np.sort(reals)[::-1]
  allowed = int(np.floor(rate * len(ranked) + 1e-9))
  return 0.0 if allowed >= len(ranked) else float(np.nextafter(ranked[allowed], 2))


def _thresholds(labels, probabilities, validation):
  if isinstance(validation, str) or validation is None:
    return {"reason": validation or "there are no validation images"}
  reals = np.asarray(validation[1])[np.asarray(validation[0]) == REAL]
  if not len(reals):
    return {"reason": "there is no real image among the validation images"}
  rows = []
  for wanted in FALSE_ALARMS:
    threshold = threshold_for(reals, wanted)
    called = probabilities >= threshold
    share = lambda label, called=called: wilson(int(called[labels == label].sum()), int((labels == label).sum()))
    rows.append({
        "wanted": wanted, "threshold": threshold, "validation_reals": len(reals),
        "recall": share(FAKE), "false_alarm_rate": share(REAL)})
  return rows


def _verdict(figures, groups):
  reals, fakes = (sum(row) for row in figures["confusion_matrix"])
  if figures["roc_auc"] is None:
    there, absent = ("fake", "real") if fakes else ("real", "fake")
    return (f"There is no {absent} image, so nothing says how well the classes are told apart;"
            f" {figures[f'recall_{there}']:.0%} of the {there} images were called {there}.")
  low, high = figures["intervals"]["roc_auc"]
  auc = f"AUC {figures['roc_auc']:.3f} ({low:.3f} to {high:.3f})"
  caught = (f"It catches {figures['recall_fake']:.0%} of {fakes:,} fakes and takes {1 - figures['recall_real']:.0%} of"
            f" {reals:,} reals for fakes: macro F1 {figures['f1_macro']:.3f}, {auc}")
  if low <= 0.5:
    return f"{caught}. That is not surely better than guessing."
  rows = [row for row in groups["regions"] if row["images"] >= FEW]
  rows = sorted(rows, key=lambda row: row["recall"][0])
  if len(rows) < 2:
    return f"{caught}."
  worst, best = rows[0], rows[-1]
  name = lambda row: row["name"].replace("_", " ")
  surely = worst["recall"][2] < best["recall"][1]
  return (f"{caught}. Most often missed: {name(worst)} ({worst['recall'][0]:.0%} of {worst['images']} caught); best"
          f" caught: {name(best)} ({best['recall'][0]:.0%} of {best['images']}); the difference"
          f" {'is larger than chance explains' if surely else 'may be chance'}.")
