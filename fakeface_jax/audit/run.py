"""The article's study of a detector, as JSON and a page: what is caught and missed, where it looked, how sure to be.

Long parts are kept below `parts/` piece by piece: an audit that was interrupted goes on, and one given again with other
methods takes what it can from there.
"""

import json
import logging
import shlex
from importlib.metadata import version
from pathlib import Path

import numpy as np

from fakeface_jax.audit.cases import cases
from fakeface_jax.audit.images import predicted, read_audited
from fakeface_jax.audit.maps import AuditedMaps
from fakeface_jax.audit.page.render import render_page
from fakeface_jax.audit.parts import Parts, is_ours, settings_hash
from fakeface_jax.data.checking.overlap import in_words
from fakeface_jax.data.schema import FAKE, REAL
from fakeface_jax.data.splits import RunSplits, what_to_score
from fakeface_jax.detector import checksum, load
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.evaluation.detection import detection
from fakeface_jax.evaluation.probability import probability_of_fake
from fakeface_jax.evaluation.robustness import CORRUPTIONS, corrupted_probabilities, robustness
from fakeface_jax.explain.methods import METHODS, resolve_methods
from fakeface_jax.locks import locked
from fakeface_jax.outputs import check_new
from fakeface_jax.paths import user_path
from fakeface_jax.progress import with_progress
from fakeface_jax.runs.background import with_run_background
from fakeface_jax.runs.best_map import AUDIT, FIGURES_FILE
from fakeface_jax.verdict.conformal import Calibration, coverage
from fakeface_jax.workdir import read_config, refuse_strangers, write_whole

log = logging.getLogger(__name__)

SLOWEST = ("scorecam", "rise", "lime", "shap")  # hundreds of network evaluations for an image: only where asked for
ROBUST = 300  # images that are corrupted
PAGE_FILE = "report.html"
CASES, PARTS = "cases", "parts"  # folders


def audit_run(workdir, *, data=None, split=None, out=None, methods=None, batch_size=None, overwrite=False):
  """Audits a run's detector; writes `report.html`, `audit.json` and the pictures of the cases.

  Args:
    workdir: the run's folder.
    data, split: what to audit it on, as `commands.evaluate.evaluate_run` takes them.
    out: folder; by default audit/ in the run's.
    methods: as `Detector.explain` takes them; by default all but SLOWEST.
    batch_size: images per compiled call, and images a step of a prediction, as `detector.load` takes it.
    overwrite: whether a finished audit that is in `out` may be replaced.
  Returns: (the audit, as it is in `audit.json`; the folder; [(name, reason)] of the images and masks left out).
  Raises: UserError where there is nothing to audit, no room for the result, or something in its place. What only one
    section lacks is said in that section's `reason`.
  """
  workdir = Path(user_path(workdir))
  own = workdir / AUDIT
  out = Path(user_path(out or own))
  try:
    out.mkdir(parents=True, exist_ok=True)
    with locked(out, busy=f"out={out} is being written to"):
      return _audit(workdir, data, split, out, own, methods, batch_size, overwrite)
  except OSError as error:
    raise UserError(f"out={out} cannot be written: {of_disk(error)}") from error


