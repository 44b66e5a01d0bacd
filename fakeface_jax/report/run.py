"""What a finished run leaves to look at: its curves, its test images, and the scale of its maps."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # before pyplot: there may be no screen
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from fakeface_jax.data.datasets import choose_splits, open_dataset
from fakeface_jax.data.features import FAKE, LABELS
from fakeface_jax.data.images import decode_image
from fakeface_jax.data.loader import record_name
from fakeface_jax.detector import SCALE_FILE, load
from fakeface_jax.errors import UserError
from fakeface_jax.explain.capture import conv_layers
from fakeface_jax.explain.scale import measure_scale
from fakeface_jax.report.cases import GROUPS, pick_cases
from fakeface_jax.workdir import read_config, write_whole

SCALE_IMAGES = 64


def report_run(workdir):
  """Writes `curves.png`, `examples.png` and `map_scale.json` into a run folder; a finished run keeps what it has."""
  workdir = Path(workdir)
  config = read_config(workdir)
  if not (workdir / SCALE_FILE).exists():
    write_whole(workdir / SCALE_FILE, json.dumps(scale_of_run(workdir, config), indent=2) + "\n")
  save_figure(draw_curves(read_lines(workdir / "metrics.jsonl")), workdir / "curves.png")
  save_figure(draw_examples(workdir, config), workdir / "examples.png")


def read_lines(path):
  """The objects of a JSON-lines file."""
  try:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
  except FileNotFoundError:
    raise UserError(f"{path} is not there; let scripts/train.py finish in that folder first") from None


def save_figure(figure, path):
  figure.savefig(path, dpi=110, bbox_inches="tight")
  plt.close(figure)


def split_of_run(config, use):
  """Records of the split that a run used as 'train', 'val' or 'test'."""
  dataset = open_dataset(config.data.name, path=config.data.path, data_dir=config.data.dir)
  return dataset[choose_splits(config.data, dataset.splits, quiet=True)[use]]


def scale_of_run(workdir, config):
  """What `measure_scale` says of every convolution, over the first validation fakes."""
  detector, source = load(workdir), split_of_run(config, "val")
  fakes = [record for record in map(source.__getitem__, range(len(source))) if record["label"] == FAKE][:SCALE_IMAGES]
  images = [decode_image(record["image"], record_name(record)) for record in fakes]
  return measure_scale(detector.explain(images, layers=conv_layers(detector.model)))


def draw_curves(history):
  """Loss, F1 and learning rate by epoch; the best epoch is marked."""
  epochs = [row["epoch"] for row in history]
  best = min(history, key=lambda row: row["val_loss"])["epoch"]
  figure, (loss, quality, rate) = plt.subplots(1, 3, figsize=(13, 3.6))
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
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
  return figure


def draw_examples(workdir, config, each=8):
  """Test images by group, a row each, with the probability of fake under every one."""
  predictions = read_lines(Path(workdir) / "test_predictions.jsonl")
  source = split_of_run(config, "test")
  labels, probabilities = ([row[key] for row in predictions] for key in ("label", "probability"))
  groups = pick_cases(labels, probabilities, each)
  size = (1.5 * each, 1.8 * len(groups))
  figure, rows = plt.subplots(len(groups), each, figsize=size, squeeze=False, layout="constrained")
  for axes_row, (group, members) in zip(rows, groups.items(), strict=True):
    axes_row[0].text(-0.15, 0.5, GROUPS[group], rotation=90, va="center", ha="center",
                     transform=axes_row[0].transAxes, fontsize=9)
    for column, axes in enumerate(axes_row):
      axes.set_axis_off()
      if column < len(members):
        i = members[column]
        axes.imshow(decode_image(source[i]["image"], predictions[i]["path"]))
        axes.set_title(f"{LABELS[labels[i]]}: {probabilities[i]:.3f}", fontsize=8)
    if not members:
      axes_row[0].text(0.5, 0.5, "none", ha="center", va="center", transform=axes_row[0].transAxes)
  figure.suptitle("Test images: true class and predicted probability of fake", fontsize=11)
  return figure
