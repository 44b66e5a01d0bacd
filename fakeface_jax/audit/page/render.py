"""The report of an audit as one HTML file that asks nobody for anything: pictures, styles and script are within."""

import base64
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from fakeface_jax.audit.page import charts as audit_charts
from fakeface_jax.audit.page.charts import energy_of, name_of
from fakeface_jax.drawing import numerals
from fakeface_jax.drawing.charts import whisker
from fakeface_jax.evaluation.placement import BASELINES
from fakeface_jax.explain.methods import METHODS

SHARES = ("energy", "pointing", "rank_accuracy")  # measures of localisation written as shares
SCORES = {  # of `evaluation.scores.scores`: title, and how it is written
    "f1_macro": ("F1, both classes", numerals.decimal), "f1_real": ("F1, real", numerals.decimal),
    "f1_fake": ("F1, fake", numerals.decimal), "roc_auc": ("ROC AUC", numerals.decimal),
    "average_precision": ("average precision", numerals.decimal), "accuracy": ("accuracy", numerals.percent),
    "recall_fake": ("recall of fakes", numerals.percent), "recall_real": ("recall of reals", numerals.percent),
    "precision_fake": ("precision, fake", numerals.percent), "precision_real": ("precision, real", numerals.percent),
    "eer": ("equal error rate", numerals.percent), "ece": ("calibration error", numerals.percent),
}
PARTS = {"localization": "Localisation", "detection": "Detection", "faithfulness": "Faithfulness",
         "robustness": "Robustness"}
GROUPINGS = {"regions": "Manipulated region", "difficulty": "Difficulty", "size": "Changed share of the picture",
             "source": "Source"}
USUAL_ALARMS = 0.05  # the share of false alarms whose threshold is among the key figures


def render_page(audit: dict, folder, layers=()) -> str:
  """The report as HTML.

  Args:
    audit: what `audit.json` holds. Every section, thresholds, conformal, the best map, parts of the face and the sanity
      check may instead be {"reason": why it is not there}, and every figure None.
    folder: where the pictures lie that `audit["cases"]["items"]` names. One that is not there is said in its place.
    layers: the network's, in the order in which it runs through them; without them they stand as they come.
  Returns: the text of a page without any outside request.
  """
  audit = numerals.finite(audit)
  templates = _templates()
  text = lambda name: Markup(templates.loader.get_source(templates, name)[0])  # our own files, not to be escaped
  known_energy = lambda row: -1 if energy_of(row) is None else energy_of(row)
  by_energy = sorted(audit["localization"].get("maps", ()), key=known_energy, reverse=True)
  makers: dict[str, Any] = {
      "detection": audit_charts.detection, "localization": partial(audit_charts.localization, order=layers),
      "faithfulness": audit_charts.faithfulness, "robustness": audit_charts.robustness}
  scores = audit["detection"].get("scores")
  score_rows = [  # title, [v, low, high], how it is written, why it is None
      (title, _score(scores, name), written, scores["reasons"].get(name, ""))
      for name, (title, written) in SCORES.items()] if scores else []
  best_layers = {}
  for row in by_energy:
    best_layers.setdefault(row["method"], row)
  return templates.get_template("report.html.j2").render(
      **audit, style=text("style.css"), script=text("page.js"),
      verdicts=[(title, audit[key]) for key, title in PARTS.items()], key_figures=_key_figures(audit),
      charts={part: {} if missing(audit[part]) else make(audit[part]) for part, make in makers.items()},
      score_rows=score_rows,
      groupings=_groupings(audit["detection"]), by_energy=by_energy, by_best_layer=list(best_layers.values()),
      emphasised=audit_charts.EMPHASISED, method_titles={name: method.title for name, method in METHODS.items()},
      case_groups=_case_groups(audit["cases"]), case_filters=_case_filters(audit["cases"]), absences=_absences(audit),
      picture=lambda name: _data_uri(Path(folder) / name))


def _templates():
  templates = jinja2.Environment(
      loader=jinja2.PackageLoader("fakeface_jax.audit.page"), autoescape=True, undefined=jinja2.StrictUndefined,
      trim_blocks=True, lstrip_blocks=True)
  templates.globals |= {
      "percent": numerals.percent, "chance": numerals.chance, "decimal": numerals.decimal, "signed": numerals.signed,
      "signed_decimal": numerals.signed_decimal, "between": numerals.between, "measured": numerals.measured,
      "whisker": whisker, "trial": _trial, "baseline_names": BASELINES,
      # a path or a layer that may be broken after its slashes; '' for None
      "breakable": lambda path: Markup("/<wbr>").join((path or "").split("/")),
      "written": lambda measure: numerals.percent if measure in SHARES else numerals.decimal,
      "written_difference": lambda measure: numerals.signed if measure in SHARES else numerals.signed_decimal}
  templates.tests["missing"] = missing
  return templates


