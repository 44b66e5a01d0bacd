"""Which test images are worth a look: what was caught, missed, wrongly accused, rightly trusted, and undecided."""

from fakeface_jax.data.features import THRESHOLD

GROUPS = {
    "caught_fake": "fakes, caught",
    "missed_fake": "fakes, missed",
    "false_alarm": "reals, taken for fakes",
    "true_real": "reals, recognised",
    "least_sure": "least sure",
}


def pick_cases(labels, probabilities, each):
  """Up to `each` images of every group of `GROUPS`.

  Args:
    labels: int[N], 0 real, 1 fake.
    probabilities: float[N] of fake.
  Returns: {group: indices}, the clearest cases first; in 'least_sure' those nearest to one half.
  """
  numbers = range(len(labels))

  def pick(label, called_fake):
    members = [i for i in numbers if labels[i] == label and (probabilities[i] >= THRESHOLD) == called_fake]
    return sorted(members, key=lambda i: -abs(probabilities[i] - 0.5))[:each]

  return {
      "caught_fake": pick(1, True),
      "missed_fake": pick(1, False),
      "false_alarm": pick(0, True),
      "true_real": pick(0, False),
      "least_sure": sorted(numbers, key=lambda i: abs(probabilities[i] - 0.5))[:each],
  }
