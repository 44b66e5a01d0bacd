"""What the page answers about a photograph, without a word of HTML: faces, verdicts, maps, files to take along."""

import dataclasses
import io
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fakeface_jax.data.reading.file_facts import file_facts
from fakeface_jax.data.reading.images import decode_image, encode_image, read_bytes
from fakeface_jax.detector import Look, flatten_maps, load
from fakeface_jax.drawing.overlay import evidence, layer
from fakeface_jax.drawing.panel import CALIBRATED, draw_panel
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.whereabouts import landmarks
from fakeface_jax.explain.methods import DEFAULT_METHODS, METHODS, resolve_methods
from fakeface_jax.explain.scale import maps_with_keys, measure_scale, missing_from
from fakeface_jax.runs.background import with_run_background
from fakeface_jax.runs.best_map import best_map, with_map
from fakeface_jax.runs.framing import with_framing
from fakeface_jax.runs.map_scale import with_scale
from fakeface_jax.runs.reference import with_reference
from fakeface_jax.runs.sanity import trust_of_run

SHOWN = 1280  # px of a photograph's longer side on the page
MAX_PIXELS = 60_000_000  # of a photograph


@dataclasses.dataclass(frozen=True)
class Answer:
  """One photograph and what was found in it.

  Attributes:
    name: the file's own.
    facts: as `file_facts` returns them.
    jpeg: the photograph as the page shows it. size: of the photograph itself, (width, height) in pixels.
    looks: at each face, as `Detector.look` returns them; none where no face was found.
    results: {(face, method): the explanation}, as far as it was asked for.
  """

  name: str
  facts: dict[str, Any]
  jpeg: bytes
  size: tuple[int, int]
  looks: list[Look]
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
    detector = with_reference(with_framing(load(workdir), workdir), workdir)
    self.detector = with_scale(detector, workdir, resolve_methods(detector.model))
    self.best = best_map(workdir, self.detector) or (DEFAULT_METHODS[0], None)
    self._scale = dict(self.detector.map_scale or {})
    self._with_background = self.detector
    (grey,) = self.detector.find(np.full((self.detector.crop,) * 2 + (3,), 128, np.uint8), "none")
    self.detector.explain_seen(  # compiled before anybody waits for it
        grey.seen, methods=self._settings(DEFAULT_METHODS), confidence=confidence)

  def look(self, path, faces="auto"):
    """The `Answer` about a file. Raises: UserError that says what is wrong with it."""
    data, name = read_bytes(path), Path(path).name
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
    """The layers of a method that is shown for several, first to last; () of any other."""
    return self._settings((method,))[method].get("layers", ())

  def first_layer(self, method):
    """The layer of a method that is shown first: the run's best map's, or else the last; None where there is none."""
    layers = self.layers(method)
    best = [layer for layer in layers if (method, layer) == self.best]
    return (best or layers or (None,))[-1]

  def map(self, answer, number, method, layer_of=None):
    """A face's map as a layer to lay over the photograph as it is shown.

    Returns: (a PNG with transparency, what it is in words).
    """
    result = self._result(answer, number, method)
    *_, (name, of, key, values) = (
        found for found in maps_with_keys(result) if found[0] == method and found[1] == (layer_of or found[1]))
    left, top, side = answer.looks[number].part
    scale = min(1, SHOWN / max(answer.size))
    canvas = Image.new("RGBA", [max(1, round(length * scale)) for length in answer.size])
    covered = max(1, round(side * scale))
    square = layer(evidence(METHODS[name].kind, values), (covered, covered), self._scale_of(result)[0][key])
    canvas.paste(Image.fromarray(square), (round(left * scale), round(top * scale)))
    content = io.BytesIO()
    canvas.save(content, "PNG", compress_level=1)
    return content.getvalue(), METHODS[name].title + (f" of {of}" if of else "")

  def panel(self, answer, number):
    """The panel of a face by the default methods: a PIL image."""
    result = self._result(answer, number, DEFAULT_METHODS[0])
    scale, note = self._scale_of(result)
    return draw_panel(
        result, answer.name, scale, note, trust_of_run(self.workdir, result["settings"]),
        judgement=answer.looks[number].judgement, best=self.best, points=landmarks(result["image"]))

  def arrays(self, answer, number):
    """The maps of a face that were looked at, and those of the default methods: {name: array}."""
    self._result(answer, number, DEFAULT_METHODS[0])
    results = [result for (face, _), result in answer.results.items() if face == number]
    return {"image": results[0]["image"], "logits": results[0]["logits"]} | {
        name: values for result in results for name, values in flatten_maps(result).items()}

  def made(self, answer, number):
    """[(name, value)] of how an answer was made."""
    return [
        ("detector", f"{self.detector.model.title}, {self.detector.crop} px, {self.workdir}"),
        ("confidence", f"{self.confidence:.0%}"),
        ("part of the photograph", "left {:.0f}, top {:.0f}, side {:.0f} px".format(*answer.looks[number].part)),
        ("when", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("versions", f"fakeface_jax {version('fakeface-jax')}, jax {version('jax')}")]

  def _settings(self, methods):
    settings = resolve_methods(self.detector.model, methods)
    return with_map(self.detector.model, settings, self.best) if self.best[0] in settings else settings

  def _result(self, answer, number, method):
    """The explanation of a face by a method; the default ones come together, from one call."""
    if (number, method) not in answer.results:
      together = DEFAULT_METHODS if method in DEFAULT_METHODS else (method,)
      methods = self._settings(together)
      self._with_background = with_run_background(self._with_background, self.workdir, methods)
      (result,) = self._with_background.explain_seen(answer.looks[number].seen, methods=methods)
      answer.results.update({(number, name): result for name in together})
    return answer.results[number, method]

  def _scale_of(self, result):
    """(the scale of a result's maps, what full colour means): the run's; where it cannot be had, the result's own."""
    if missing_from(self._scale, result["settings"]):
      measured = with_scale(
          dataclasses.replace(self.detector, map_scale=self._scale), self.workdir, result["settings"])
      self._scale = measured.map_scale or {}
    if missing_from(self._scale, result["settings"]):
      return measure_scale([result]) | self._scale, "full colour is the strongest of this face"
    return self._scale, CALIBRATED
