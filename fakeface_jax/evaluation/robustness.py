"""Do the verdicts last when photographs are compressed, blurred, lit otherwise or cropped?"""

import itertools

import numpy as np

from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.data.schema import FAKE, REAL, THRESHOLD
from fakeface_jax.evaluation.corruptions import CORRUPTIONS, corrupted
from fakeface_jax.evaluation.intervals import wilson
from fakeface_jax.evaluation.probability import probability_of_fake
from fakeface_jax.evaluation.scores import scores
from fakeface_jax.lines import listed

MANY_FLIPS, LARGE_FALL = 0.1, 0.05  # share of verdicts, and of macro F1, from which on a corruption matters


def corrupted_probabilities(detector, images, name, level, seed=0):
  """What a detector says of photographs after one corruption.

  Args:
    images: N photographs uint8[h, w, 3] as they are stored, of any sizes: a list, or anything with a length and
      `images[i]`, which may read a file and is asked by several threads.
    seed: of the noise.
  Returns: probability of fake, float64[N].
  """

  def seen(i):
    image = corrupted(images[i], name, level, resize=detector.resize, key=(seed, i))
    return detector.prepare([image]).pixels[0]

  pictures, parts = in_order(seen, range(len(images)), ahead=detector.engine.batch_size), [np.zeros(0)]
  while batch := list(itertools.islice(pictures, detector.engine.batch_size)):
    parts.append(probability_of_fake(detector.engine.logits(np.stack(batch))))
  return np.concatenate(parts)


def robustness(labels, clean, by_level, *, bootstrap=1000):
  """Scores under corruption beside those without, ready for JSON.

  Args:
    labels: int[N], 0 = real, 1 = fake.
    clean: probability of fake of the photographs as they are, float[N].
    by_level: {corruption: {level: float[N]}}, as `corrupted_probabilities` returns them; some may be missing.
  Returns: a dict of `verdict`, in words; `images`; `clean`, as a level is; `corruptions`, [{"name", "title", "unit",
    "levels"}]. A level has `level` (None of the clean photographs), `f1_macro`, `roc_auc`, `recall_fake`,
    `false_alarm_rate` and `flipped` (the share of verdicts that are no longer what they were), each [value, low, high]
    with a 95 % interval, and `real_to_fake`, `fake_to_real`: the share of the reals, and fakes, whose verdict flipped
    that way. What needs a class that is missing is None.
  Raises: as `evaluation.scores.scores`.
  """
  labels, clean = np.asarray(labels), np.asarray(clean, np.float64)
  measured = lambda level, probabilities: _level(level, labels, clean, np.asarray(probabilities), bootstrap)
  untouched = measured(None, clean)
  corruptions = [
      {"name": name, "title": corruption.title, "unit": corruption.unit,
       "levels": [measured(level, by_level[name][level]) for level in corruption.levels if level in by_level[name]]}
      for name, corruption in CORRUPTIONS.items() if name in by_level]
  return {"verdict": _verdict(untouched, corruptions), "images": len(labels), "clean": untouched,
          "corruptions": corruptions}


def _level(level, labels, clean, probabilities, bootstrap):
  of = scores(labels, probabilities, bootstrap=bootstrap)
  with_interval = lambda name: of[name] if of[name] is None else [of[name], *of["intervals"][name]]
  was_fake, is_fake = clean >= THRESHOLD, probabilities >= THRESHOLD
  real, fake = labels == REAL, labels == FAKE
  both = real.any() and fake.any()
  share = lambda part, whole: float(part[whole].mean()) if whole.any() else None
  interval = lambda part, whole: wilson(int(part[whole].sum()), int(whole.sum())) if whole.any() else None
  return {
      "level": level,
      "f1_macro": with_interval("f1_macro") if both else None,  # it would count a class that is not there as failed
      "roc_auc": with_interval("roc_auc"),
      "recall_fake": interval(is_fake, fake),
      "false_alarm_rate": interval(is_fake, real),
      "flipped": interval(was_fake != is_fake, np.ones_like(real)),
      "real_to_fake": share(~was_fake & is_fake, real),
      "fake_to_real": share(was_fake & ~is_fake, fake),
  }


def _verdict(clean, corruptions):
  """From where on a corruption matters, and which ones do not, as sentences."""
  falls = lambda level: level["f1_macro"] is not None and clean["f1_macro"][0] - level["f1_macro"][0] > LARGE_FALL
  breaks = lambda level: level["flipped"][0] > MANY_FLIPS or falls(level)
  breaking, lasting = [], []
  for corruption in corruptions:
    of_kind = CORRUPTIONS[corruption["name"]]
    levels = [level for level in corruption["levels"] if breaks(level)]
    below = [level for level in levels if level["level"] < of_kind.untouched]
    above = [level for level in levels if level["level"] > of_kind.untouched]
    for side in filter(None, (below, above)):
      level = min(side, key=lambda level, of_kind=of_kind: abs(level["level"] - of_kind.untouched))
      figures = f"{level['flipped'][0]:.0%} flip"
      if level["f1_macro"]:
        figures += f", macro F1 {clean['f1_macro'][0]:.2f} to {level['f1_macro'][0]:.2f}"
      breaking.append(f"{of_kind.words.format(format(level['level'], 'g'))} ({figures})")
    if corruption["levels"] and not levels:
      lasting.append(corruption["title"])
  limits = f"more than {MANY_FLIPS:.0%} of the verdicts flip or macro F1 falls by more than {LARGE_FALL:g}"
  if not breaking and not lasting:
    return "No corruption was tried."
  if not breaking:
    return f"The verdicts last: at no level that was tried, of {listed(lasting)}, {limits}."
  sentence = f"The verdicts do not last at {listed(breaking)}: these are the mildest levels at which {limits}."
  return sentence + (f" They last at all levels of {listed(lasting)}." if lasting else "")
