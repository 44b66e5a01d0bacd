"""The photographs that expected_gradients compares with: chosen from a run's validation images, kept in its folder."""

import dataclasses
import logging
from pathlib import Path

import numpy as np

from fakeface_jax.data.schema import FAKE, REAL
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.explain.methods import METHODS
from fakeface_jax.runs.records import first_images, split_of_run
from fakeface_jax.workdir import BACKGROUND_FILE, read_config, whole_file

log = logging.getLogger(__name__)

BACKGROUND_IMAGES = 32


def with_run_background(detector, workdir, methods):
  """The detector with the run's photographs, where one of the methods needs them and the run's data are there."""
  if detector.background is not None or not any("background" in METHODS[name].arguments for name in methods):
    return detector
  try:
    images = choose_background(read_config(workdir), detector)
  except UserError as error:
    log.warning("There are no photographs to compare with, and the run's validation images cannot be had: %s", error)
    return detector
  try:
    keep_background(workdir, images)
  except OSError as error:
    log.warning("The photographs to compare with could not be kept: %s", of_disk(error))
  return dataclasses.replace(detector, background=images)


def keep_background(workdir, images):
  """Writes the run's file. Raises: OSError."""
  with whole_file(Path(workdir) / BACKGROUND_FILE) as path:
    np.savez_compressed(path, images=images)


def choose_background(config, detector):
  """uint8[K, crop, crop, 3]: validation images of both classes by turns, as the network sees them."""
  source = split_of_run(config, "val")
  classes = [detector.prepare(first_images(source, BACKGROUND_IMAGES // 2, label)).pixels for label in (REAL, FAKE)]
  return np.stack([image for pair in zip(*classes, strict=False) for image in pair])
