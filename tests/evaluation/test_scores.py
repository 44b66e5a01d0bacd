"""Numbers worked out by hand, agreement with scikit-learn, and whether the intervals keep their promise."""

import json
import math

import numpy as np
import pytest
import sklearn.metrics

from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.scores import _weighted_scores, scores, table

# Five reals, three fakes; one real and one fake share 0.42.
LABELS = [0, 0, 0, 0, 0, 1, 1, 1]
PROBABILITIES = [0.1, 0.2, 0.42, 0.7, 0.55, 0.42, 0.61, 0.9]


def random_case(count, seed=0, ties=True):
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, 2, count)
  probabilities = np.clip(rng.normal(0.4 + 0.2 * labels, 0.25), 0, 1)
  return labels, probabilities.round(2) if ties else probabilities


def test_hand_computed_at_the_threshold():
  result = scores(LABELS, PROBABILITIES, bootstrap=0)
  # called fake: 0.7, 0.55 (reals), 0.61, 0.9 (fakes)
  assert result["confusion_matrix"] == [[3, 2], [1, 2]] and result["n"] == 8
  expected = {
      "precision_real": 3 / 4,  # of 4 called real
      "recall_real": 3 / 5,
      "f1_real": 2 / 3,  # 2 * 3 / (4 + 5)
      "precision_fake": 2 / 4,
      "recall_fake": 2 / 3,
      "f1_fake": 4 / 7,  # 2 * 2 / (4 + 3)
      "f1_macro": 13 / 21,  # (14/21 + 12/21) / 2
      "accuracy": 5 / 8,
  }
  assert {name: result[name] for name in expected} == pytest.approx(expected)


def test_hand_computed_ranking():
  result = scores(LABELS, PROBABILITIES, bootstrap=0)
  # pairs in the right order: 0.42 beats 0.1 and 0.2 and draws with 0.42, 0.61 beats all but 0.7, 0.9 beats all
  assert result["roc_auc"] == pytest.approx((2.5 + 4 + 5) / 15)
  # recall rises by 1/3 at 0.9 (precision 1/1), at 0.61 (2/3, after the real at 0.7), at 0.42 (3/6)
  assert result["average_precision"] == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
  # false alarms and misses: 1/5, 1/3 down to 0.61; 2/5, 1/3 down to 0.55: they meet where false alarms are 1/3
  assert result["eer"] == pytest.approx(1 / 3)


def test_equal_error_rate_between_two_points_of_a_tie():
  # two thresholds: above 0.8 one of four fakes and no real; then the tie takes all: from (0, 3/4) to (1, 0) in false
  # alarms and misses, equal where t = 3/4 (1 - t), so t = 3/7
  assert scores([0, 0, 1, 1, 1, 1], [0.5, 0.5, 0.9, 0.5, 0.5, 0.5], bootstrap=0)["eer"] == pytest.approx(3 / 7)


def test_hand_computed_calibration():
  # confidence of right and wrong calls, by bins of 1/15:
  #   8/15 to 9/15: 0.58 right, 0.58 and 0.55 wrong: 1 - 1.71 = -0.71    9/15 to 10/15: 0.61 right: 0.39
  #   10/15 to 11/15: 0.7 wrong: -0.7    around 12/15: 0.8 right: 0.2    13/15 to 14/15: 0.9 right twice: 0.2
  assert scores(LABELS, PROBABILITIES, bootstrap=0)["ece"] == pytest.approx((0.71 + 0.39 + 0.7 + 0.2 + 0.2) / 8)


def test_calibration_bins_include_their_upper_end():
  # 0.8 is 12/15, so it shares a bin with the 0.79 below it: (1 - 0.8) + (0 - 0.79) = -0.59
  assert scores([1, 0], [0.8, 0.79], bootstrap=0)["ece"] == pytest.approx(0.59 / 2)


def test_exactly_one_half_is_called_fake():
  assert scores([1, 0], [0.5, 0.5], bootstrap=0)["confusion_matrix"] == [[0, 1], [0, 1]]


def sklearn_scores(labels, probabilities):
  said = (probabilities >= 0.5).astype(int)
  each = sklearn.metrics.precision_recall_fscore_support(labels, said, labels=[0, 1], zero_division=0)
  result = {f"{score}_{name}": each[i][j] for i, score in enumerate(("precision", "recall", "f1"))
            for j, name in enumerate(("real", "fake"))}
  false_alarms, hits, _ = sklearn.metrics.roc_curve(labels, probabilities, drop_intermediate=False)
  fine = np.linspace(0, 1, 200_001)
  return result | {
      "f1_macro": sklearn.metrics.f1_score(labels, said, average="macro", zero_division=0),
      "accuracy": sklearn.metrics.accuracy_score(labels, said),
      "roc_auc": sklearn.metrics.roc_auc_score(labels, probabilities),
      "average_precision": sklearn.metrics.average_precision_score(labels, probabilities),
      "eer": fine[np.argmin(np.abs(fine - 1 + np.interp(fine, false_alarms, hits)))],
  }


@pytest.mark.parametrize("count, ties", [(12, True), (300, True), (300, False), (5000, True)])
def test_agrees_with_scikit_learn(count, ties):
  labels, probabilities = random_case(count, ties=ties)
  expected = sklearn_scores(labels, probabilities)
  result = scores(labels, probabilities, bootstrap=0)
  assert {name: result[name] for name in expected} == pytest.approx(expected, abs=6e-6)
  assert result["confusion_matrix"] == sklearn.metrics.confusion_matrix(labels, probabilities >= 0.5).tolist()


