"""What verdicts are worth: how often the truth remains, and which pictures a detector says that it does not know."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.commands import check_split_folders
from fakeface_jax.data.datasets import open_dataset
from fakeface_jax.data.reading.images import decode_image, read_image
from fakeface_jax.data.reading.records import decode_record
from fakeface_jax.data.schema import FAKE, LABELS
from fakeface_jax.detector import load
from fakeface_jax.errors import UserError
from fakeface_jax.explain.pooled_features import pooled_layers
from fakeface_jax.progress import in_parts
from fakeface_jax.runs.records import read_predictions
from fakeface_jax.runs.reference import with_reference
from fakeface_jax.verdict.conformal import CONFIDENCE, Calibration, coverage, limit

RESAMPLED = 200  # times that validation and test images are dealt anew
SOME = 100  # pictures that are turned or compressed


def bench_unlike(faces, workdirs):
  """(tables, figures) of runs by pictures; `faces`: folders with train/ and val/, `workdirs`: folders of runs."""
  if not faces or not workdirs:
    raise UserError("--faces and --workdirs are needed: folders with train/ and val/, and folders of runs")
  sets = {}
  for folder in map(Path, faces):
    check_split_folders(folder)
    sets[f"{folder.name}/val"] = [
        read_image(path) for label in LABELS for path in sorted((folder / "val" / label).iterdir())]
  drawn = open_dataset("synthetic_faces")["test"]
  sets["drawn faces"] = [decode_record(drawn[i]) for i in range(len(drawn))]
  some = next(iter(sets.values()))[:SOME]
  sets |= {
      "upside down": [image[::-1] for image in some], "JPEG 30": [_compressed(image) for image in some],
      "noise": list(np.random.default_rng(0).integers(0, 256, (SOME, 256, 256, 3), np.uint8)),
      "black": [np.zeros((256, 256, 3), np.uint8)]}
  sure, unlike = {}, {}
  for workdir in map(Path, workdirs):
    detector = with_reference(load(workdir), workdir)
    rows = read_predictions(workdir)
    said = Calibration(*(np.array([row[key] for row in rows]) for key in ("label", "probability")))
    sure[workdir.name] = _sure(detector.reference.calibration, said)
    unlike[workdir.name] = {
        name: float(np.mean(_distances(detector, images, name) > detector.reference.training.limit))
        for name, images in sets.items()}
  figures = {"coverage": sure, "withheld": unlike}
  return f"{_table_of_coverage(sure)}\n\n{_table_of_withheld(unlike)}", figures


def _compressed(image):
  file = io.BytesIO()
  Image.fromarray(image).save(file, "JPEG", quality=30)
  return decode_image(file.getvalue(), "JPEG 30")


def _distances(detector, images, title):
  parts, size = [], detector.engine.batch_size
  for start in in_parts(len(images), size, title):
    pixels = detector.prepare(images[start : start + size]).pixels
    said = detector.engine.explain(pixels, np.zeros(len(pixels)), {}, pooled=pooled_layers(detector.model))
    parts.append(detector.reference.training.distances_of(said["features"]))
  return np.concatenate(parts)


def _sure(checked, met):
  """Coverage of the test images `met`; with one limit for both classes; and of images dealt anew among the two."""
  labels = np.concatenate([checked.labels, met.labels])
  probabilities = np.concatenate([checked.probabilities, met.probabilities])
  random, resampled = np.random.default_rng(0), []
  for _ in range(RESAMPLED):
    order = random.permutation(len(labels))
    ours, others = order[: len(checked.labels)], order[len(checked.labels) :]
    again = coverage(Calibration(labels[ours], probabilities[ours]), labels[others], probabilities[others])
    resampled.append(again["coverage"][0])
  return {
      **coverage(checked, met.labels, met.probabilities), "one_limit": _with_one_limit(checked, met),
      "resampled": float(np.mean(resampled))}


def _with_one_limit(checked, met):
  """{"coverage", "coverage_real", "coverage_fake", "cannot_tell"} where both classes share a limit."""
  scores = lambda images: np.where(images.labels == FAKE, 1 - images.probabilities, images.probabilities)
  bound = limit(scores(checked), CONFIDENCE)
  kept = scores(met) <= bound
  remaining = (met.probabilities <= bound).astype(int) + (1 - met.probabilities <= bound)
  return {"coverage": float(kept.mean()), "cannot_tell": float(np.mean(remaining != 1))} | {
      f"coverage_{name}": float(kept[met.labels == label].mean()) for label, name in enumerate(LABELS)}


def _table_of_coverage(sure):
  lines = [
      f"How often the truth remains at {CONFIDENCE:.0%} confidence, on each run's test images (95 % interval), %",
      f"{'':12}{'images':>15}{'coverage':>22}{'real':>8}{'fake':>8}{'cannot tell':>13}{'dealt anew':>12}"
      f"{'one limit: all, real, fake, cannot tell':>42}"]
  for name, row in sure.items():
    share = lambda key, row=row: f"{100 * row[key][0]:.1f}"
    value, low, high = (100 * number for number in row["coverage"])
    of_one = ", ".join(
        f"{100 * row['one_limit'][key]:.1f}" for key in ("coverage", "coverage_real", "coverage_fake", "cannot_tell"))
    checked = f"{sum(row['validation'].values())} + {row['n']}"
    lines.append(
        f"{name:12}{checked:>15}{f'{value:.1f} ({low:.1f} to {high:.1f})':>22}{share('coverage_real'):>8}"
        f"{share('coverage_fake'):>8}{share('cannot_tell'):>13}{100 * row['resampled']:>12.1f}{of_one:>42}")
  return "\n".join(lines)


def _table_of_withheld(unlike):
  names = list(next(iter(unlike.values())))
  width = max(map(len, names)) + 2
  lines = ["Share of pictures that are said to be unlike what the detector was trained on, %",
           f"{'trained on':12}" + "".join(f"{name:>{width}}" for name in names)]
  lines += [f"{run:12}" + "".join(f"{100 * row[name]:>{width}.1f}" for name in names) for run, row in unlike.items()]
  return "\n".join(lines)
