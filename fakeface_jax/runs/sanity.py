"""The sanity check of a run's methods: as JSON, as a figure, and as sentences for whoever looks at a panel."""

import json
from pathlib import Path

import numpy as np

from fakeface_jax.drawing.figure import new_figure, save_figure
from fakeface_jax.drawing.panel import Trust
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.sanity import ALIKE
from fakeface_jax.explain.methods import METHODS
from fakeface_jax.lines import listed
from fakeface_jax.progress import with_progress
from fakeface_jax.workdir import SANITY_FILE, read_json, write_output

# What Adebayo et al. (2018, figures 2 and 4) found, for runs that were not checked themselves.
KNOWN_TO_FAIL = ("guided_backprop", "guided_gradcam")
FAILS = (
    "{methods}: {why} So {it} what stands out in the photograph rather than the reasons for the verdict: do not take"
    " {them} for the place of a forgery.")
MEASURES = {"rank_correlation": "rank correlation", "ssim": "SSIM"}
LABEL_GAP = 0.085  # between two labels, on an axis from -1 to 1
PASSES = "Replacing the network's weights by random numbers changed the pictures of {methods}, as it should."


def check_run(detector, items, workdir, *, target, faces="none", methods=None, layers=None):
  """Runs `sanity` on items; writes `sanity.json` and `sanity.png` into the run's folder and prints a table.

  Returns: the list of (name, reason) of items that could not be read.
  """
  from fakeface_jax.evaluation.sanity import sanity

  images, failures = [], []
  for item in items:
    try:
      found = [face.pixels for face in detector.faces(item.read(), faces)]
      images += found
      failures += [] if found else [(item.name, "no face was found in it")]
    except UserError as error:
      failures.append((item.name, str(error)))
  if not images:
    raise UserError(f"none of the {len(items)} images could be read: {failures[0][1]}")
  result = sanity(
      detector, detector.prepare(images), methods, layers, target,
      progress=lambda steps: with_progress(steps, "randomising", unit="layers"))
  path = Path(workdir) / SANITY_FILE
  write_output(path, json.dumps(result, indent=2) + "\n")
  _draw(result, path.with_suffix(".png"))
  print(table(result))
  print(f"written to {path} and {path.with_suffix('.png')}; panels drawn from now on say it")
  return failures


def table(result):
  """The result of `sanity` as text."""
  lines = [f"{'method':<26}{'same when random':>17}  verdict", "-" * 70]
  for name, scores in result["methods"].items():
    verdict = "depends on the weights"
    if not scores["depends_on_weights"]:
      own = scores["same_when_random"] >= ALIKE
      verdict = f"FAILS: {'hardly depends on the weights' if own else 'its outlines are those of guided backprop'}"
    lines.append(f"{METHODS[name].title:<26}{scores['same_when_random']:>17.2f}  {verdict}")
  lines.append(
      f"mean rank correlation of {result['images']} images' maps with those of the trained network, once the last stage"
      " and more are random; 1: the same picture, 0: nothing in common")
  return "\n".join(lines)


def trust_of_run(workdir, settings):
  """The `Trust` in these methods, {name: settings}, from the run's own check or else the paper's."""
  is_check = lambda found: all(isinstance(scores["depends_on_weights"], bool) for scores in found["methods"].values())
  found = read_json(
      Path(workdir) / SANITY_FILE, is_check, "what is known of other networks is said; scripts/explain.py --sanity"
      " checks this one again")
  measured = {name: scores["depends_on_weights"] for name, scores in found["methods"].items()} if found else {}
  return trust(measured, settings)


def trust(measured, names):
  """As `trust_of_run`; `measured` is {name: whether it depends on the weights} of the methods that were checked."""
  failing = [name for name in names if measured.get(name) is False]
  known = [name for name in names if name not in measured and name in KNOWN_TO_FAIL]
  passing = [name for name in names if measured.get(name)]
  titles = lambda names: listed([METHODS[name].title for name in names])
  lines = []
  for group, why in (
      (failing, "this network draws nearly the same with random numbers in place of its weights."),
      (known, "networks with random weights draw much the same picture (Adebayo et al., 2018).")):
    if group:
      it, them = ("they show", "them") if len(group) > 1 else ("it shows", "it")
      methods = titles(group)
      lines.append(FAILS.format(methods=methods[0].upper() + methods[1:], why=why, it=it, them=them))
  lines += [PASSES.format(methods=titles(passing))] if passing else []
  return Trust(tuple(lines), tuple(failing + known))


def _draw(result, path):
  titles = {True: "change with the weights, as they should", False: "FAIL: hardly change with the weights"}
  groups = {title: [name for name, scores in result["methods"].items() if scores["depends_on_weights"] == depends]
            for depends, title in titles.items()}
  groups = {title: names for title, names in groups.items() if names}
  steps = ["trained", *result["steps"]]
  figure = new_figure(figsize=(14, 1 + 4.6 * len(groups)), layout="constrained")
  rows = figure.subplots(len(groups), 2, sharex=True, sharey=True, squeeze=False)
  for axes_row, (title, names) in zip(rows, groups.items(), strict=True):
    for axes, (measure, of) in zip(axes_row, MEASURES.items(), strict=True):
      lines = {METHODS[name].title: [1, *result["methods"][name][measure]] for name in names}
      drawn = [axes.plot(values)[0] for values in lines.values()]
      places = spread([values[-1] for values in lines.values()], LABEL_GAP)
      for line, (label, values), place in zip(drawn, lines.items(), places, strict=True):
        axes.annotate(
            label, (len(steps) - 1, values[-1]), (len(steps) - 0.5, place), fontsize=8, va="center",
            color=line.get_color(), arrowprops={"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.6})
      axes.set(title=f"{title}\n{of} with the trained network's maps", ylim=(-1, 1.1), xlim=(-0.2, len(steps) - 0.8))
      axes.set_xticks(range(len(steps)), steps, rotation=60, ha="right", fontsize=8)
      axes.grid(alpha=0.3)
  for axes in rows[-1]:
    axes.set_xlabel("random from the head down to")
  save_figure(figure, path)


def spread(values, gap):
  """Places for labels: in the order of the values, each near its own, no two closer than `gap`."""
  from sklearn.isotonic import isotonic_regression  # slow to import

  order, gaps = np.argsort(values, kind="stable"), gap * np.arange(len(values))
  places = isotonic_regression(np.take(values, order) - gaps) + gaps
  return places[np.argsort(order)].tolist()
