"""Explaining many images into a folder: panels, raw maps, and a line of `predictions.jsonl` for each of their faces.

While a batch is computed, the next one is read and the last one drawn; no more than that is held in memory. A command
that was interrupted goes on where it stopped when it is given again.
"""

import io
import itertools
import json
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fakeface_jax.commands.explained import GRID, LINES_FILE, MAPS, PANEL, PHOTOGRAPH, Explained, stem_of_face
from fakeface_jax.commands.items import Item
from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.data.schema import LABELS
from fakeface_jax.detector import Look, Seen, checksum, flatten_maps
from fakeface_jax.drawing.feature_grid import draw_feature_grid
from fakeface_jax.drawing.overlay import VIOLET, evidence, on_photograph, own_pixels, with_boxes
from fakeface_jax.drawing.panel import CALIBRATED, draw_panel, large_map
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.evaluation.placement import why_unusable
from fakeface_jax.evaluation.whereabouts import landmarks
from fakeface_jax.explain.methods import CHANNELS, DEFAULT_METHODS, METHODS, resolve_methods
from fakeface_jax.explain.scale import measure_scale, missing_from
from fakeface_jax.locks import locked
from fakeface_jax.progress import Bar
from fakeface_jax.verdict.conformal import CONFIDENCE
from fakeface_jax.verdict.judgement import noted
from fakeface_jax.workdir import write_whole

log = logging.getLogger(__name__)

THREADS = 2
NO_FACE = "no face was found in it; --faces=none judges the whole picture"


def explain_items(
    detector, items, out, *, faces="none", confidence=CONFIDENCE, target="fake", layers=None, methods=DEFAULT_METHODS,
    trust=None, best=None, colours=VIOLET, overwrite=False):
  """Explains items batch by batch; one that cannot be read is noted and the rest goes on.

  What is in the folder stays: what other commands made of other images, and of these with the same settings, and
  files that are not ours.

  Args:
    detector: a `Detector`.
    items: list of `Item`.
    out: folder for `<stem>.png`, `<stem>.npz`, with faces `<stem>.photograph.jpg`, of an image's first face,
      `<stem>.face2.png` and so on of its others; `predictions.jsonl`; `explain.json`, which says how they were made.
    faces: which faces of a photograph, as `Detector.look` takes it.
    confidence: of the verdicts, likewise.
    target, layers, methods: as `Detector.explain` takes them.
    trust: which methods to trust, a `runs.sanity.Trust`, for the panels; None where nothing is known.
    best: the (method, layer) whose map is drawn large; None for the last layer's.
    colours: of `overlay.COLOURS`.
    overwrite: whether what was made there of these images with other settings may be replaced.
  Returns: the list of (name, reason) of items that failed.
  Raises: UserError where something would be replaced, or cannot be written.
  """
  out = Path(out)
  try:
    out.mkdir(parents=True, exist_ok=True)
    with locked(out, busy=f"out={out} is being written to"):
      return _Explanations(
          detector, items, out, faces, confidence, target, layers, methods, trust, best, colours, overwrite).run()
  except OSError as error:
    raise UserError(f"out={out} cannot be written: {of_disk(error)}") from error


class _Explanations:

  def __init__(
      self, detector, items, out, faces, confidence, target, layers, methods, trust, best, colours, overwrite):
    self.detector, self.out, self.faces, self.confidence = detector, out, faces, confidence
    self.trust, self.best, self.colours = trust, best, colours
    self.target, self.methods = target, resolve_methods(detector.model, methods, layers)
    settings = {
        "faces": faces, "confidence": confidence, "target": target, "methods": self.methods, "colours": colours,
        "best": best, "dtype": np.dtype(detector.model.dtype).name,
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
    """Yields (face, its explanation) of what can be read."""
    with Bar("explaining", self.already + len(self.stems), done=self.already) as bar:
      found = self._found(ahead, bar)
      while batch := list(itertools.islice(found, self.detector.engine.batch_size)):
        results = self.detector.explain_seen(
            Seen.joined(one.look.seen for one in batch), self.target, methods=self.methods, confidence=self.confidence)
        if self.explained.scale is None:
          self._take_scale(results)
        yield from zip(batch, results, strict=True)

  def _found(self, ahead, bar):
    """Yields what there is to explain, a `_Found` for each face; what cannot be read is noted."""
    for item, found in in_order(self._read, self.stems, threads=THREADS, ahead=ahead):
      if isinstance(found, str):
        self.failures.append((item.name, found))
        self._line({"path": item.name, "error": found})
      else:
        yield from (_Found(item, number, len(found), look) for number, look in enumerate(found, 1))
      bar.update(1)

  def _take_scale(self, results):
    """What the run has not measured is measured on the first images here, and then holds for all."""
    known = self.detector.map_scale or {}
    missing = ", ".join(METHODS[name].title for name in missing_from(known, self.methods))
    self.explained.keep_scale(
        measure_scale(results) | known,
        f"{CALIBRATED}; of {missing}: the strength that the strongest of {len(results)} images here reach")

  def _read(self, item):
    """(item, what the network sees of each face, or why there is nothing)."""
    try:
      return item, self.detector.find(item.read(), self.faces) or NO_FACE
    except UserError as error:
      return item, str(error)

  def _line(self, line):
    self.predictions.write(json.dumps(line) + "\n")
    self.predictions.flush()

  def _write(self, explained):
    """The panel and the maps of one face; what `predictions.jsonl` says of it."""
    found, result = explained
    item, look, files = found.item, found.look, {}
    judgement = noted(result["judgement"], look.note)
    stem = stem_of_face(self.stems[item], found.number)
    line = {
        "path": item.name, "verdict": judgement.verdict, "why": judgement.why, "probability": result["probability"],
        "target": LABELS[result["target"]]}
    photograph = None
    if self.faces != "none":
      photograph = item.read()
      line |= {"face": found.number, "faces": found.faces, "box": look.box and look.box.edges,
               "part": look.part}
    kinds = {METHODS[name].kind for name in self.methods}
    if kinds != {CHANNELS}:
      line["panel"] = stem + PANEL
      files[PANEL] = encode_image(draw_panel(
          result, item.name, self.explained.scale, self.explained.scale_note, self.trust, self._mask(found),
          item.label, judgement=judgement, best=self.best, points=landmarks(result["image"]), colours=self.colours,
          photograph=None if photograph is None else own_pixels(photograph, look.part)), "PNG", compress_level=1)
    if kinds != {CHANNELS} and self.faces != "none":
      line["photograph"] = stem + PHOTOGRAPH
      files[PHOTOGRAPH] = encode_image(self._over(photograph, look, result), "JPEG", quality=90)
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

  def _over(self, photograph, look, result):
    """uint8[H, W, 3]: the whole photograph with the map that is drawn large, and a box around the face."""
    large = large_map(result, self.explained.scale, self.best, self.trust)
    picture = on_photograph(photograph, evidence(large.kind, large.values), look.part, large.full, self.colours)
    return with_boxes(picture, [look.box.edges] if look.box else [])

  def _mask(self, found):
    """uint8[crop, crop] of what was changed, as the network sees it; None where that is not known."""
    if found.item.mask is None:
      return None
    try:
      mask = found.item.mask()
    except UserError as error:
      log.warning("%s; its outline is not drawn", error)
      return None
    mask = self.detector.prepare_mask(mask, found.look.window)
    return None if why_unusable(mask) else mask


class _Found(NamedTuple):
  """The how-manieth face of how many of an image."""

  item: Item
  number: int
  faces: int
  look: Look
