"""What a finished run leaves: its best weights as one file, its curves, its test images, the scale of its maps."""

from pathlib import Path

import numpy as np

from fakeface_jax.best_weights import save_best
from fakeface_jax.data.features import FAKE, LABELS, REAL
from fakeface_jax.data.images import decode_image
from fakeface_jax.detector import load
from fakeface_jax.errors import UserError
from fakeface_jax.explain.capture import conv_layers
from fakeface_jax.explain.methods import resolve_methods
from fakeface_jax.models import abstract_variables, make_model
from fakeface_jax.report.cases import GROUPS, pick_cases
from fakeface_jax.report.figure import new_figure, save_figure
from fakeface_jax.report.map_scale import with_scale
from fakeface_jax.report.run_data import first_images, read_lines, split_of_run
from fakeface_jax.workdir import BACKGROUND_FILE, read_config

BACKGROUND_IMAGES = 32


def report_run(workdir):
  """Writes what else a run folder has: best weights, background images, `map_scale.json`, and two figures.

  A finished run keeps what it has.

  Raises: UserError where there is no room for them.
  """
  workdir = Path(workdir)
  try:
    _write_report(workdir)
  except OSError as error:
    raise UserError(
        f"{workdir} cannot be written: {error}; make room there and give the same command again: the training itself is"
        " finished") from error


def _write_report(workdir):
  config = read_config(workdir)
  model = make_model(config.model)
  save_best(workdir, abstract_variables(model, config.data.crop))
  detector = load(workdir)
  if not (workdir / BACKGROUND_FILE).exists():
    np.savez_compressed(workdir / BACKGROUND_FILE, images=choose_background(config, detector))
  with_scale(detector, workdir, resolve_methods(model, layers=conv_layers(model)))
  save_figure(draw_curves(read_lines(workdir / "metrics.jsonl")), workdir / "curves.png", bbox_inches="tight")
  save_figure(draw_examples(workdir, config), workdir / "examples.png", bbox_inches="tight")


def choose_background(config, detector):
  """uint8[K, crop, crop, 3]: validation images of both classes by turns, as the network sees them."""
  source = split_of_run(config, "val")
  classes = [detector.prepare(first_images(source, BACKGROUND_IMAGES // 2, label)) for label in (REAL, FAKE)]
  return np.stack([image for pair in zip(*classes, strict=False) for image in pair])


def draw_curves(history):
  """Loss, F1 and learning rate by epoch; the best epoch is marked."""
  epochs = [row["epoch"] for row in history]
  best = min(history, key=lambda row: row["val_loss"])["epoch"]
  figure = new_figure(figsize=(13, 3.6))
  loss, quality, rate = figure.subplots(1, 3)
  loss.plot(epochs, [row["train_loss"] for row in history], label="training")
  loss.plot(epochs, [row["val_loss"] for row in history], label="validation")
  loss.set(title="loss (cross-entropy)", ylim=(0, None))
  quality.plot(epochs, [row["train_accuracy"] for row in history], label="training accuracy")
  quality.plot(epochs, [row["val_f1_macro"] for row in history], label="validation macro F1")
  quality.set(title="quality", ylim=(None, 1))
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
  """Test images by group, a row each, with the probability of fake under every one."""
  predictions = read_lines(Path(workdir) / "test_predictions.jsonl")
  source = split_of_run(config, "test")
  labels, probabilities = ([row[key] for row in predictions] for key in ("label", "probability"))
  groups = pick_cases(labels, probabilities, each)
  figure = new_figure(figsize=(1.5 * each, 1.8 * len(groups)), layout="constrained")
  rows = figure.subplots(len(groups), each, squeeze=False)
  for axes_row, (group, members) in zip(rows, groups.items(), strict=True):
    axes_row[0].text(-0.15, 0.5, GROUPS[group], rotation=90, va="center", ha="center",
                     transform=axes_row[0].transAxes, fontsize=9)
    for column, axes in enumerate(axes_row):
      axes.set_axis_off()
      if column < len(members):
        i = members[column]
        axes.imshow(decode_image(source[predictions[i]["record"]]["image"], predictions[i]["path"]))
        axes.set_title(f"{LABELS[labels[i]]}: {probabilities[i]:.3f}", fontsize=8)
    if not members:
      axes_row[0].text(0.5, 0.5, "none", ha="center", va="center", transform=axes_row[0].transAxes)
  figure.suptitle("Test images: true class and predicted probability of fake", fontsize=11)
  return figure