def _audit(workdir, data, split, out, own, methods, batch_size, overwrite):
  config, detector = read_config(workdir), load(workdir, batch_size)
  resolved = resolve_methods(detector.model, methods or [name for name in METHODS if name not in SLOWEST])
  check_new(out / PAGE_FILE, overwrite)  # written last: without it an audit is not finished
  detector = with_run_background(detector, workdir, resolved)
  run = RunSplits(config, quiet=True)
  dataset, split, held_out = what_to_score(config, data, split)
  source = dataset[split]
  state = {
      "weights": checksum(detector.variables), "data": dataset.fingerprint, "split": split,
      "pixels": [detector.resize, detector.crop], "dtype": np.dtype(detector.model.dtype).name,
      "background": checksum(detector.background), "version": version("fakeface-jax")}
  if out != own and not is_ours(out / PARTS, state):
    refuse_strangers(out, (PARTS, CASES, PAGE_FILE, FIGURES_FILE))
  parts = Parts(out / PARTS, state)
  step = detector.engine.batch_size
  audited = read_audited(detector, source, parts, step)
  left_out = [tuple(row) for kind in ("unreadable", "masks_ignored") for row in dataset.metadata.get(kind) or []]
  seen = None if held_out else _seen(run, source, parts)
  maps = AuditedMaps(audited, resolved, parts)
  located = _section(maps.localization)
  best = None if "reason" in located.get("best", {"reason": ""}) else located["best"]
  faithful = _section(lambda: maps.faithfulness(best))
  sane = {name: scores["depends_on_weights"] for name, scores in faithful.get("sanity", {}).get("methods", {}).items()}
  audit = {
      "about": {
          "workdir": str(workdir), "data": dataset.name, "split": split, "images": len(audited.labels),
          "real": int(np.sum(audited.labels == REAL)), "fake": int(np.sum(audited.labels == FAKE)),
          "network": f"{detector.model.title}, {detector.crop} px", "weights": f"{state['weights']:08x}",
          "unreadable": [list(row) for row in left_out], "notes": maps.notes, "seen_in_training": seen,
          "command": shlex.join([
              "python", "scripts/audit.py", "--workdir", str(workdir), *(["--data", str(data)] if data else ()),
              "--split", split, *(["--methods", ",".join(resolved)] if methods else ()),
              *(["--out", str(out)] if out != own else ())]),
          "versions": {"fakeface_jax": version("fakeface-jax"), "jax": version("jax")}},
      "detection": _section(lambda: _detection(run, dataset, split, audited, parts, step, seen)),
      "localization": located, "faithfulness": faithful, "robustness": _section(lambda: _robustness(audited, parts)),
      "cases": _section(lambda: cases(audited, workdir, best, sane, parts, out))}
  write_whole(out / FIGURES_FILE, json.dumps(audit, indent=1, allow_nan=False) + "\n")
  write_whole(out / PAGE_FILE, render_page(audit, out, detector.model.layers))
  return audit, out, left_out


def _seen(run, source, parts):
  """As `RunSplits.seen`; what was found is kept as long as the run's own data stay as they are."""
  try:
    state = settings_hash([run.fingerprint("train"), run.fingerprint("val")])
  except UserError:
    return run.seen(source)
  return json.loads(str(parts(f"seen_{state}", lambda: {"json": np.array(json.dumps(run.seen(source)))})["json"]))


def _section(compute):
  """What `compute` returns, or {"reason"} where there is nothing to compute it from; the other sections go on."""
  try:
    return compute()
  except UserError as error:
    log.warning("%s", error)
    return {"reason": str(error)}


def _detection(run, dataset, split, audited, parts, step, seen):
  validation = _validation(run, dataset, split, audited.detector, parts, step)
  found = detection(
      audited.labels, audited.probabilities, regions=audited.regions, difficulties=audited.difficulties,
      sizes=audited.sizes, sources=audited.names, validation=validation)
  found["conformal"] = {"reason": validation} if isinstance(validation, str) else coverage(
      Calibration(*validation), audited.labels, audited.probabilities)
  return found | {"verdict": " ".join(filter(None, [in_words(seen), found["verdict"]]))}


def _validation(run, dataset, split, detector, parts, step):
  """(labels, probabilities) of the run's validation images, or why there are none to set a threshold on."""
  try:
    source, name = run["val"], run.name("val")
  except UserError as error:
    return f"the run's validation images cannot be had: {error}"
  if (run.dataset("val").fingerprint, name) == (dataset.fingerprint, split):
    return "the images audited are the run's validation images themselves"
  said = parts("validation", lambda: predicted(detector, source, step, "judging validation images"))
  return said["labels"], probability_of_fake(said["logits"])


def _robustness(audited, parts):
  labels = audited.labels
  indices = np.arange(len(labels))
  if len(labels) > ROBUST:  # as many of each class as the set has, in proportion
    order = np.random.default_rng(0).permutation(indices)
    order = order[np.argsort(labels[order], kind="stable")]
    indices = np.sort(order[np.linspace(0, len(order) - 1, ROBUST).round().astype(int)])
  levels = [(name, level) for name, corruption in CORRUPTIONS.items() for level in corruption.levels]
  stored, by_level = audited.stored(indices), {}
  for name, level in with_progress(levels, "corrupting images", unit="levels"):
    said = parts(f"robust_{name}_{level:g}", lambda name=name, level=level: {
        "probabilities": corrupted_probabilities(audited.detector, stored, name, level)})
    by_level.setdefault(name, {})[level] = said["probabilities"]
  return robustness(labels[indices], audited.probabilities[indices], by_level)
