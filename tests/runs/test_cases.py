"""Which images are shown, and in which group."""

import pytest

from fakeface_jax.runs.cases import STUDY_GROUPS, pick_study, study_group


@pytest.mark.parametrize(("label", "probability", "difficulty", "group"), [
    (1, 0.9, "easy", "obvious_caught"), (1, 0.1, "easy", "obvious_missed"), (1, 0.9, "mid", "hard_caught"),
    (1, 0.1, "hard", "hard_missed"), (1, 0.7, "none", "fake_caught"), (1, 0.3, "none", "fake_missed"),
    (0, 0.3, "none", "real_right"), (0, 0.7, "none", "false_alarm"), (0, 0.4, "none", "unsure"),
    (1, 0.6, "easy", "unsure"),
    (1, 0.61, "easy", "obvious_caught"), (0, 0.39, "none", "real_right")])
def test_groups_are_those_of_the_article(label, probability, difficulty, group):
  assert study_group(label, probability, difficulty) == group and group in STUDY_GROUPS


def test_the_clearest_come_first_and_of_the_unsure_the_least_clear():
  labels = [1, 1, 1, 1, 0, 0, 0]
  probabilities = [0.7, 0.99, 0.8, 0.2, 0.45, 0.52, 0.41]
  counts, picked = pick_study(labels, probabilities, ["none"] * 7, each=2)
  assert counts == {"fake_caught": 3, "fake_missed": 1, "unsure": 3}  # no group without images
  assert picked == {"fake_caught": [1, 2], "fake_missed": [3], "unsure": [5, 4]}
