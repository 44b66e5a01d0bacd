"""The charts of each part of an audit, each with its gist in words."""

import math
from collections import Counter

from fakeface_jax.drawing.charts import Axis, Line, ceiling, histogram, line_chart, number_axis, share_axis, steps_axis
from fakeface_jax.drawing.numerals import decimal, percent, spoken
from fakeface_jax.evaluation.placement import BASELINES
from fakeface_jax.evaluation.sanity import ALIKE
from fakeface_jax.explain.methods import METHODS

EMPHASISED = 3  # curves of faithfulness in colour; the others are pale


def detection(part):
  """{'roc', 'precision_recall', 'calibration', 'histogram': Markup} of the curves that there are."""
  curves, charts = part["curves"], {}
  scores = part["scores"]
  score = lambda name: decimal(scores.get(name))
  if "roc" in curves:
    roc = curves["roc"]
    charts["roc"] = line_chart(
        "ROC", f"ROC: recall of fakes against false alarms; the area under it is {score('roc_auc')}.",
        [Line("", [(0, 0), (1, 1)], "dashed"),
         Line("", list(zip(roc["false_alarm_rate"], roc["recall"], strict=True)), "s0")],
        share_axis("false alarms, of reals"), share_axis("recall of fakes"))
  if "precision_recall" in curves:
    curve = curves["precision_recall"]
    charts["precision_recall"] = line_chart(
        "Precision and recall", "Precision against recall of fakes; average precision is"
        f" {score('average_precision')}.",
        [Line("", list(zip(curve["recall"], curve["precision"], strict=True)), "s0")],
        share_axis("recall of fakes"), share_axis("precision"))
  bins = [row for row in curves["calibration"] if row["images"]]
  said = "; ".join(f"at {percent(row['confidence'], 0)} {spoken(row['share_fake'])}" for row in bins)
  charts["calibration"] = line_chart(
      "Calibration", f"Share of fakes by the stated probability of fake: {said}.",
      [Line("", [(0, 0), (1, 1)], "dashed"),
       Line("", [(row["confidence"], row["share_fake"][0]) for row in bins], "s0",
            [row["share_fake"][1:] for row in bins])],
      share_axis("stated probability of fake"), share_axis("share that is fake"))
  counts = curves["histogram"]
  half = len(counts["real"]) // 2
  gist = ("Images by probability of fake, in {} steps. From one half on: {} of {} reals, {} of {} fakes.").format(
      len(counts["real"]), sum(counts["real"][half:]), sum(counts["real"]), sum(counts["fake"][half:]),
      sum(counts["fake"]))
  charts["histogram"] = histogram(
      "Probabilities by class", gist, counts["edges"],
      [("real", "neutral", counts["real"]), ("fake", "s0", counts["fake"])], share_axis("probability of fake"),
      "images")
  return charts


def localization(part, order=()):
  """{'energy': the chart of energy by layer, of methods that have several}; empty where none has.

  Args: `order`: the layers as the network runs through them; any that are not among these come last.
  """
  counts = Counter(row["method"] for row in part["maps"] if row["layer"])
  maps = [row for row in part["maps"] if counts[row["method"]] > 1]
  there = dict.fromkeys(row["layer"] for row in maps)
  layers = [layer for layer in dict.fromkeys([*order, *there]) if layer in there]
  if not layers:
    return {}
  titles = list(dict.fromkeys(row["title"] for row in maps))
  baselines = {name: energy_of(stats) for name, stats in part["baselines"].items()}
  ends = (-0.3, len(layers) - 0.7)
  lines = [Line(f"{name} {percent(value)}", [(end, value) for end in ends], f"dashed {name}")
           for name, value in baselines.items() if value is not None]
  gist = []
  for i, title in enumerate(titles):
    found = {row["layer"]: energy_of(row) for row in maps if row["title"] == title}
    lines.append(Line(title, [(layers.index(layer), found[layer]) for layer in layers if layer in found], f"s{i % 6}"))
    values = {layer: value for layer, value in found.items() if value is not None}
    if values:
      best = max(values, key=values.get)
      gist.append(f"{title} at most {percent(values[best])}, at {best}")
  top = ceiling([y for line in lines for _, y in line.points])
  said = ", ".join(f"{BASELINES[name]} {percent(value)}" for name, value in baselines.items())
  return {"energy": line_chart(
      "Energy inside the mask, by layer", f"Energy inside the mask by layer. {'; '.join(gist)}; {said}.", lines,
      steps_axis("", layers), share_axis("energy inside", high=top), size=(860, 400), slanted=True)}


def energy_of(row):
  """A map's mean energy inside the mask; None where it is not known."""
  return row["all"]["energy"][0] if row["all"] and row["all"]["energy"] else None


