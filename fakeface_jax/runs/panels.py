"""The panels of one photograph, drawn in memory, as a notebook shows them."""

import numpy as np
from PIL import Image

from fakeface_jax.detector import Detector, Seen, Target, Which
from fakeface_jax.drawing.overlay import VIOLET, own_pixels
from fakeface_jax.drawing.panel import CALIBRATED, draw_panel
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.whereabouts import landmarks
from fakeface_jax.explain.methods import CHANNELS, DEFAULT_METHODS, METHODS, resolve_methods
from fakeface_jax.explain.scale import measure_scale, missing_from
from fakeface_jax.explain.signature import Layers, Methods
from fakeface_jax.runs.best_map import best_map, with_map
from fakeface_jax.runs.sanity import trust, trust_of_run
from fakeface_jax.verdict.conformal import CONFIDENCE
from fakeface_jax.verdict.judgement import noted

OWN_SCALE = "full colour is the strongest of this photograph"


class Panels(list[Image.Image]):
  """PIL images; a notebook's cell shows them one below the other."""

  def _ipython_display_(self) -> None:
    from IPython.display import display  # who calls this has it

    for panel in self or ["no face was found; faces='none' judges the whole picture"]:
      display(panel)


def panels(
    detector: Detector, photograph: np.ndarray, name: str = "", faces: Which = "auto", *,
    methods: Methods = DEFAULT_METHODS, layers: Layers | None = None, target: Target = "fake",
    confidence: float = CONFIDENCE, colours: str = VIOLET,
) -> Panels:
  """Why a detector decides as it does on each face of a photograph: what scripts/explain.py draws of it.

  Args:
    detector: of `fakeface_jax.load`.
    photograph: uint8[h, w, 3], of any size.
    name: of the photograph, for the title.
    faces, confidence: as `Detector.look` takes them. methods, layers, target: as `Detector.explain` takes them.
    colours: 'violet', or 'jet' as the article.
  Returns: a PIL image for each face; none where no face was found.
  Raises: UserError for what the detector does not take, or where there is no map to draw.
  """
  settings = resolve_methods(detector.model, methods, layers)
  best = best_map(detector.folder, detector) if detector.folder else None
  if methods == DEFAULT_METHODS and layers is None:
    settings = with_map(detector.model, settings, best)
  if all(METHODS[method].kind == CHANNELS for method in settings):
    raise UserError(f"methods={', '.join(settings) or '()'} have no map for a panel; add one that has, such as gradcam")
  looks = detector.find(photograph, faces)
  if not looks:
    return Panels()
  results = detector.explain_seen(
      Seen.joined(look.seen for look in looks), target, methods=settings, confidence=confidence)
  scale, note = detector.map_scale or {}, CALIBRATED
  if missing_from(scale, settings):
    scale, note = measure_scale(results) | scale, OWN_SCALE
  folder = detector.folder
  trusted = trust_of_run(folder, settings) if folder else trust({}, settings)
  return Panels(
      draw_panel(
          result, name, scale, note, trusted, judgement=noted(result["judgement"], look.note), best=best,
          points=landmarks(result["image"]), photograph=own_pixels(photograph, look.part), colours=colours)
      for look, result in zip(looks, results, strict=True))
