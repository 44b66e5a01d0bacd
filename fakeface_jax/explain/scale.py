"""How strong is strong: the value of each map that is drawn in full colour, one for all images of a detector.

Stretching every map to its own maximum turns noise bright red. A scale measured once, on validation fakes, keeps a map
without evidence empty and makes two photographs comparable.
"""

import numpy as np

STRONGEST = 0.2  # the share of validation fakes that reach full colour


def flatten_maps(result):
  """{map name: array} of one image's explanation: 'gradcam/<layer>', 'guided_backprop', 'guided_gradcam'."""
  cams = {f"gradcam/{layer}": cam for layer, cam in result["gradcam"].items()}
  return cams | {name: result[name] for name in ("guided_backprop", "guided_gradcam")}


def strength(values):
  """One number for how much a map says: the maximum of a heatmap, the 99th percentile of |pixel gradients|."""
  return float(np.max(values)) if values.ndim == 2 else float(np.quantile(np.abs(values), 0.99))


def measure_scale(results):
  """{map name: strength that the strongest fifth of these images reach}.

  Args:
    results: explanations as `Detector.explain` returns them, of fakes for the target 'fake'.
  """
  flat = [flatten_maps(result) for result in results]
  return {name: float(np.quantile([strength(maps[name]) for maps in flat], 1 - STRONGEST)) for name in flat[0]}
