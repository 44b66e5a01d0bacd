"""Which map of a run lies best on the masks of fakes, and having it computed with others.

Its audit says so, of all methods; without one its validation images have said it, of three that one pass computes.
"""

import itertools
import json
from pathlib import Path

import numpy as np

from fakeface_jax.detector import Seen, checksum
from fakeface_jax.explain.methods import METHODS, Resolved, resolve_methods
from fakeface_jax.progress import with_progress
from fakeface_jax.runs.records import split_of_run
from fakeface_jax.workdir import BEST_MAP_FILE, read_config, read_json, write_whole

AUDIT, FIGURES_FILE = "audit", "audit.json"  # the folder in the run's, and the audit's figures in it
COMPARED = ("gradcam", "hirescam", "layercam")  # on validation images, in the layers of Grad-CAM that panels show
CAUGHT = 128  # fakes at most that are held against their masks
PASSED = 2  # maps after which no more are put to trial: those that lie nearest to the masks come first


def best_map(workdir, detector):
  """(method, layer or None) of the best map: of those that passed the trials of the audit, or else of `find_best_map`.

  Returns: None where there was neither, or not with these weights, or none is surely better than every baseline.
  """
  for path in (Path(workdir) / AUDIT / FIGURES_FILE, Path(workdir) / BEST_MAP_FILE):
    found = _of_weights(path, detector, "which map is the best is not known")
    best = (found or {}).get("localization", {}).get("best")
    if best:  # an audit of images without masks has none
      known = best.get("method") in METHODS and best.get("layer") in (None, *detector.model.layers)
      return (best["method"], best["layer"]) if known and _surely_better(best) else None
  return None


def _surely_better(best):
  """Whether more of its energy is inside the masks than that of any baseline."""
  return all(of[1] > 0 for name, of in best.items() if name.startswith("over_"))


def find_best_map(workdir, detector):
  """Compares layers and methods on caught validation fakes with masks, and keeps the result, in `best_map.json`.

  The best needs surely more of its energy inside the masks than any baseline has, on other fakes than it was chosen on;
  a probability of fake that falls faster when what it marks is removed than with patches at random (both as
  `evaluation.localization` has it); and verdicts that rest on what is inside. Whether it depends on the weights an
  audit tries.
  """
  path = Path(workdir) / BEST_MAP_FILE
  if _of_weights(path, detector, "it is found anew") is None:
    seen, masks = _caught_fakes(workdir, detector)
    found = {"about": {"weights": _weights(detector), "images": len(seen)},
             "localization": _compared(detector, seen, masks) if len(seen) else {"reason": "no mask of a caught fake"}}
    write_whole(path, json.dumps(found, indent=1) + "\n")


def _of_weights(path, detector, otherwise):
  found = read_json(path, lambda found: isinstance(found["about"]["weights"], str), otherwise)
  return found if found and found["about"]["weights"] == _weights(detector) else None


def _weights(detector):
  return f"{checksum(detector.variables):08x}"


def _caught_fakes(workdir, detector):
  """(`Seen`, masks uint8[n, crop, crop]) of validation fakes that have a mask and are called fake."""
  from fakeface_jax.data.reading.records import decode_mask, decode_record
  from fakeface_jax.data.schema import FAKE, THRESHOLD
  from fakeface_jax.evaluation.placement import why_unusable
  from fakeface_jax.evaluation.probability import probability_of_fake

  source = split_of_run(read_config(workdir), "val")
  fakes = (record for record in map(source.__getitem__, range(len(source))) if record["label"] == FAKE)
  masked = ((record, mask) for record in fakes
            if why_unusable(mask := detector.prepare_mask(decode_mask(record))) is None)
  seen, masks = detector.prepare([]), []
  while len(seen) < CAUGHT and (batch := list(itertools.islice(masked, detector.engine.batch_size))):
    several = detector.prepare([decode_record(record) for record, _ in batch])
    caught = np.flatnonzero(probability_of_fake(detector.engine.logits(several.pixels)) >= THRESHOLD)
    seen, masks = Seen.joined([seen, several[caught]]), [*masks, *(batch[i][1] for i in caught)]
  return seen[:CAUGHT], np.array(masks[:CAUGHT])


def _compared(detector, seen, masks):
  """As `evaluation.localization.localization`, {"best"} or {"reason"}."""
  from fakeface_jax.data.schema import FAKE
  from fakeface_jax.evaluation.faithfulness import painted_over
  from fakeface_jax.evaluation.localization import FEW, LEAST_DROP, localization
  from fakeface_jax.evaluation.placement import baseline_measures, placed
  from fakeface_jax.evaluation.probability import probability_of_fake

  if len(seen) < FEW:
    return {"reason": f"only {len(seen)} validation fakes with a mask are caught"}
  layers = resolve_methods(detector.model, COMPARED[:1])[COMPARED[0]]["layers"]
  maps = detector.engine.explain(
      seen.pixels, np.full(len(seen), FAKE), resolve_methods(detector.model, COMPARED, layers))
  rows = [{"method": name, "title": METHODS[name].title, "layer": layer, "images": np.arange(len(seen)),
           **placed(maps[name][layer], masks)} for name in COMPARED for layer in layers]
  baselines = baseline_measures(masks, seen.pixels)
  nearest = max(of["energy"].mean() for of in baselines.values())
  near = sorted((row for row in rows if row["energy"].mean() > nearest), key=lambda row: -row["energy"].mean())
  rows = _tried(detector, seen.pixels, near, maps) or rows
  painted = painted_over(detector, seen.pixels, masks) | {
      "untouched": probability_of_fake(detector.engine.logits(seen.pixels))}
  found = localization(
      rows, baselines, np.full(len(seen), True), baselines["chance"]["energy"], painted=painted)
  best = found["best"]
  surely = "method" in best and _surely_better(best) and found["painted"]["drop"][1] > LEAST_DROP
  return {"best": best} if surely else {"reason": found["verdict"]}


def _tried(detector, pixels, rows, maps):
  """The rows from the first on, with how they did in the removal trial, until `PASSED` have passed it."""
  from fakeface_jax.evaluation import faithfulness
  from fakeface_jax.evaluation.intervals import mean_interval
  from fakeface_jax.evaluation.localization import passes

  if not rows:
    return []
  ends = faithfulness.curve_ends(detector, pixels, ("inpaint",))
  removed = lambda maps: faithfulness.area_under(faithfulness.faithfulness_of_map(
      detector, pixels, maps, ends, ("inpaint",), ("deletion",))["deletion"]["inpaint"])
  patches = removed(faithfulness.baseline_maps(len(pixels), pixels.shape[1])[faithfulness.RANDOM[1]])
  tried = []
  for row in with_progress(rows, "putting maps to trial", unit="maps"):
    gain = mean_interval(patches - removed(maps[row["method"]][row["layer"]]))
    tried.append(row | {"trials": {"deletion": gain, "images": len(pixels), "depends_on_weights": None}})
    if sum(passes(row["trials"]) for row in tried) == PASSED:
      break
  return tried


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
