"""What a finished run leaves: its best weights as one file, its curves, its test images, the scale of its maps."""

from pathlib import Path

from fakeface_jax.data.reading.records import decode_record
from fakeface_jax.data.schema import LABELS
from fakeface_jax.detector import load
from fakeface_jax.drawing.figure import new_figure, save_figure
from fakeface_jax.drawing.numerals import chance
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.explain.methods import resolve_methods
from fakeface_jax.models import make_model
from fakeface_jax.runs.background import choose_background, keep_background
from fakeface_jax.runs.best_map import find_best_map
from fakeface_jax.runs.cases import GROUPS, pick_cases
from fakeface_jax.runs.map_scale import with_scale
from fakeface_jax.runs.records import read_lines, read_predictions, split_of_run
from fakeface_jax.runs.reference import report_coverage, with_reference
from fakeface_jax.training.best_weights import save_best
from fakeface_jax.workdir import held, read_config


def report_run(workdir):
  """Writes what else a run folder has: best weights, background, scales and best of its maps, what verdicts rest on.

  A finished run keeps what it has.

  Returns: how often the truth remains among what a verdict leaves, on the test images, see `conformal.coverage`.
  Raises: UserError where there is no room for them.
  """
  workdir = Path(workdir)
  try:
    with held(workdir):
      return _write_report(workdir)
  except OSError as error:
    raise UserError(f"{workdir} cannot be written: {of_disk(error)}; the training itself is finished") from error


def _write_report(workdir):
  config = read_config(workdir)
  model = make_model(config.model)
  save_best(workdir, model.shapes)
  detector = load(workdir)
  if detector.background is None:
    keep_background(workdir, choose_background(config, detector))
  with_scale(detector, workdir, resolve_methods(model, layers=model.convolutions))
  find_best_map(workdir, detector)
  detector = with_reference(detector, workdir)
  save_figure(draw_curves(read_lines(workdir / "metrics.jsonl")), workdir / "curves.png", bbox_inches="tight")
  save_figure(draw_examples(workdir, config), workdir / "examples.png", bbox_inches="tight")
  return report_coverage(detector, workdir)


def draw_curves(history):
  """Loss, accuracy and learning rate by epoch; the best epoch is marked."""
  epochs = [row["epoch"] for row in history]
  best = min(history, key=lambda row: row["val_loss"])["epoch"]
  figure = new_figure(figsize=(13, 3.6))
  loss, quality, rate = figure.subplots(1, 3)
  for axes, figure_of, title, limits in (
      (loss, "loss", "loss (cross-entropy)", (0, None)), (quality, "accuracy", "accuracy", (None, 1))):
    for split, label in (("train", "training"), ("val", "validation")):
      axes.plot(epochs, [row[f"{split}_{figure_of}"] for row in history], label=label)
    axes.set(title=title, ylim=limits)
  rate.plot(epochs, [row["learning_rate"] for row in history], drawstyle="steps-mid")
  rate.set(title="learning rate", yscale="log")
  for axes in (loss, quality, rate):
    axes.axvline(best, color="grey", linestyle=":", label=f"best epoch ({best})")
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
  return figure


def draw_examples(workdir, config, each=8):
  """Test images by group, a row each, with what each is and what the network says of it."""
  source = split_of_run(config, "test")
  predictions = read_predictions(workdir, source)
  labels, probabilities = ([row[key] for row in predictions] for key in ("label", "probability"))
  groups = pick_cases(labels, probabilities, each)
  figure = new_figure(figsize=(1.8 * each, 2.2 * len(groups)), layout="constrained")
  rows = figure.subplots(len(groups), each, squeeze=False)
  for axes_row, (group, members) in zip(rows, groups.items(), strict=True):
    axes_row[0].text(-0.15, 0.5, GROUPS[group], rotation=90, va="center", ha="center",
                     transform=axes_row[0].transAxes, fontsize=9)
    for column, axes in enumerate(axes_row):
      axes.set_axis_off()
      if column < len(members):
        i = members[column]
        axes.imshow(decode_record(source[predictions[i]["record"]]))
        axes.set_title(f"is {LABELS[labels[i]]},\nsaid {chance(probabilities[i])} fake", fontsize=9)
    if not members:
      axes_row[0].text(0.5, 0.5, "none", ha="center", va="center", transform=axes_row[0].transAxes)
  figure.suptitle("Test images: what they are, and how probably fake the network calls them", fontsize=11)
  return figure
