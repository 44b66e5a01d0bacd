"""Where the network looked at the images of an audit: every method's maps beside the masks, and put to the test."""

import functools
import json

import numpy as np

from fakeface_jax.audit.measures import AuditedMeasures
from fakeface_jax.audit.parts import settings_hash
from fakeface_jax.data.forging.landmarks import choose_framing
from fakeface_jax.data.schema import FAKE, REAL, REGIONS, THRESHOLD
from fakeface_jax.detector import checksum
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation import faithfulness
from fakeface_jax.evaluation.face_regions import FACE_REGIONS, energy_by_region, face_region_map, painted_by_region
from fakeface_jax.evaluation.intervals import mean_interval
from fakeface_jax.evaluation.localization import localization
from fakeface_jax.evaluation.placement import INSIDE, MEASURES, baseline_measures, placed, rectified
from fakeface_jax.evaluation.sanity import sanity, sanity_methods
from fakeface_jax.explain.methods import CHANNELS, METHODS, maps_of
from fakeface_jax.progress import in_parts, with_progress

LOCALISED = 500  # fakes, at most
SAMPLE = 32  # fakes for what evaluates the network many times for one
TRIED = 128  # caught ones that maps which may be the best are put to trial on, where they are quickly made
SANE = 16  # of them, for the weights made random
MEASURED = 16  # caught ones of them, for what reviewers ask for
BY_REGION = 200  # images, of each class
FRAMED = 64  # images that tell how faces are framed
CHUNK = 64  # images that are explained before the result is kept


