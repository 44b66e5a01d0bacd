"""Which map of a run lies best on the masks of fakes, as its audit has found, and having it computed with others."""

from pathlib import Path

from fakeface_jax.detector import checksum
from fakeface_jax.explain.methods import METHODS, Resolved, resolve_methods
from fakeface_jax.workdir import read_json

AUDIT, FIGURES_FILE = "audit", "audit.json"  # the folder in the run's, and the audit's figures in it


def best_map(workdir, detector):
  """(method, layer or None) of the best map, of those that passed the audit's trials.

  Returns: None where the run was not audited, or not with these weights, or its audit found none.
  """
  audit = read_json(Path(workdir) / AUDIT / FIGURES_FILE, _has_weights, "which map is the best is not known")
  if audit is None or audit["about"]["weights"] != f"{checksum(detector.variables):08x}":
    return None
  best = audit.get("localization", {}).get("best") or {}
  if best.get("method") not in METHODS or best.get("layer") not in (None, *detector.model.layers):
    return None
  return best["method"], best["layer"]


def _has_weights(audit):
  return isinstance(audit["about"]["weights"], str)


def with_map(model, settings, best):
  """Methods, as `resolve_methods` returns them, with the map (method, layer or None) among what they compute.

  A method of one layer that is asked for with another one stays as it is.
  """
  if best is None:
    return settings
  name, layer = best
  given = settings.get(name)
  if given is None:
    return Resolved(settings | resolve_methods(model, [name], [layer] if layer else None))
  if layer is None or layer in given.get("layers", (layer,)):
    return settings
  return Resolved(settings | {name: given | {"layers": (*given["layers"], layer)}})
