"""Explaining many images into a folder: panels, raw maps, and a line of `predictions.jsonl` for each."""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fakeface_jax.data.features import LABELS, THRESHOLD
from fakeface_jax.data.images import decode_image, find_images, read_image
from fakeface_jax.data.loader import record_name
from fakeface_jax.errors import UserError
from fakeface_jax.explain.engine import last_conv_layers
from fakeface_jax.explain.scale import flatten_maps, measure_scale
from fakeface_jax.report.cases import pick_cases
from fakeface_jax.report.panel import CALIBRATED, draw_panel
from fakeface_jax.report.run import read_lines, split_of_run
from fakeface_jax.workdir import read_config


@dataclasses.dataclass(frozen=True)
class Item:
  """An image to explain.

  Attributes:
    name: its path, for people.
    stem: of its files in the output folder, unique there.
    read: returns uint8[H, W, 3], or raises UserError.
  """

  name: str
  stem: str
  read: Callable


def items_of_files(paths):
  """Items of image files and of all images in folders; what is missing or empty becomes an item that cannot be read."""
  files, problems = find_images(paths)
  items = [
      Item(str(path), stem, partial(read_image, path)) for path, stem in zip(files, unique_stems(files), strict=True)]
  return items + [Item(str(path), Path(path).stem, partial(_refuse, reason)) for path, reason in problems]


def _refuse(reason):
  raise UserError(reason)


def items_of_run(workdir, each):
  """Test images of a run, up to `each` of every outcome of `report.cases`, named after it."""
  config = read_config(workdir)
  predictions = read_lines(Path(workdir) / "test_predictions.jsonl")
  labels, probabilities = ([row[key] for row in predictions] for key in ("label", "probability"))
  source = split_of_run(config, "test")
  items, taken = [], set()
  for group, members in pick_cases(labels, probabilities, each).items():
    for rank, i in enumerate(member for member in members if member not in taken):
      taken.add(i)
      items.append(Item(predictions[i]["path"], f"{group}_{rank + 1}", partial(_read_record, source, i)))
  return items


def _read_record(source, i):
  return decode_image(source[i]["image"], record_name(source[i]))


def unique_stems(paths):
  """A file stem for each path; where two would be the same, the folder's name goes before, then a number after."""
  stems = [Path(path).stem for path in paths]
  stems = [f"{Path(path).parent.name}_{stem}" if stems.count(stem) > 1 else stem
           for path, stem in zip(paths, stems, strict=True)]
  seen = {}
  for i, stem in enumerate(stems):
    seen[stem] = seen.get(stem, 0) + 1
    stems[i] = stem if seen[stem] == 1 else f"{stem}_{seen[stem]}"
  return stems


def explain_items(detector, items, out, *, target="fake", layers=None):
  """Explains items batch by batch; one that cannot be read is noted and the rest goes on.

  Args:
    detector: a `Detector`.
    items: list of `Item`.
    out: folder for `<stem>.png`, `<stem>.npz` and `predictions.jsonl`.
    target, layers: as `Detector.explain` takes them.
  Returns: the list of (name, reason) of items that failed.
  """
  out, failures = Path(out), []
  try:
    out.mkdir(parents=True, exist_ok=True)
    with (out / "predictions.jsonl").open("w") as predictions, tqdm(total=len(items), unit="img", disable=None) as bar:
      for start in range(0, len(items), detector.batch_size):
        chunk, images = [], []
        for item in items[start : start + detector.batch_size]:
          try:
            images.append(item.read())
            chunk.append(item)
          except UserError as error:
            failures.append((item.name, str(error)))
            predictions.write(json.dumps({"path": item.name, "error": str(error)}) + "\n")
        results = detector.explain(images, target, layers) if images else []
        scale, note = _scale(detector, results)
        for item, result in zip(chunk, results, strict=True):
          predictions.write(json.dumps(_write(result, item, out, scale, note)) + "\n")
        predictions.flush()
        bar.update(len(items[start : start + detector.batch_size]))
  except OSError as error:
    raise UserError(f"--out {out} cannot be written: {error}; choose a folder with room to write to") from error
  return failures


def _scale(detector, results):
  """The scale of these results' maps, and what it means; what the run has not measured is measured on this batch."""
  if not results:
    return {}, ""
  known = dict(detector.map_scale or {})
  if list(results[0]["gradcam"])[-1] != last_conv_layers(detector.model, 1)[0]:
    known.pop("guided_gradcam", None)  # that of another layer
  missing = [name for name in flatten_maps(results[0]) if name not in known]
  if not missing:
    return known, CALIBRATED
  note = f"{CALIBRATED}; of {', '.join(missing)}: in the strongest of these {len(results)} images"
  return measure_scale(results) | known, note if known else f"the strongest of these {len(results)} images"


def _write(result, item, out, scale, note):
  panel, maps = out / f"{item.stem}.png", out / f"{item.stem}.npz"
  draw_panel(result, item.name, scale, note).save(panel)
  np.savez(
      maps, image=result["image"], logits=result["logits"], probability=np.float32(result["probability"]),
      **flatten_maps(result))
  return {
      "path": item.name,
      "verdict": LABELS[int(result["probability"] >= THRESHOLD)],
      "probability": result["probability"],
      "target": LABELS[result["target"]],
      "panel": panel.name,
      "maps": maps.name,
  }
