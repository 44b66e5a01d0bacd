"""Does a method show what the network has learned? Its maps against those of the same network with random weights.

The weights are drawn anew from the head down, part by part (cascading randomisation, Adebayo et al., 2018, section
3.1). A method whose maps stay the same shows the photograph, not the reasons for a verdict.
"""

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from fakeface_jax.explain.engine import target_code
from fakeface_jax.explain.methods import CHANNELS, HEATMAP, METHODS, maps_of, resolve_methods
from fakeface_jax.models import init_variables

ALIKE = 0.5  # mean rank correlation from which on maps of a random network count as the same


def randomization_steps(model, variables, key, image_size):
  """Yields (part, variables) with that part and all after it drawn anew: 'head', 'layer4_2', ..., 'stem'."""
  fresh = init_variables(model, key, image_size)
  trained, drawn = flatten_dict(variables), flatten_dict(fresh)
  places = {path: model.cuts.index(model.cut_of(path[1:])) for path in trained}
  for part in reversed(model.parts):
    start = model.cuts.index(part)
    mixed = {path: (trained if place < start else drawn)[path] for path, place in places.items()}
    yield part, {"batch_stats": {}} | unflatten_dict(mixed)


def sanity_methods():
  """Methods that are checked by default: all that cost one backward pass."""
  return tuple(name for name, method in METHODS.items() if not method.sampled and method.kind != CHANNELS)


def sanity(detector, seen, methods=None, layers=None, target="fake", progress=lambda steps: steps):
  """How much each method's maps depend on the weights.

  Args:
    seen, methods, layers, target: as `Detector.explain_seen` takes them; by default `sanity_methods` at their last
      layer.
  Returns: {"images": N, "steps": parts in the order in which they were randomised, "methods": {name:
    {"rank_correlation": mean Spearman correlation with the trained network's maps after each step, "ssim": the same for
    structural similarity (Wang et al., 2004), "same_when_random": the mean rank correlation over the steps from the
    whole last stage on, "depends_on_weights": whether that is below `ALIKE`, and for Guided Grad-CAM
    whether that of guided backprop is, too}}}. Signs are dropped, as in the paper,
    and pairs with an empty map left out.
  """
  methods = resolve_methods(detector.model, sanity_methods() if methods is None else methods, layers)
  chosen = {name: given for name, given in methods.items() if METHODS[name].kind != CHANNELS}
  if "guided_gradcam" in chosen:
    chosen.setdefault("guided_backprop", {})
  chosen = {
      name: {**given, "layers": given["layers"][-1:]} if "layers" in given else given for name, given in chosen.items()}
  pixels = seen.pixels
  targets = np.full(len(pixels), target_code(target), np.int32)
  maps_of = lambda: _maps(detector.engine.explain(pixels, targets, chosen, detector.background), chosen)
  trained = maps_of()
  if target == "predicted":
    targets = detector.engine.logits(pixels).argmax(-1)  # the same class at every step
  steps = list(randomization_steps(detector.model, detector.variables, jax.random.key(0), detector.crop))
  scores = {name: {"rank_correlation": [], "ssim": []} for name in chosen}
  try:
    for _, variables in progress(steps):
      detector.engine.use(variables)
      for name, maps in maps_of().items():
        pairs = list(zip(trained[name], maps, strict=True))
        pairs = [pair for pair in pairs if min(map(np.ptp, pair)) > 0]  # an empty map is not like or unlike another
        for measure, of in (("rank_correlation", rank_correlation), ("ssim", similarity)):
          scores[name][measure].append(float(np.mean([of(*pair) for pair in pairs])) if pairs else 0.0)
  finally:
    detector.engine.use(detector.variables)
  parts = [part for part, _ in steps]
  last_stage = parts.index(detector.model.stages[-1][0])
  for of_method in scores.values():
    same = float(np.mean(of_method["rank_correlation"][last_stage:]))
    of_method |= {"same_when_random": same, "depends_on_weights": same < ALIKE}
  if "guided_gradcam" in scores:  # it cuts out of guided backprop, whose outlines it has
    scores["guided_gradcam"]["depends_on_weights"] &= scores["guided_backprop"]["depends_on_weights"]
  return {"images": len(pixels), "steps": parts, "methods": scores}


def _maps(result, methods):
  """{name: [float[h, w] per image]} without signs."""
  maps = {}
  for name, _, values in maps_of(result, methods):
    values = values if METHODS[name].kind == HEATMAP else np.abs(values)
    maps[name] = values.sum(-1) if values.ndim == 4 else values
  return maps


def rank_correlation(a, b):
  """Spearman's correlation of two maps, neither of them constant."""
  from scipy.stats import spearmanr

  return float(spearmanr(a, b, axis=None).statistic)


def similarity(a, b):
  """SSIM of two maps float[h, w], neither constant, each brought to 0..1; coarse ones are enlarged first."""
  from skimage.metrics import structural_similarity
  from skimage.transform import resize

  size = tuple(max(side, 56) for side in a.shape)
  a, b = (resize(np.asarray(values, np.float64), size, order=1, anti_aliasing=False) for values in (a, b))
  a, b = ((values - values.min()) / np.ptp(values) for values in (a, b))
  return float(structural_similarity(a, b, data_range=1.0))