def missing(part):
  """Whether a part of an audit is not there, and says why."""
  return isinstance(part, dict) and "reason" in part


def _trial(row):
  """How a map did in the trials that let it be the best, and which it failed."""
  if not row["trials"]:
    return numerals.NONE
  weights, gain = row["trials"]["depends_on_weights"], row["trials"]["deletion"][1]
  failed = ["weights"] * (weights is False) + ["removal"] * (gain is not None and gain <= 0)
  return f"failed: {' and '.join(failed)}" if failed else "passed"


def _data_uri(path):
  """A JPEG or PNG picture as a data URI; None where it cannot be read."""
  try:
    data = path.read_bytes()
  except OSError:
    return None
  kind = "png" if path.suffix.lower() == ".png" else "jpeg"
  return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _score(scores, name):
  """A score as [v, low, high]."""
  return [scores[name], *(scores["intervals"].get(name) or (None, None))]


def _key_figures(audit):
  """(title, the figure as HTML, what it stands beside) for the row at the top."""
  figures = []
  detection, localization = audit["detection"], audit["localization"]
  if not missing(detection):
    for name in ("f1_macro", "roc_auc"):
      title, written = SCORES[name]
      reason = detection["scores"]["reasons"].get(name, "")
      figures.append((title, numerals.measured(_score(detection["scores"], name), written, reason), ""))
    if not missing(detection["thresholds"]) and detection["thresholds"]:
      usual = min(detection["thresholds"], key=lambda row: abs(row["wanted"] - USUAL_ALARMS))
      figures.append((
          f"recall of fakes at {numerals.percent(usual['wanted'], 0)} false alarms", numerals.measured(usual["recall"]),
          f"{numerals.spoken(usual['false_alarm_rate'])} false alarms on this data"))
  if not missing(localization) and not missing(localization["best"]):
    best = localization["best"]
    figures.append((
        f"energy inside the mask, {name_of(best)}", numerals.measured(best["energy"]),
        ", ".join(f"{name} {numerals.percent(best[name])}" for name in localization["baselines"])))
  return figures


def _groupings(detection):
  """(title, rows sorted worst first, a sentence on the worst) for each grouping of the fakes that there is."""
  if missing(detection):
    return []
  groupings = []
  for key, title in GROUPINGS.items():
    rows = detection["groups"][key]
    if not rows:
      continue
    rows = sorted(rows, key=lambda row: (_value(row["recall"]) is None, _value(row["recall"])))
    worst, sentence = rows[0], ""
    if len(rows) > 1 and _value(worst["recall"]) is not None:
      name = worst["name"].replace("_", " ")
      sentence = (f"By {title.lower()}, most often missed: {name}, where {worst['caught']} of {worst['images']} fakes"
                  f" were caught, {numerals.spoken(worst['recall'])}.")
    groupings.append((title, rows, sentence))
  return groupings


def _value(interval):
  return interval[0] if interval else None


def _case_groups(cases):
  """(key, title, how many images of the test set, items) of each group that has items, in the audit's order."""
  if missing(cases):
    return []
  return [(key, group["title"], group["images"], items) for key, group in cases["groups"].items()
          if (items := [item for item in cases["items"] if item["group"] == key])]


def _case_filters(cases):
  """(key, title, [(value, name)]) of everything by which cases can be chosen and differ."""
  if missing(cases):
    return []
  there = lambda values: [(value, value.replace("_", " ")) for value in dict.fromkeys(values) if value]
  column = lambda key: [item[key] for item in cases["items"]]
  choices = [
      ("group", "group", [(key, title) for key, title, *_ in _case_groups(cases)]),
      ("label", "label", there(column("label"))), ("verdict", "verdict", there(column("verdict"))),
      ("regions", "region", there(sorted(name for names in column("regions") for name in names))),
      ("difficulty", "difficulty", there(sorted(value or "" for value in column("difficulty"))))]
  return [choice for choice in choices if len(choice[2]) > 1]


def _absences(part, title=""):
  """(which part, why it is not there) of every part of the audit that is missing, however deep."""
  if missing(part):
    return [(title, part["reason"])]
  if not isinstance(part, dict):
    return []
  return [absence for key, value in part.items() for absence in _absences(value, title or PARTS.get(key, key))]