def faithfulness(part):
  """{'deletion', 'insertion': [a chart for each fill], 'randomisation': [a chart, where the check was made]}."""
  maps = part["maps"]
  own = sorted((row for row in maps if row["method"]), key=_unfaithfulness)
  chosen = {id(row): f"s{i}" for i, row in enumerate(own[:EMPHASISED])}
  dashes = {"centre": "dashed centre", "random patches": "dashed patches"}
  styles = {id(row): chosen.get(id(row), "faint") if row["method"] else dashes.get(row["title"], "dashed")
            for row in maps}
  charts = {"deletion": [], "insertion": []}
  charts["randomisation"] = [] if "reason" in part["sanity"] else [randomisation(part["sanity"])]
  for way, what in (("deletion", "deleted"), ("insertion", "left")):
    for fill, title in part["fills"].items():
      rows = [row for row in maps if row[way] and row[way].get(fill)]
      lines = [Line("" if styles[id(row)] == "faint" else name_of(row),
                    list(zip(part["fractions"], row[way][fill]["curve"], strict=True)), styles[id(row)])
               for row in sorted(rows, key=lambda row: styles[id(row)] != "faint")]
      areas = "; ".join(f"{name_of(row)} {spoken(row[way][fill]['auc'], decimal)}" for row in rows
                        if styles[id(row)] != "faint")
      charts[way].append(line_chart(
          f"{way.capitalize()}, {title}", f"{way.capitalize()} curves, {title}; area under the curve: {areas}.", lines,
          share_axis(f"of the picture {what}"), share_axis("probability of fake")))
  return charts


def randomisation(sanity):
  """The cascading randomisation curves: a chart of rank correlation by what is random, a line for each method."""
  steps, lines, gist = sanity["steps"], [], []
  for i, (name, result) in enumerate(sanity["methods"].items()):
    title = METHODS[name].title if name in METHODS else name
    values = result["rank_correlation"]
    lines.append(Line(title, list(enumerate(values)), f"s{i % 6}{' centre' if i >= 6 else ''}"))  # then with gaps
    gist.append(f"{title} {decimal(values[0])} to {decimal(values[-1])}")
  ends = (-0.3, len(steps) - 0.7)
  lowest = min((y for line in lines for _, y in line.points if y is not None), default=0)
  quarters = range(min(0, math.floor(4 * lowest)), 5)
  lines.insert(0, Line(f"from {ALIKE:g} on: the same", [(end, ALIKE) for end in ends], "dashed"))
  axis = Axis("rank correlation", quarters[0] / 4, 1, [(i / 4, f"{i / 4:g}") for i in quarters])
  return line_chart(
      "Cascading randomisation: what is random, from the head down",
      f"Rank correlation with the trained network's maps, from {steps[0]} random to all random: {'; '.join(gist)}.",
      lines, steps_axis("", steps), axis, size=(860, 360), slanted=True)


def _unfaithfulness(row):
  """Mean area under the deletion curves less that under the insertion curves: the lower, the more faithful."""
  areas = [(sign, result["auc"][0]) for sign, way in ((1, "deletion"), (-1, "insertion"))
           for result in (row[way] or {}).values() if result["auc"][0] is not None]
  return sum(sign * area for sign, area in areas) if areas else float("inf")


def name_of(row):
  """A map's method, and its layer where it has one."""
  return f"{row['title']}, {row['layer']}" if row["layer"] else row["title"]


def robustness(part):
  """{'corruptions': [a chart for each]} of the macro F1 and the share of flipped verdicts by level."""
  clean = (part["clean"]["f1_macro"] or [None])[0]
  charts = []
  for corruption in part["corruptions"]:
    levels = corruption["levels"]
    measured = lambda name, levels=levels: [level[name] or (None, None, None) for level in levels]
    column = lambda name, measured=measured: [(i, value) for i, (value, *_) in enumerate(measured(name))]
    bounds = lambda name, measured=measured: [interval[1:] for interval in measured(name)]
    lines = [Line("F1, both classes", column("f1_macro"), "s0", bounds("f1_macro")),
             Line("verdicts flipped", column("flipped"), "s1", bounds("flipped"))]
    if clean is not None:
      lines.insert(0, Line("F1 as it was", [(-0.3, clean), (len(levels) - 0.7, clean)], "dashed"))
    gist = "; ".join(f"at {level['level']:g} F1 {spoken(level['f1_macro'], decimal)},"
                     f" {spoken(level['flipped'])} flipped" for level in levels)
    charts.append(line_chart(
        corruption["title"], f"{corruption['title']}: F1 untouched {decimal(clean)}; {gist}.", lines,
        steps_axis(corruption["unit"], [f"{level['level']:g}" for level in levels]), number_axis(""), size=(340, 250)))
  return {"corruptions": charts}
