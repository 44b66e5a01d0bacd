"""Infidelity, ROAD, max-sensitivity and sparseness of the maps of an audit, on a few of its fakes."""

import functools

import numpy as np

from fakeface_jax.audit.parts import settings_hash
from fakeface_jax.data.schema import FAKE
from fakeface_jax.evaluation import faithfulness
from fakeface_jax.evaluation.infidelity import squares, sums_inside, unexplained
from fakeface_jax.evaluation.map_measures import map_measures
from fakeface_jax.evaluation.placement import enlarged
from fakeface_jax.evaluation.sensitivity import RADIUS, disturbances, max_sensitivity
from fakeface_jax.evaluation.sparseness import sparseness
from fakeface_jax.explain.methods import METHODS
from fakeface_jax.progress import with_progress


class AuditedMeasures:
  """Args:
    detector: a `Detector`.
    pixels: uint8[n, crop, crop, 3] of the fakes.
    methods: {name: settings}, resolved.
    maps_of_pixels: (methods, pixels) -> {method: {layer or '': float32[n, h, w] >= 0}}.
    parts: a `Parts`.
  """

  def __init__(self, detector, pixels, methods, maps_of_pixels, parts):
    self._detector, self._pixels, self._parts = detector, pixels, parts
    self._methods, self._maps = methods, maps_of_pixels
    self._quick = {name: given for name, given in methods.items() if not METHODS[name].sampled}

  def of(self, rows):
    """See `map_measures`. Args: rows: [(method or None, title, layer or None, maps float32[n, h, w])]."""
    steady = self._steadiness() if self._quick else {}
    measured = []
    for name, title, layer, maps in with_progress(rows, "measuring maps", unit="maps"):
      large = np.stack([enlarged(values, self._pixels.shape[1:3]) for values in maps])
      measured.append({
          "method": name, "title": title, "layer": layer, "sparseness": sparseness(maps) if name else None,
          "infidelity": unexplained(sums_inside(large, self._squares), self._fallen),
          "max_sensitivity": steady.get(name, {}).get(layer or ""), "road": self._road((name, title, layer), maps)})
    return map_measures(measured, len(self._pixels))

  @functools.cached_property
  def _squares(self):
    return squares(self._pixels.shape[1:3])

  @functools.cached_property
  def _fallen(self):
    """float64[n, K]: how much the logit of fake falls when each square is painted in."""
    return self._parts("squares", lambda: {
        "fallen": self._detector.engine.logits(self._pixels)[:, FAKE, None] - faithfulness.fake_logits_without(
            self._detector, self._pixels, self._squares)})["fallen"]

  def _road(self, key, maps):
    """float64[n]: the area under the deletion curve with ROAD's imputation."""
    curves = self._parts(
        f"road_{settings_hash((key, self._methods.get(key[0])))}", lambda: faithfulness.faithfulness_of_map(
            self._detector, self._pixels, maps, self._road_ends, (faithfulness.ROAD,), ("deletion",)))
    return faithfulness.area_under(curves["deletion"][faithfulness.ROAD])

  @functools.cached_property
  def _road_ends(self):
    return self._parts("road_ends", lambda: faithfulness.curve_ends(
        self._detector, self._pixels, (faithfulness.ROAD,)))

  def _steadiness(self):
    """{method: {layer or '': float64[n]}} of the methods that cost one backward pass: `max_sensitivity`."""
    def compute():
      still = self._maps(self._quick, self._pixels)
      noisy = [self._maps(self._quick, pixels) for pixels in disturbances(self._pixels)]
      return {name: {layer: max_sensitivity(maps, np.stack([of[name][layer] for of in noisy]))
                     for layer, maps in layers.items()} for name, layers in still.items()}

    return self._parts(f"steady_{settings_hash((self._quick, RADIUS))}", compute)
