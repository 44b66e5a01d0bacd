"""How the faces of a run's training images sit: measured when it is trained, or when first needed by an older run."""

import dataclasses
import logging
from pathlib import Path

from fakeface_jax.data.faces.framing import keep_framing, read_framing
from fakeface_jax.errors import UserError
from fakeface_jax.runs.records import split_of_run
from fakeface_jax.workdir import FRAMING_FILE, read_config

log = logging.getLogger(__name__)


def with_framing(detector, workdir):
  """The detector with the framing of its run, as far as that can be measured; where it cannot, that is said."""
  known, framing = read_framing(Path(workdir) / FRAMING_FILE)
  if not known:
    try:
      framing = keep_framing(split_of_run(read_config(workdir), "train"), workdir)
    except UserError as error:
      log.warning("How faces sit in this run's training images is not known, and they cannot be had: %s", error)
  return dataclasses.replace(detector, framing=framing)