class AuditedMaps:
  """The sections of an audit that are about maps; what several need is computed for the first.

  Args: `methods`: {name: settings}, as `resolve_methods` returns them.
  """

  def __init__(self, audited, methods, parts):
    self._audited, self._parts = audited, parts
    maps = {name: given for name, given in methods.items() if METHODS[name].kind != CHANNELS}
    self._without_background = [] if audited.detector.background is not None else [
        name for name in maps if "background" in METHODS[name].arguments]
    self._methods = {name: given for name, given in maps.items() if name not in self._without_background}
    fakes = np.random.default_rng(0).permutation(np.flatnonzero(audited.labels == FAKE))
    self._with_mask = np.array([i for i in fakes if not audited.unplaced[i]], int)
    self._chosen = np.sort(self._with_mask[:LOCALISED])
    others = fakes[np.isin(fakes, self._with_mask, invert=True)]
    self._sample = np.sort(np.concatenate([self._with_mask, others])[:SAMPLE])  # those with a mask first

  @property
  def notes(self):
    """Sentences on what is looked at."""
    notes = [f"{METHODS[name].title} is left out: the run has no background images."
             for name in self._without_background]
    count = len(self._with_mask)
    if count > LOCALISED:
      notes.append(f"Maps are held against the masks of {LOCALISED} of {count:,} fakes, drawn at random.")
    if 0 < len(self._sample) < len(self._chosen):
      notes.append(
          f"Methods that evaluate the network many times are held against the masks of {len(self._sample)} fakes.")
    if self._caught_sample.any():
      notes.append(f"Faithfulness is measured on {self._caught_sample.sum()} caught fakes.")
    return notes

  def localization(self):
    """See `evaluation.localization.localization`; with no mask, only where on the face the maps lie."""
    if not len(self._chosen):
      left_out = self._left_out()
      reason = ("there is no fake" if not left_out else "no fake has a mask to compare the maps with" if
                set(left_out) == {"no mask"} else f"no fake has a mask that can be used: {left_out}")
      if "gradcam" not in self._methods or FAKE not in self._audited.labels:
        return {"reason": reason}
      return {"reason": reason, "face_regions": self._by_region("gradcam", self._methods["gradcam"]["layers"][-1])}
    rows, baselines = self._placed(), self._baselines()
    trials = self._trials(rows, baselines)
    rows = [row | {"trials": trials.get((row["method"], row["layer"]))} for row in rows]
    result = localization(
        rows, baselines, self._caught(self._chosen), baselines["chance"]["energy"], self._left_out(),
        painted={"untouched": self._audited.probabilities[self._chosen], **self._parts("painted", self._painted)})
    return result | {"face_regions": {"reason": "the masks say where the fakes are; regions are compared without them"}}

  def _placed(self):
    """What `placed` says of each map: list of {"method", "title", "layer", "images", measures}."""
    quick = {name: given for name, given in self._methods.items() if not METHODS[name].sampled}
    rows, key = [], settings_hash((quick, list(MEASURES)))
    if quick:
      pieces = [
          _by_map(self._parts(f"placed_{key}_{start:05d}", lambda start=start: self._place(quick, start)))
          for start in in_parts(len(self._chosen), CHUNK, "maps beside masks")]
      rows += _rows({
          of: {name: np.concatenate([piece[of][name] for piece in pieces]) for name in measures}
          for of, measures in pieces[0].items()}, np.arange(len(self._chosen)))
    with_mask = np.isin(self._sample, self._chosen)
    among_chosen = np.searchsorted(self._chosen, self._sample[with_mask])
    masks = self._audited.masks(self._sample[with_mask])
    for (name, layer), maps in self._sample_maps.items():
      if METHODS[name].sampled:
        rows += _rows({(name, layer): placed(maps[with_mask], masks)}, among_chosen)
    order = list(self._methods)
    return sorted(rows, key=lambda row: order.index(row["method"]))

  def _baselines(self):
    """As `baseline_measures`, of all that are chosen."""
    pieces = [
        baseline_measures(self._audited.masks(indices), self._audited.seen(indices).pixels)
        for indices in np.split(self._chosen, range(CHUNK, len(self._chosen), CHUNK))]
    return {name: {measure: np.concatenate([piece[name][measure] for piece in pieces]) for measure in measures}
            for name, measures in pieces[0].items()}

  def _place(self, methods, start):
    indices = self._chosen[start : start + CHUNK]
    masks = self._audited.masks(indices)
    maps = self._maps(methods, self._audited.seen(indices).pixels)
    return {
        name: {layer: placed(values, masks) for layer, values in layers.items()} for name, layers in maps.items()}

  def _painted(self):
    """As `faithfulness.painted_over`, of all that are chosen."""
    pieces = []
    for start in in_parts(len(self._chosen), CHUNK, "painting regions over"):
      indices = self._chosen[start : start + CHUNK]
      pieces.append(faithfulness.painted_over(
          self._audited.detector, self._audited.seen(indices).pixels, self._audited.masks(indices), seed=start))
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

  def _left_out(self):
    reasons = [self._audited.unplaced[i] for i in np.flatnonzero(self._audited.labels == FAKE)]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons) - {""})}

  def _caught(self, indices):
    return self._audited.probabilities[indices] >= THRESHOLD

  def _maps(self, methods, pixels):
    """{method: {layer or '': float32[N, h, w] >= 0}} for the target fake."""
    detector = self._audited.detector
    result = detector.engine.explain(pixels, np.full(len(pixels), FAKE), methods, detector.background)
    maps = {name: {} for name in methods}
    for name, layer, values in maps_of(result, methods):
      maps[name][layer or ""] = rectified(METHODS[name].kind, values)
    return maps

  @functools.cached_property
  def _sample_seen(self):
    return self._audited.seen(self._sample)

  @functools.cached_property
  def _sample_maps(self):
    """{(method, layer or None): its map} of the sample, kept method by method."""
    maps = {}
    for name in with_progress(self._methods, "maps of a sample", unit="methods"):
      given = {name: self._methods[name]}
      maps |= _by_map(self._parts(
          f"maps_{settings_hash(given)}", lambda given=given: self._maps(given, self._sample_seen.pixels)))
    return maps

  def _by_region(self, name, layer):
    """The share of a map's energy by region of the face, and what verdicts lose with each region painted over."""
    audited, random = self._audited, np.random.default_rng(1)
    known = audited.regions.any(1) if audited.regions[audited.labels == FAKE].any() else audited.labels == FAKE
    groups = [np.flatnonzero((audited.labels == FAKE) & known), np.flatnonzero(audited.labels == REAL)]
    indices = np.sort(np.concatenate([random.permutation(members)[:BY_REGION] for members in groups]))
    given = {name: self._methods[name] | {"layers": (layer,)}}
    kept = self._parts(f"regions_{settings_hash(given)}", lambda: {
        "maps": self._maps(given, audited.seen(indices).pixels)[name][layer]})
    photographs = audited.stored(indices)
    framing = choose_framing(photographs[i] for i in range(0, len(photographs), max(1, len(photographs) // FRAMED)))
    faces = [face_region_map(image, framing) for image in with_progress(photographs, "finding faces")]
    regions = [None if of is None else audited.detector.prepare_mask(of) for of, _ in faces]
    manipulated = [None if audited.labels[i] == REAL else
                   [region for region, bit in zip(REGIONS, audited.regions[i], strict=True) if bit] for i in indices]
    found = energy_by_region(
        kept["maps"], regions, [found_by for _, found_by in faces], manipulated, self._caught(indices))
    if "reason" in found:
      return found
    caught = [at for at, i in enumerate(indices)
              if regions[at] is not None and audited.labels[i] == FAKE and self._caught(i)]
    return found | {"method": name, "title": METHODS[name].title, "layer": layer, "painted": None if not caught else
                    self._painted_by_region(indices[caught], np.stack([regions[at] for at in caught]))}

  def _painted_by_region(self, indices, regions):
    """As `painted_by_region`; a picture in which there is nothing of a region is as it was."""
    pixels, painted = self._audited.seen(indices).pixels, {}
    for number, name in with_progress(list(enumerate(FACE_REGIONS)), "painting parts of faces over", unit="parts"):
      masks = np.where(regions == number, INSIDE, 0).astype(np.uint8)
      painted[name] = self._parts(
          f"painted_{name}_{checksum(masks):08x}",
          lambda masks=masks: faithfulness.painted_over(self._audited.detector, pixels, masks))
    return painted_by_region(self._audited.probabilities[indices], painted)

  @functools.cached_property
  def _caught_sample(self):
    """bool[n], which fakes of the sample are called fake: of the others there is no evidence to take away."""
    return self._caught(self._sample)

  @functools.cached_property
  def _caught_pixels(self):
    return self._sample_seen.pixels[self._caught_sample]

  @functools.cached_property
  def _ends(self):
    return self._parts("faithful_ends", lambda: faithfulness.curve_ends(self._audited.detector, self._caught_pixels))

  def _trials(self, rows, baselines):
    """{(method, layer): "trials" as `localization` takes them} of every map; {} where no fake is caught.

    Of the sample; maps that lie nearer to the masks than every baseline, and are quickly made, of more fakes.
    """
    caught = self._caught_sample
    if not caught.any():
      return {}
    sampled = {of: values[caught] for of, values in self._sample_maps.items()}
    gains = self._gains("deletion", self._caught_pixels, self._ends, sampled)
    nearest = max(of["energy"].mean() for of in baselines.values())
    near = [(row["method"], row["layer"]) for row in rows
            if row["energy"].mean() > nearest and not METHODS[row["method"]].sampled]
    more = np.sort(self._with_mask[self._caught(self._with_mask)][:TRIED])
    if near and len(more) > caught.sum():
      pixels, methods = self._audited.seen(more).pixels, {name: self._methods[name] for name, _ in near}
      maps = _by_map(self._parts(f"more_maps_{settings_hash(methods)}", lambda: self._maps(methods, pixels)))
      ends = self._parts("more_ends", lambda: faithfulness.curve_ends(self._audited.detector, pixels))
      gains |= self._gains("more_deletion", pixels, ends, {of: maps[of] for of in near})
    sane = self._sanity.get("methods", {})
    return {(name, layer): {
        "deletion": mean_interval(gain), "images": len(gain),
        "depends_on_weights": sane.get(name, {}).get("depends_on_weights")} for (name, layer), gain in gains.items()}

  def _gains(self, part, pixels, ends, maps):
    """{(method, layer): float64[n]}: how much sooner than patches at random what a map marks is missed."""
    area = lambda key, values: faithfulness.area_under(self._parts(
        f"{part}_{settings_hash(key)}", lambda: faithfulness.faithfulness_of_map(
            self._audited.detector, pixels, values, ends, ("inpaint",), ("deletion",))["deletion"])["inpaint"])
    patches = faithfulness.baseline_maps(len(pixels), pixels.shape[1])[faithfulness.RANDOM[1]]
    chance = area("patches", patches)
    return {of: chance - area((*of, self._methods[of[0]]), values)
            for of, values in with_progress(maps.items(), "putting maps to trial", unit="maps")}

  def faithfulness(self, best=None):
    """See `evaluation.faithfulness.faithfulness`: of the sample's caught fakes, the last layer of each method.

    Args: `best`: the map that `localization` calls the best, which is among them, too; None without any.
    """
    caught = self._caught_sample
    if not len(caught):
      raise UserError("there is no fake")
    if not caught.any():
      raise UserError(f"none of {len(caught)} fakes is called fake: there is no evidence to take away")
    maps = self._sample_maps
    shown = {name: [layer for method, layer in maps if method == name][-1:] for name in self._methods}
    if best and best["layer"] not in shown[best["method"]]:
      shown[best["method"]].append(best["layer"])
    wanted = [(name, METHODS[name].title, layer, maps[name, layer][caught])
              for name, layers in shown.items() for layer in layers]
    pixels = self._caught_pixels
    baselines = faithfulness.baseline_maps(len(pixels), pixels.shape[1])
    wanted += [(None, title, None, values) for title, values in baselines.items()]
    rows = []
    for name, title, layer, values in with_progress(wanted, "taking away evidence", unit="maps"):
      curves = self._parts(
          f"faithful_{settings_hash((name, title, layer, self._methods.get(name)))}",
          lambda values=values: faithfulness.faithfulness_of_map(self._audited.detector, pixels, values, self._ends))
      rows.append({"method": name, "title": title, "layer": layer, **curves})
    found = faithfulness.faithfulness(rows, self._sanity)
    measures = AuditedMeasures(self._audited.detector, pixels[:MEASURED], self._methods, self._maps, self._parts)
    return found | {"measures": measures.of([(*row[:3], row[3][:MEASURED]) for row in wanted])}

  @functools.cached_property
  def _sanity(self):
    """As `evaluation.sanity.sanity`, of the methods that are quick enough for it; {"reason"} where none is."""
    names = [name for name in sanity_methods() if name in self._methods]
    if not names:
      return {"reason": "none of the methods is quick enough to be checked against random weights"}
    seen = self._sample_seen[:SANE]
    found = self._parts(f"sanity_{settings_hash(names)}", lambda: {"json": np.array(json.dumps(sanity(
        self._audited.detector, seen, names,
        progress=lambda steps: with_progress(steps, "randomising", unit="layers"))))})
    return json.loads(str(found["json"]))


def _by_map(nested):
  """{method: {layer or '': value}} -> {(method, layer or None): value}."""
  return {(name, layer or None): value for name, layers in nested.items() for layer, value in layers.items()}


def _rows(measured, images):
  """Rows of `localization`'s `per_map` of {(method, layer): {measure: float[N]}}."""
  return [{"method": name, "title": METHODS[name].title, "layer": layer, "images": images, **measures}
          for (name, layer), measures in measured.items()]
