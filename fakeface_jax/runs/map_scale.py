"""The scale of a run's maps: measured on its validation fakes when first needed, and kept in the run's folder."""

import dataclasses
import json
import logging
from pathlib import Path

from fakeface_jax.data.schema import FAKE
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.explain.methods import METHODS, Resolved
from fakeface_jax.explain.scale import measure_scale, missing_from
from fakeface_jax.progress import in_parts
from fakeface_jax.runs.records import first_images, split_of_run
from fakeface_jax.workdir import SCALE_FILE, read_config, write_whole

log = logging.getLogger(__name__)

FAKES, FAKES_IF_SAMPLED = 64, 8


def with_scale(detector, workdir, settings):
  """The detector with a scale for every map of these methods, as far as the run's data are there.

  Args: `settings`: {method: settings}, as `resolve_methods` returns them.
  Returns: the detector; what could not be measured stays missing, and that is said.
  """
  missing = missing_from(detector.map_scale or {}, settings)
  if not missing:
    return detector
  try:
    fakes = first_images(split_of_run(read_config(workdir), "val"), FAKES, FAKE)
    if not fakes:
      raise UserError("there is no fake among them")
  except UserError as error:
    log.warning("No scale for %s in this run, and its validation images cannot be had: %s", ", ".join(missing), error)
    return detector
  scale = dict(detector.map_scale or {})
  for name, given in missing.items():
    images = fakes[:FAKES_IF_SAMPLED] if METHODS[name].sampled else fakes
    size = detector.engine.batch_size
    title = f"{METHODS[name].title}: strength on {len(images)} validation fakes, once"
    results = [
        result for start in in_parts(len(images), size, title)
        for result in detector.explain(
            images[start : start + size], methods=Resolved({name: given}))]
    scale |= measure_scale(results)
  try:
    write_whole(Path(workdir) / SCALE_FILE, json.dumps(scale, indent=2) + "\n")
  except OSError as error:
    log.warning("The scale could not be kept in %s: %s", workdir, of_disk(error))
  return dataclasses.replace(detector, map_scale=scale)
