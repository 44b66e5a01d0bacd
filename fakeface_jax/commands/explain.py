"""Explaining many images into a folder: panels, raw maps, and a line of `predictions.jsonl` for each.

While a batch is computed, the next one is read and the last one drawn; no more than that is held in memory. A command
that was interrupted goes on where it stopped when it is given again.
"""

import io
import itertools
import json
import logging
from pathlib import Path

import numpy as np

from fakeface_jax.commands.explained import GRID, LINES_FILE, MAPS, PANEL, Explained
from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.data.reading.square import resize_and_crop_mask
from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.data.schema import LABELS, THRESHOLD
from fakeface_jax.detector import Seen, checksum, flatten_maps
from fakeface_jax.drawing.feature_grid import draw_feature_grid
from fakeface_jax.drawing.panel import CALIBRATED, draw_panel
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.evaluation.placement import why_unusable
from fakeface_jax.explain.methods import CHANNELS, DEFAULT_METHODS, METHODS, resolve_methods
from fakeface_jax.explain.scale import measure_scale, missing_from
from fakeface_jax.locks import locked
from fakeface_jax.progress import Bar
from fakeface_jax.workdir import write_whole

log = logging.getLogger(__name__)

THREADS = 2


def explain_items(
    detector, items, out, *, target="fake", layers=None, methods=DEFAULT_METHODS, check=(), overwrite=False):
  """Explains items batch by batch; one that cannot be read is noted and the rest goes on.

  What is in the folder stays: what other commands made of other images, and of these with the same settings, and
  files that are not ours.

  Args:
    detector: a `Detector`.
    items: list of `Item`.
    out: folder for `<stem>.png`, `<stem>.npz`, `predictions.jsonl`, and `explain.json`, which says how they were made.
    target, layers, methods: as `Detector.explain` takes them.
    check: sentences on which methods to trust, for the panels.
    overwrite: whether what was made there of these images with other settings may be replaced.
  Returns: the list of (name, reason) of items that failed.
  Raises: UserError where something would be replaced, or cannot be written.
  """
  out = Path(out)
  try:
    out.mkdir(parents=True, exist_ok=True)
    with locked(out, busy=f"out={out} is being written to"):
      return _Explanations(detector, items, out, target, layers, methods, check, overwrite).run()
  except OSError as error:
    raise UserError(f"out={out} cannot be written: {of_disk(error)}") from error


class _Explanations:

  def __init__(self, detector, items, out, target, layers, methods, check, overwrite):
    self.detector, self.out, self.check = detector, out, check
    self.target, self.methods = target, resolve_methods(detector.model, methods, layers)
    settings = {
        "target": target, "methods": self.methods, "dtype": np.dtype(detector.model.dtype).name,
        "pixels": [detector.resize, detector.crop], "weights": checksum(detector.variables),
        "background": checksum(detector.background)}
    known = detector.map_scale or {}
    scale = None if missing_from(known, self.methods) else known
    self.explained = Explained(out, self.methods, json.loads(json.dumps(settings)), scale, CALIBRATED)
    self.stems = self.explained.take(items, overwrite)
    self.already = len(items) - len(self.stems)
    self.failures = []

  def run(self):
    ahead = -(-self.detector.engine.batch_size // THREADS)
    with (self.out / LINES_FILE).open("a") as self.predictions:
      for line in in_order(self._write, self._results(ahead), threads=THREADS, ahead=ahead):
        self._line(line)
    if self.already:
      log.info("%d of these images were explained there already", self.already)
    return self.failures

  def _results(self, ahead):
    """Yields (item, its explanation) of what can be read."""
    read = in_order(self._read, self.stems, threads=THREADS, ahead=ahead)
    with Bar("explaining", self.already + len(self.stems), done=self.already) as bar:
      while batch := list(itertools.islice(read, self.detector.engine.batch_size)):
        images = {item: seen for item, seen in batch if isinstance(seen, Seen)}
        for item, error in batch:
          if item not in images:
            self.failures.append((item.name, error))
            self._line({"path": item.name, "error": error})
        results = self.detector.explain_seen(
            Seen.joined(images.values()), self.target, methods=self.methods) if images else []
        if results and self.explained.scale is None:
          self._take_scale(results)
        yield from zip(images, results, strict=True)
        bar.update(len(batch))

  def _take_scale(self, results):
    """What the run has not measured is measured on the first images here, and then holds for all."""
    known = self.detector.map_scale or {}
    missing = ", ".join(METHODS[name].title for name in missing_from(known, self.methods))
    self.explained.keep_scale(
        measure_scale(results) | known,
        f"{CALIBRATED}; of {missing}: the strength that the strongest of {len(results)} images here reach")

  def _read(self, item):
    """(item, its `Seen`, or why it cannot be read)."""
    try:
      return item, self.detector.prepare([item.read()])
    except UserError as error:
      return item, str(error)

  def _line(self, line):
    self.predictions.write(json.dumps(line) + "\n")
    self.predictions.flush()

  def _write(self, explained):
    """The panel and the maps of one image; what `predictions.jsonl` says of it."""
    item, result = explained
    stem, files = self.stems[item], {}
    line = {
        "path": item.name,
        "verdict": LABELS[int(result["probability"] >= THRESHOLD)],
        "probability": result["probability"],
        "target": LABELS[result["target"]],
    }
    kinds = {METHODS[name].kind for name in self.methods}
    if kinds != {CHANNELS}:
      line["panel"] = stem + PANEL
      panel = draw_panel(
          result, item.name, self.explained.scale, self.explained.scale_note, self.check, self._mask(item), item.label)
      files[PANEL] = encode_image(panel, "PNG", compress_level=1)
    if CHANNELS in kinds:
      line["feature_maps"] = stem + GRID
      files[GRID] = encode_image(
          draw_feature_grid(result["feature_maps"], item.name), "PNG", compress_level=1)
    if result["completeness_error"]:
      line["completeness_error"] = result["completeness_error"]
    line["maps"] = stem + MAPS
    maps = io.BytesIO()
    np.savez(
        maps, image=result["image"], logits=result["logits"], probability=np.float32(result["probability"]),
        **flatten_maps(result))
    files[MAPS] = maps.getvalue()
    for suffix, content in files.items():
      write_whole(self.out / (stem + suffix), content)
    return line

  def _mask(self, item):
    """uint8[crop, crop] of what was changed, as the network sees it; None where that is not known."""
    if item.mask is None:
      return None
    try:
      mask = resize_and_crop_mask(item.mask(), self.detector.resize, self.detector.crop)
    except UserError as error:
      log.warning("%s; its outline is not drawn", error)
      return None
    return None if why_unusable(mask) else mask
