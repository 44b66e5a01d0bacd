"""How strong is strong: the value of each map that is drawn in full colour, one for all images of a detector.

Stretching every map to its own maximum turns noise bright red. A scale measured once, on validation fakes, keeps a map
without evidence empty and makes two photographs comparable.
"""

import numpy as np

from fakeface_jax.explain.methods import ATTRIBUTION, CHANNELS, METHODS, maps_of

STRONGEST = 0.2  # the share of validation fakes that reach full colour


def drawn(kind, values):
  """A map as it is drawn: pixel attributions summed over the colours, all else itself."""
  return values.sum(axis=-1) if kind == ATTRIBUTION and values.ndim == 3 else values


def strength(kind, values):
  """One number for how much a map says: the largest |value| of a coarse map, the 99th percentile of a map of pixels."""
  of_pixels = values.ndim == 3
  values = np.abs(drawn(kind, values))
  return float(np.quantile(values, 0.99)) if of_pixels else float(values.max())


def scale_key(name, layer, settings):
  """What a map's scale is filed under: its method, its layer, and its settings where they are not the usual ones."""
  usual = METHODS[name].arguments
  changed = [f"{key}={value}" for key, value in settings.items()
             if key not in ("layer", "layers") and value != usual[key]]
  return " ".join([f"{name}/{layer}" if layer else name, *changed])


def maps_with_keys(result):
  """(method, layer or None, scale key, values) of every map of one image's explanation but feature maps."""
  methods = {name: settings for name, settings in result["settings"].items() if METHODS[name].kind != CHANNELS}
  for name, layer, values in maps_of(result, methods):
    yield name, layer, scale_key(name, layer, methods[name]), values


def missing_from(scale, settings):
  """The methods, {name: settings}, of which `scale` lacks a map."""
  keys = {
      name: [scale_key(name, layer, given) for layer in given.get("layers", [given.get("layer")])]
      for name, given in settings.items() if METHODS[name].kind != CHANNELS}
  return {name: settings[name] for name in keys if any(key not in scale for key in keys[name])}


def measure_scale(results):
  """{scale key: strength that the strongest fifth of these images reach, or where fewer show anything, the strongest}.

  Args: `results`: explanations as `Detector.explain` returns them, of fakes for the target 'fake'.
  """
  strengths = {}
  for result in results:
    for name, _, key, values in maps_with_keys(result):
      strengths.setdefault(key, []).append(strength(METHODS[name].kind, values))
  return {key: float(np.quantile(values, 1 - STRONGEST) or max(values)) for key, values in strengths.items()}


def is_scale(scale):
  """Whether this has the form of a scale: what is read from a file may be anything."""
  return isinstance(scale, dict) and all(
      type(value) in (int, float) and 0 <= value < float("inf") for value in scale.values())
