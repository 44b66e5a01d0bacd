"""Which test images are worth a look: what was caught, missed, wrongly accused, rightly trusted, and undecided."""

from fakeface_jax.data.schema import REAL, THRESHOLD

GROUPS = {
    "caught_fake": "fakes, caught",
    "missed_fake": "fakes, missed",
    "false_alarm": "reals, taken for fakes",
    "true_real": "reals, recognised",
    "least_sure": "least sure",
}


def pick_cases(labels, probabilities, each):
  """Up to `each` images of every group of `GROUPS`.

  Args: labels: int[N], 0 real, 1 fake. probabilities: float[N] of fake.
  Returns: {group: indices}, the clearest cases first; in 'least_sure' those nearest to one half.
  """
  numbers = range(len(labels))
  clearest = sorted(numbers, key=lambda i: -abs(probabilities[i] - 0.5))
  pick = lambda label, called_fake: [
      i for i in clearest if labels[i] == label and (probabilities[i] >= THRESHOLD) == called_fake][:each]
  least_sure = sorted(numbers, key=lambda i: abs(probabilities[i] - 0.5))[:each]
  return dict(zip(GROUPS, (pick(1, True), pick(1, False), pick(0, True), pick(0, False), least_sure), strict=True))


UNSURE = (0.4, 0.6)  # probabilities of fake between which neither verdict is worth much
STUDY_GROUPS = {  # as the article sorts its cases
    "obvious_caught": "obvious fakes, caught",
    "obvious_missed": "obvious fakes, missed",
    "hard_caught": "hard fakes, caught",
    "hard_missed": "hard fakes, missed",
    "fake_caught": "fakes that nobody graded, caught",
    "fake_missed": "fakes that nobody graded, missed",
    "real_right": "reals, recognised",
    "false_alarm": "reals, taken for fakes",
    "unsure": f"unsure ({UNSURE[0]:.0%} to {UNSURE[1]:.0%} fake)",
}


def study_group(label, probability, difficulty):
  """The key of STUDY_GROUPS that an image belongs to.

  Args: `difficulty`: of DIFFICULTIES; easy is obvious, mid and hard are hard.
  """
  if UNSURE[0] <= probability <= UNSURE[1]:
    return "unsure"
  if label == REAL:
    return "real_right" if probability < THRESHOLD else "false_alarm"
  kind = {"none": "fake", "easy": "obvious"}.get(difficulty, "hard")
  return f"{kind}_{'caught' if probability >= THRESHOLD else 'missed'}"


def pick_study(labels, probabilities, difficulties, each):
  """({group: number of images in it}, {group: up to `each` indices, the clearest first, of 'unsure' the least clear}).

  Args: `labels`, `probabilities`, `difficulties`: [N] each, see `study_group`. Groups without images are left out.
  """
  members = {group: [] for group in STUDY_GROUPS}
  for i, (label, probability, difficulty) in enumerate(zip(labels, probabilities, difficulties, strict=True)):
    members[study_group(label, probability, difficulty)].append(i)
  members = {group: numbers for group, numbers in members.items() if numbers}
  for group, numbers in members.items():
    numbers.sort(key=lambda i: abs(probabilities[i] - THRESHOLD), reverse=group != "unsure")
  counts = {group: len(numbers) for group, numbers in members.items()}
  return counts, {group: numbers[:each] for group, numbers in members.items()}
