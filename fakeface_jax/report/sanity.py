"""The sanity check of a run's methods: as JSON, as a figure, and as sentences for whoever looks at a panel."""

import json
from pathlib import Path

from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.sanity import ALIKE
from fakeface_jax.explain.methods import METHODS
from fakeface_jax.progress import with_progress
from fakeface_jax.report.figure import new_figure, save_figure
from fakeface_jax.workdir import SANITY_FILE, write_output

# What Adebayo et al. (2018, figures 2 and 4) found, for runs that were not checked themselves.
KNOWN_TO_FAIL = ("guided_backprop", "guided_gradcam")
FAILS = (
    "{methods}: {why} So {it} what stands out in the photograph rather than the reasons for the verdict: do not take"
    " {them} for the place of a forgery.")
PASSES = "Replacing the network's weights by random numbers changed the pictures of {methods}, as it should."


def check_run(detector, items, workdir, *, methods, layers, target):
  """Runs `sanity` on items; writes `sanity.json` and `sanity.png` into the run's folder and prints a table.

  Returns: the list of (name, reason) of items that could not be read.
  """
  from fakeface_jax.evaluation.sanity import sanity

  images, failures = [], []
  for item in items:
    try:
      images.append(item.read())
    except UserError as error:
      failures.append((item.name, str(error)))
  if not images:
    raise UserError(f"none of the {len(items)} images could be read: {failures[0][1]}")
  result = sanity(
      detector, images, methods, layers, target,
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


def sentences_of_run(workdir, settings):
  """What a layman should know of these methods, {name: settings}, from the run's own check or else the paper's."""
  path, measured = Path(workdir) / SANITY_FILE, {}
  if path.exists():
    try:
      methods = json.loads(path.read_text())["methods"]
      measured = {name: scores["depends_on_weights"] for name, scores in methods.items()}
    except (ValueError, KeyError, TypeError, OSError) as error:
      raise UserError(f"{path}: cannot be read ({error}); run scripts/explain.py --sanity again") from error
  return sentences(measured, settings)


def sentences(measured, names):
  """As `sentences_of_run`; `measured` is {name: whether it depends on the weights} of the methods that were checked."""
  failing = [name for name in names if measured.get(name) is False]
  known = [name for name in names if name not in measured and name in KNOWN_TO_FAIL]
  passing = [name for name in names if measured.get(name)]
  lines = []
  if failing:
    lines.append(_failing(failing, "this network draws nearly the same with random numbers in place of its weights."))
  if known:
    lines.append(_failing(known, "networks with random weights draw much the same picture (Adebayo et al., 2018)."))
  if passing:
    lines.append(PASSES.format(methods=_titles(passing)))
  return lines


def _failing(names, why):
  it, them = ("they show", "them") if len(names) > 1 else ("it shows", "it")
  titles = _titles(names)
  return FAILS.format(methods=titles[0].upper() + titles[1:], why=why, it=it, them=them)


def _titles(names):
  titles = [METHODS[name].title for name in names]
  return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _draw(result, path):
  figure = new_figure(figsize=(13, 4.6), layout="constrained")
  axes = figure.subplots(1, 2, sharey=True)
  for panel, (measure, title) in zip(axes, (("rank_correlation", "rank correlation"), ("ssim", "SSIM")), strict=True):
    for i, (name, scores) in enumerate(result["methods"].items()):
      style = ("-", "--", ":")[i // 10 % 3] if scores["depends_on_weights"] else "-"
      panel.plot([1, *scores[measure]], style, marker=None if scores["depends_on_weights"] else "o", markersize=4,
                 label=METHODS[name].title + ("" if scores["depends_on_weights"] else " (fails)"))
    names = ["trained", *result["steps"]]
    panel.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    panel.set(title=f"{title} with the trained network's maps", xlabel="random from the head down to", ylim=(-0.3, 1.1))
    panel.grid(alpha=0.3)
  figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=9)
  save_figure(figure, path)
