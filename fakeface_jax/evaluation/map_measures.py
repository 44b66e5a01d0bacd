"""What reviewers of explanations ask for beside deletion and insertion, put together: figures, and a few sentences."""

import numpy as np

from fakeface_jax.evaluation.faithfulness import CENTRE, RANDOM
from fakeface_jax.evaluation.intervals import mean_interval
from fakeface_jax.evaluation.localization import FEW, name_of
from fakeface_jax.evaluation.sensitivity import RADIUS

MEASURES = {
    "infidelity": "infidelity, unexplained share", "road": "ROAD, area under deletion",
    "max_sensitivity": "max-sensitivity", "sparseness": "sparseness (Gini index)",
}

UNSTEADY = 0.5  # of itself: a map that changes by more is another map


def map_measures(per_map, images):
  """Means over the images with 95 % intervals, and what they come to; ready for JSON.

  Args:
    per_map: [{"method", "title", "layer", measure: float64[images] or None}]: a measure is None where it was not taken
      of a map, and NaN for an image of which it cannot be. The method is None for `faithfulness.baseline_maps`.
    images: how many.
  Returns: {"verdict", "images", "measures": {measure: title}, "maps": [{"method", "title", "layer", measure: [mean,
    low, high], Nones where it was not taken}]}.
  """
  maps = []
  for one in per_map:
    row = {key: one[key] for key in ("method", "title", "layer")}
    for measure in MEASURES:
      values = np.asarray([] if one[measure] is None else one[measure], np.float64)
      row[measure] = mean_interval(values[np.isfinite(values)])
    maps.append(row)
  return {"verdict": _verdict(maps, images), "images": images, "measures": dict(MEASURES), "maps": maps}


def _verdict(maps, images):
  """The best of each measure, in sentences; that of random patches and of the centre beside it."""
  own = [row for row in maps if row["method"]]
  if images < FEW or not own:
    return f"Measured on {images} caught fakes, too few to compare maps."
  mean = lambda row, measure: row[measure][0]
  known = lambda measure: [row for row in own if mean(row, measure) is not None]
  beside = {row["title"]: row for row in maps if not row["method"] and row["title"] in (RANDOM[1], CENTRE)}
  compared = lambda measure, write: " and ".join(
      f"{write(mean(row, measure))} of {'a blob in the middle' if title == CENTRE else title}"
      for title, row in beside.items())
  percent, number = (lambda value: f"{100 * value:.0f} %"), (lambda value: f"{value:.2f}")
  lowest = lambda measure: min(known(measure), key=lambda row: mean(row, measure))
  least, fastest = lowest("infidelity"), lowest("road")
  sentences = [
      f"What {name_of(least)} holds in a square of the picture tells the most of what that is worth to the network:"
      f" {percent(mean(least, 'infidelity'))} of it stays unexplained (beside {compared('infidelity', percent)}).",
      f"With removed pixels imputed as ROAD does it, the map whose removal lowers the probability of fake fastest is"
      f" {name_of(fastest)}: {number(mean(fastest, 'road'))} on average (beside {compared('road', number)})."]
  steady = sorted(known("max_sensitivity"), key=lambda row: mean(row, "max_sensitivity"))
  if len(steady) > 1:
    sentences.append(
        f"Under noise of {RADIUS} grey levels, which nobody sees, {name_of(steady[0])} changes least, at worst by"
        f" {percent(mean(steady[0], 'max_sensitivity'))} of itself, and {name_of(steady[-1])} most, by"
        f" {percent(mean(steady[-1], 'max_sensitivity'))}.")
    if mean(steady[0], "max_sensitivity") > UNSTEADY:
      sentences.append("None is steady: the evidence is of the kind that such noise hides.")
  return " ".join(sentences)
