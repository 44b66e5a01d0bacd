"""Explaining many images into a folder: panels, raw maps, and a line of `predictions.jsonl` for each.

While a batch is computed, the next one is read and the last one drawn; no more than that is held in memory. A command
that was interrupted goes on where it stopped when it is given again.
"""

import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from fakeface_jax.data.features import LABELS, THRESHOLD
from fakeface_jax.detector import flatten_maps
from fakeface_jax.errors import UserError
from fakeface_jax.explain.methods import ARTICLE, CHANNELS, METHODS, resolve_methods
from fakeface_jax.explain.scale import measure_scale, missing_from
from fakeface_jax.progress import Bar
from fakeface_jax.report.feature_grid import draw_feature_grid
from fakeface_jax.report.panel import CALIBRATED, draw_panel
from fakeface_jax.workdir import write_whole

STATE_FILE = "explain.json"
THREADS = 2


def explain_items(detector, items, out, *, target="fake", layers=None, methods=ARTICLE, check=()):
  """Explains items batch by batch; one that cannot be read is noted and the rest goes on.

  Args:
    detector: a `Detector`.
    items: list of `Item`.
    out: folder for `<stem>.png`, `<stem>.npz`, `predictions.jsonl`, and `explain.json`, which says how they were made.
    target, layers, methods: as `Detector.explain` takes them.
    check: sentences on which methods to trust, for the panels.
  Returns: the list of (name, reason) of items that failed.
  """
  out = Path(out)
  try:
    out.mkdir(parents=True, exist_ok=True)
    return _Explanations(detector, items, out, target, layers, methods, check).run()
  except OSError as error:
    raise UserError(f"--out {out} cannot be written: {error}; choose a folder with room to write to") from error


class _Explanations:

  def __init__(self, detector, items, out, target, layers, methods, check):
    self.detector, self.items, self.out, self.check = detector, items, out, check
    self.asked = {"target": target, "layers": layers, "methods": methods}
    self.methods = resolve_methods(detector.model, methods, layers)
    settings = {
        "target": target, "methods": self.methods, "dtype": np.dtype(detector.model.dtype).name,
        "weights": checksum(detector.variables), "background": checksum(detector.background)}
    self.settings = json.loads(json.dumps(settings))
    self.failures = []

  def run(self):
    done = self._start()
    todo = [item for item in self.items if item.name not in done]
    size = self.detector.engine.batch_size
    batches = [todo[i : i + size] for i in range(0, len(todo), size)]
    bar = Bar("explaining", len(self.items), done=len(done))
    readers, writers = ThreadPoolExecutor(THREADS), ThreadPoolExecutor(THREADS)
    with readers, writers, bar, (self.out / "predictions.jsonl").open("a") as self.predictions:
      reading = [[readers.submit(self._read, item) for item in batch] for batch in batches[:1]]
      drawing = []
      for number, batch in enumerate(batches):
        images = self._images(batch, reading.pop())
        if number + 1 < len(batches):
          reading.append([readers.submit(self._read, item) for item in batches[number + 1]])
        results = self.detector.explain(list(images.values()), **self.asked) if images else []
        if results and self.scale is None:
          self._take_scale(results)
        self._note(drawing)
        drawing = [
            writers.submit(self._write, item, result) for item, result in zip(images, results, strict=True)]
        bar.update(len(batch))
      self._note(drawing)
    self._keep(finished=True)
    return self.failures

  def _start(self):
    """Takes up what an interrupted command with the same settings has done: {names}; else begins anew."""
    self.scale, self.scale_note = None, CALIBRATED
    known = self.detector.map_scale or {}
    if not missing_from(known, self.methods):
      self.scale = known
    lines = []
    try:
      state = json.loads((self.out / STATE_FILE).read_text())
      if not state["finished"] and state["settings"] == self.settings:
        self.scale, self.scale_note = state["scale"], state["scale_note"]
        lines = _whole_lines(self.out / "predictions.jsonl")
    except (FileNotFoundError, ValueError, KeyError, TypeError):
      pass  # nothing to go on from
    stems = {item.name: item.stem for item in self.items}
    lines = [line for line in lines if "error" not in line and line["maps"] == f"{stems.get(line['path'])}.npz"]
    write_whole(self.out / "predictions.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    self._keep(finished=False)
    return {line["path"] for line in lines}

  def _keep(self, finished):
    state = {
        "finished": finished, "settings": self.settings, "scale": self.scale, "scale_note": self.scale_note}
    write_whole(self.out / STATE_FILE, json.dumps(state, indent=2) + "\n")

  def _take_scale(self, results):
    """What the run has not measured is measured on the first images here, and then holds for all."""
    known = self.detector.map_scale or {}
    missing = ", ".join(METHODS[name].title for name in missing_from(known, self.methods))
    self.scale = measure_scale(results) | known
    self.scale_note = f"{CALIBRATED}; of {missing}: the strength that the strongest of {len(results)} images here reach"
    self._keep(finished=False)

  def _read(self, item):
    return self.detector.prepare([item.read()])[0]

  def _images(self, batch, futures):
    """{item: pixels} of what could be read."""
    images = {}
    for item, future in zip(batch, futures, strict=True):
      try:
        images[item] = future.result()
      except UserError as error:
        self.failures.append((item.name, str(error)))
        self._line({"path": item.name, "error": str(error)})
    return images

  def _note(self, drawing):
    for future in drawing:
      self._line(future.result())

  def _line(self, line):
    self.predictions.write(json.dumps(line) + "\n")
    self.predictions.flush()

  def _write(self, item, result):
    """The panel and the maps of one image; what `predictions.jsonl` says of it."""
    line = {
        "path": item.name,
        "verdict": LABELS[int(result["probability"] >= THRESHOLD)],
        "probability": result["probability"],
        "target": LABELS[result["target"]],
    }
    kinds = {METHODS[name].kind for name in self.methods}
    if kinds != {CHANNELS}:
      line["panel"] = f"{item.stem}.png"
      panel = draw_panel(result, item.name, self.scale, self.scale_note, self.check)
      panel.save(self.out / line["panel"], compress_level=1)
    if CHANNELS in kinds:
      line["feature_maps"] = f"{item.stem}.feature_maps.png"
      draw_feature_grid(result["feature_maps"], item.name).save(self.out / line["feature_maps"])
    if result["completeness_error"]:
      line["completeness_error"] = result["completeness_error"]
    line["maps"] = f"{item.stem}.npz"
    np.savez(
        self.out / line["maps"], image=result["image"], logits=result["logits"],
        probability=np.float32(result["probability"]), **flatten_maps(result))
    return line


def _whole_lines(path):
  """The objects of a JSON-lines file whose last line may be cut off."""
  lines = []
  for text in path.read_text().splitlines():
    try:
      lines.append(json.loads(text))
    except ValueError:
      break
  return lines


def checksum(arrays):
  """A number that changes with the arrays of a tree."""
  checksum = 0
  for leaf in jax.tree.leaves(arrays):
    checksum = zlib.crc32(np.ascontiguousarray(leaf), checksum)
  return checksum
