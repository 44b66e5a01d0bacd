"""The cases of an audit, sorted as the article sorts its own: a picture and a panel of each, with what was changed."""

import numpy as np
from PIL import Image

from fakeface_jax.audit.parts import settings_hash
from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.data.schema import DIFFICULTIES, LABELS, REGIONS, THRESHOLD
from fakeface_jax.drawing.outline import outlined
from fakeface_jax.drawing.panel import CALIBRATED, draw_panel
from fakeface_jax.evaluation.localization import name_of
from fakeface_jax.evaluation.placement import INSIDE, UNKNOWN, placed, rectified
from fakeface_jax.evaluation.whereabouts import landmarks
from fakeface_jax.explain.methods import DEFAULT_METHODS, METHODS, maps_of, resolve_methods
from fakeface_jax.explain.scale import measure_scale, missing_from
from fakeface_jax.progress import in_parts
from fakeface_jax.runs.best_map import with_map
from fakeface_jax.runs.cases import STUDY_GROUPS, pick_study
from fakeface_jax.runs.map_scale import with_scale
from fakeface_jax.runs.sanity import trust
from fakeface_jax.workdir import write_whole

EACH = 12  # cases of a group
THUMBNAIL = 160  # px
QUALITY = 82  # JPEG, of the pictures
CHUNK = 8  # cases that are drawn before they are kept


def cases(audited, workdir, best, sane, parts, out):
  """Picks and draws the cases; their pictures are written below `out`/cases.

  Args:
    audited: an `Audited`.
    workdir: the run's folder, for the scale of its maps.
    best: {"method", "layer", "title", ...} of the map whose energy is told; None for the last Grad-CAM.
    sane: {method: whether it depends on the weights}, of those that were checked, for the panels.
    parts: a `Parts`.
    out: the audit's folder.
  Returns: {"groups", "map", "items"}, ready for JSON.
  """
  difficulties = [DIFFICULTIES[i] for i in audited.difficulties]
  counts, picked = pick_study(audited.labels.tolist(), audited.probabilities.tolist(), difficulties, EACH)
  detector = audited.detector
  settings = resolve_methods(detector.model, DEFAULT_METHODS)
  known = (best["method"], best["layer"]) if best else None
  settings = with_map(detector.model, settings, known)
  detector = with_scale(detector, workdir, settings)
  check = trust(sane, settings)
  told = best or {"method": "gradcam", "title": METHODS["gradcam"].title, "layer": settings["gradcam"]["layers"][-1]}
  chosen = [(group, i) for group, members in picked.items() for i in members]
  (out / "cases").mkdir(parents=True, exist_ok=True)
  items = []
  for start in in_parts(len(chosen), CHUNK, "drawing cases"):
    batch = chosen[start : start + CHUNK]
    drawn = parts(f"cases_{settings_hash((name_of(told), known, check))}_{start:05d}", lambda batch=batch: _draw(
        audited, detector, settings, [i for _, i in batch], told, known, check))
    for number, (group, i) in enumerate(batch):
      name = f"{start + number + 1:04d}"
      for suffix, picture in (("", "thumbnail"), ("_panel", "panel")):
        write_whole(out / "cases" / f"{name}{suffix}.jpg", drawn[f"{picture}_{number}"].tobytes())
      placed_here = not audited.unplaced[i]
      items.append({
          "id": name, "path": audited.names[i], "label": LABELS[audited.labels[i]],
          "verdict": LABELS[int(audited.probabilities[i] >= THRESHOLD)], "probability": float(audited.probabilities[i]),
          "group": group, "difficulty": difficulties[i] if difficulties[i] != "none" else None,
          "regions": [region for region, bit in zip(REGIONS, audited.regions[i], strict=True) if bit],
          "energy": float(drawn["energy"][number]) if placed_here else None,
          "area": float(drawn["area"][number]) if placed_here else None,
          "thumbnail": f"cases/{name}.jpg", "panel": f"cases/{name}_panel.jpg"})
  return {
      "groups": {group: {"title": STUDY_GROUPS[group], "images": count} for group, count in counts.items()},
      "map": name_of(told), "items": items}


def _draw(audited, detector, settings, indices, told, best, check):
  """{"energy", "area": float[n], "thumbnail_0", "panel_0", ...: JPEG bytes as uint8[length]} of some images."""
  seen, masks = audited.seen(indices), audited.masks(indices)
  results = detector.explain_seen(seen, methods=settings)
  drawn = {"energy": np.full(len(seen), np.nan), "area": np.full(len(seen), np.nan)}
  with_mask = [number for number, i in enumerate(indices) if not audited.unplaced[i]]
  if with_mask:
    drawn["energy"][with_mask] = _energy([results[number] for number in with_mask], masks[with_mask], told)
    drawn["area"][with_mask] = [(mask == INSIDE).sum() / (mask != UNKNOWN).sum() for mask in masks[with_mask]]
  scale, note = detector.map_scale or {}, CALIBRATED
  if missing_from(scale, results[0]["settings"]):
    scale, note = measure_scale(results) | scale, f"the strength that the strongest of {len(results)} images here reach"
  for number, i in enumerate(indices):
    mask = masks[number] if number in with_mask else None
    picture = Image.fromarray(seen.pixels[number])
    thumbnail = np.asarray(picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC))
    drawn[f"thumbnail_{number}"] = _jpeg(thumbnail if mask is None else outlined(thumbnail, mask))
    drawn[f"panel_{number}"] = _jpeg(draw_panel(
        results[number], audited.names[i], scale, note, check, mask, audited.labels[i], best=best,
        points=landmarks(seen.pixels[number])))
  return drawn


def _energy(results, masks, told):
  """float64[n], the energy inside the mask of one map."""
  wanted = told["method"], told["layer"]
  maps = [values for result in results for name, layer, values in maps_of(result, result["settings"])
          if (name, layer) == wanted]
  return placed(rectified(METHODS[told["method"]].kind, np.stack(maps)), masks)["energy"]


def _jpeg(picture):
  return np.frombuffer(encode_image(picture, "JPEG", quality=QUALITY), np.uint8)