def test_weights_count_like_repeated_images():
  """What the bootstrap computes from counts is what scikit-learn computes from the resampled images themselves."""
  labels, probabilities = random_case(60)
  weights = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), size=8).astype(float)
  by_weight = _weighted_scores(labels, probabilities)(weights)
  for index, row in enumerate(weights.astype(int)):
    resampled = np.repeat(labels, row), np.repeat(probabilities, row)
    got = {name: values[index] for name, values in by_weight.items()}
    expected = sklearn_scores(*resampled)
    assert {name: got[name] for name in expected} == pytest.approx(expected, abs=6e-6)
    assert got["ece"] == pytest.approx(scores(*resampled, bootstrap=0)["ece"])


def test_intervals_are_those_of_a_plain_bootstrap():
  labels, probabilities = random_case(120, seed=3)
  rng = np.random.default_rng(9)
  plain = []
  for _ in range(1200):
    index = np.concatenate([rng.choice(np.flatnonzero(labels == label), (labels == label).sum()) for label in (0, 1)])
    plain.append(sklearn.metrics.roc_auc_score(labels[index], probabilities[index]))
  interval = scores(labels, probabilities, bootstrap=4000)["intervals"]["roc_auc"]
  np.testing.assert_allclose(interval, np.percentile(plain, (2.5, 97.5)), atol=0.007)  # 5 and 95 are 0.014 off


def test_intervals_cover_the_truth_as_often_as_they_say():
  """Normal scores one apart: accuracy at the middle is Phi(1/2), AUC Phi(1/sqrt 2)."""
  phi = lambda x: (1 + math.erf(x / math.sqrt(2))) / 2
  truth = {"accuracy": phi(0.5), "roc_auc": phi(1 / math.sqrt(2)), "recall_fake": phi(0.5)}
  covered = dict.fromkeys(truth, 0)
  rng = np.random.default_rng(5)
  labels = np.repeat([0, 1], (70, 80))
  for trial in range(200):
    probabilities = 1 / (1 + np.exp(-rng.normal(labels - 0.5)))
    intervals = scores(labels, probabilities, bootstrap=200, seed=trial)["intervals"]
    for name, value in truth.items():
      covered[name] += intervals[name][0] <= value <= intervals[name][1]
  assert all(0.88 <= count / 200 <= 0.99 for count in covered.values()), covered


def test_resampling_is_within_classes_and_determined_by_the_seed():
  labels, probabilities = random_case(40)
  first = scores(labels, probabilities, bootstrap=50, seed=1)
  assert first == scores(labels, probabilities, bootstrap=50, seed=1)
  other = scores(labels, probabilities, bootstrap=50, seed=2)
  assert first["intervals"] != other["intervals"] and first["accuracy"] == other["accuracy"]
  # one fake among many: every resample holds it, so its recall cannot vary
  assert scores([0] * 30 + [1], [0.2] * 30 + [0.9], bootstrap=200)["intervals"]["recall_fake"] == [1.0, 1.0]


@pytest.mark.parametrize("label, absent", [(0, "fake"), (1, "real")])
def test_one_class_only(label, absent):
  result = scores([label] * 4, [0.1, 0.6, 0.9, 0.7], bootstrap=20)
  for name in ("roc_auc", "average_precision", "eer"):
    assert result[name] is None and result["intervals"][name] is None
    assert result["reasons"][name] == f"there is no {absent} image"
  assert result["accuracy"] == (0.75 if label else 0.25) and result[f"recall_{absent}"] == 0
  assert f"there is no {absent} image" in table(result)


def test_everything_called_fake():
  result = scores([0, 0, 1], [0.8, 0.8, 0.8], bootstrap=20)
  assert (result["f1_real"], result["precision_real"], result["f1_fake"]) == (0, 0, 0.5)  # 2 * 1 / (3 + 1)
  assert (result["roc_auc"], result["average_precision"], result["eer"]) == pytest.approx((1 / 2, 1 / 3, 1 / 2))


@pytest.mark.parametrize("labels, probabilities, expected", [
    ([], [], "no images"),
    ([0, 1], [0.5, np.nan], "1 of 2 probabilities are NaN"),
    ([0, 1], [0.5, 1.5], "not logits"),
    ([0, 2], [0.5, 0.5], "got [0, 2]"),
])
def test_input_that_cannot_be_scored(labels, probabilities, expected):
  with pytest.raises(UserError) as error:
    scores(labels, probabilities)
  assert expected in str(error.value)
  with pytest.raises(ValueError, match=r"\(2,\) and \(1,\)"):
    scores([0, 1], [0.5])


def test_json():
  labels, probabilities = random_case(30)
  result = scores(labels, probabilities.astype(np.float32), bootstrap=20)
  assert json.loads(json.dumps(result, allow_nan=False)) == result
  assert list(result)[:3] == ["f1_macro", "f1_real", "f1_fake"] and set(result["intervals"]) < set(result)


def test_table():
  result = scores(LABELS, PROBABILITIES, bootstrap=0)
  result["intervals"] = {"f1_macro": [0.5, 0.75]}
  assert table(result).splitlines()[:3] == [
      "                   score   95 % interval",
      "F1, both classes   0.619   0.500 to 0.750",
      "F1, real           0.667"]
  assert table(result).splitlines()[-4:] == [
      "",
      "8 images             said real  said fake",
      "is real                      3          2",
      "is fake                      1          2"]
