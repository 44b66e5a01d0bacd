"""Can real and fake be told apart without looking at the faces? One question for each group of figures.

A group's figures are given to a small classifier (logistic regression and boosted trees, averaged), which is trained on
four fifths of the images and judged on the fifth that it has not seen, five times. Copies stay on one side. The AUC is
the mean of the five; below 0.5 it means no more than 0.5 does. Its error allows for the five having been trained on
much the same images (Nadeau & Bengio, 2003, which adds n_test / n_train to the variance's 1 / folds): on sets of
nothing but chance the mean scatters half as much again as that of five independent trials.
"""

import numpy as np
import threadpoolctl
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fakeface_jax.data.schema import FAKE, LABELS, REAL

FOLDS = 5
SURE = 2.5  # standard errors from 0.5 that make a finding; by chance one line in 160 gets there
SLIGHT, CLEAR, STRONG = 0.55, 0.7, 0.8  # AUC from which on a finding is worth a line, wrong, and all there is to learn
UNKNOWN = 0.7  # a group that is not found, but whose AUC could be as high as this, is not acquitted
MEANINGS = {
    "size": "the classes have other sizes",
    "aspect ratio": "the classes were cropped differently",
    "file bytes": "the classes were saved differently",
    "JPEG tables": "the classes were compressed differently",
    "metadata": "the files of the classes were written by other programs",
    "colour": "the classes differ in colour or light",
    "sharpness and noise": "the classes differ in sharpness or noise",
    "spectrum": "the classes differ in fine texture",
}
TEXTURE = ("sharpness and noise", "spectrum")  # may be a trace of what made the fakes, which is no shortcut


def shortcuts(figures, labels, groups=None, *, seed=0) -> dict:
  """How well each group of figures alone tells the classes apart, ready for JSON.

  Args:
    figures: of N images, {group: {figure: float}} each, as `data.checking.statistics` makes them.
    labels: int[N], 0 = real, 1 = fake.
    groups: int[N], equal for images that must not be on both sides, such as copies; by default there are none.
  Returns: {group: a dict of
    auc: mean over the folds, None where nothing could be measured;
    interval: [low, high], 95 %, or None;
    found: whether the AUC is at least `SLIGHT` and surely above 0.5;
    verdict: what that means, in words.}
  """
  labels = np.asarray(labels, np.int64)
  groups = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
  members = [len(np.unique(groups[labels == label])) for label in (REAL, FAKE)]
  names = figures[0] if figures else MEANINGS
  if min(members) < 2:
    few = " and ".join(f"{count or 'no'} {name}" for count, name in zip(members, LABELS, strict=True) if count < 2)
    nothing = {"auc": None, "interval": None, "found": False, "verdict": f"cannot be told: {few} to compare with"}
    return {name: dict(nothing) for name in names}
  folds = StratifiedGroupKFold(min(FOLDS, *members), shuffle=True, random_state=seed)
  splits = [(train, test) for train, test in folds.split(labels, labels, groups)
            if all(len(np.unique(labels[side])) == 2 for side in (train, test))]
  columns = {name: np.asarray([list(one[name].values()) for one in figures]) for name in names}
  with threadpoolctl.threadpool_limits(1):  # so little work is slower on several threads, by far where others run too
    return {name: _line(name, columns[name], labels, splits, members) for name in names}


def _line(name, columns, labels, splits, members):
  if not splits:
    return {"auc": None, "interval": None, "found": False, "verdict": "cannot be told: nearly all are copies"}
  if not np.ptp(columns, axis=0).any():
    return {"auc": 0.5, "interval": [0.5, 0.5], "found": False, "verdict": "the same in all images"}
  linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
  trees = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=6, min_samples_leaf=10, early_stopping=False)
  classifier = VotingClassifier([("linear", linear), ("trees", trees)], voting="soft")
  auc = float(np.mean(cross_val_score(classifier, columns, labels, scoring="roc_auc", cv=splits)))
  overlap = np.sqrt(1 + len(splits) / max(len(splits) - 1, 1))
  error, by_chance = (overlap * _error_of(at, *members) for at in (auc, 0.5))
  low, high = (float(np.clip(auc + step * error, 0, 1)) for step in (-1.96, 1.96))
  found = auc >= SLIGHT and auc - 0.5 > SURE * by_chance
  return {"auc": auc, "interval": [low, high], "found": bool(found), "verdict": _verdict(name, auc, found, low, high)}


def _verdict(name, auc, found, low, high):
  if found:
    strength = "gives the class away" if auc >= STRONG else "says much" if auc >= CLEAR else "says a little"
    return f"{strength}: {MEANINGS[name]}"
  if high > UNKNOWN:
    return "too few images to tell"
  return "no better than chance" if low <= 0.5 else "no more than a trace"


def _error_of(auc, reals, fakes):
  """The standard error of an AUC of so many images, copies counted once (Hanley & McNeil, 1982, eq. 2).

  An AUC of 1 is taken for a little less, as few images leave that open.
  """
  auc = np.clip(auc, 0.5, 1 - 0.5 / min(reals, fakes))
  q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
  return np.sqrt((auc * (1 - auc) + (fakes - 1) * (q1 - auc**2) + (reals - 1) * (q2 - auc**2)) / (reals * fakes))
