"""What the page answers about a photograph, without a word of HTML: faces, verdicts, maps, files to take along."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fakeface_jax.data.faces.faces import Face
from fakeface_jax.data.reading.file_facts import file_facts
from fakeface_jax.data.reading.images import decode_image, encode_image, read_bytes
from fakeface_jax.detector import flatten_maps, load
from fakeface_jax.drawing.overlay import layer_of, on_photograph
from fakeface_jax.drawing.panel import draw_panel
from fakeface_jax.errors import UserError
from fakeface_jax.explain.methods import DEFAULT_METHODS, METHODS, resolve_methods
from fakeface_jax.explain.scale import maps_with_keys, measure_scale
from fakeface_jax.runs.background import with_run_background
from fakeface_jax.runs.map_scale import with_scale
from fakeface_jax.runs.sanity import sentences_of_run
from fakeface_jax.verdict.judgement import Judgement

SHOWN = 1280  # px of a photograph's longer side on the page
MAX_PIXELS = 60_000_000  # of a photograph


@dataclasses.dataclass(frozen=True)
class Answer:
  """One photograph and what was found in it.

  Attributes:
    name: the file's own.
    facts: as `file_facts` returns them.
    jpeg: the photograph as the page shows it. size: of the photograph, (width, height) in pixels.
    faces: those judged, with what the network sees of each, and its `Judgement`.
    results: {(face, method): the explanation of one method}, as far as it was asked for.
  """

  name: str
  facts: dict[str, Any]
  jpeg: bytes
  size: tuple[int, int]
  faces: list[tuple[Face, Judgement]]
  results: dict[tuple[int, str], dict[str, Any]] = dataclasses.field(default_factory=dict)


class Answers:
  """The answers of one run's detector.

  Args:
    workdir: the run's folder.
    confidence: of its verdicts, 0..1.
  Raises: UserError as `detector.load` does.
  """

  def __init__(self, workdir, confidence):
    self.workdir, self.confidence = workdir, confidence
    self.detector = load(workdir)
    self._scale = dict(self.detector.map_scale or {})
    self._with_background = self.detector

  def look(self, path, faces="auto"):
    """The `Answer` about a file. Raises: UserError that says what is wrong with it."""
    name = Path(path).name
    data = read_bytes(path)
    photograph = decode_image(data, name)
    height, width = photograph.shape[:2]
    if height * width > MAX_PIXELS:
      raise UserError(f"{name}: {width} x {height} px are more than this page takes; scale the picture down")
    shown = Image.fromarray(photograph)
    shown.thumbnail((SHOWN, SHOWN))
    return Answer(
        name, file_facts(data), encode_image(np.asarray(shown), "JPEG", quality=88), (width, height),
        self.detector.look(photograph, faces, self.confidence))

  def layers(self, method):
    """The layers of a method that has several, first to last; () of any other."""
    return self._settings(method).get("layers", ())

  def layer(self, answer, number, method, layer):
    """A map of a face as a picture to lay over the photograph.

    Returns: (a PNG of the photograph's shape with transparency, in words what it is).
    """
    result = self._result(answer, number, method)
    name, layer, key, values = next(
        found for found in maps_with_keys(result) if found[0] == method and found[1] in (layer or found[1],))
    picture = layer_of(METHODS[name].kind, values, self._full(key, result))
    left, top, side = answer.faces[number][0].seen_square
    scale = min(1, SHOWN / max(answer.size))
    canvas = Image.new("RGBA", [max(1, round(side * scale)) for side in answer.size])
    square = Image.fromarray(picture).resize([max(1, round(side * scale))] * 2, Image.Resampling.BICUBIC)
    canvas.paste(square, (round(left * scale), round(top * scale)))
    return encode_png(canvas), f"{METHODS[name].title}{f' of {layer}' if layer else ''}"

  def files(self, answer, number, folder):
    """Writes the panel, the maps and the report of a face into a folder; returns their paths."""
    raise NotImplementedError
