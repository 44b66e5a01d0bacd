"""The batch size of a training where nobody asked for one: the config file's, brought to the devices there are."""

import logging

import jax

from fakeface_jax.commands.command_line import is_given
from fakeface_jax.errors import UserError
from fakeface_jax.workdir import begun_with

log = logging.getLogger(__name__)


def fit_batch_size(config, workdir, step=1):
  """Replaces `config.batch_size` where the command line does not give it and it cannot be split over all devices.

  It is rounded up, as the smallest batch is one image a device, and that is said; the learning rate stays. A run that
  goes on keeps the one it has.

  Args: `step`: what the images that a device gets are a multiple of.
  Raises: UserError where a run that goes on cannot be split over these devices.
  """
  if is_given("batch_size"):
    return
  begun, unit = begun_with(workdir, "batch_size"), step * jax.device_count()
  if begun is None:
    fitting = -(-config.batch_size // unit) * unit
    if fitting != config.batch_size:
      log.info("Batches of %d images instead of %d, to be split over %d devices; the learning rate stays.",
               fitting, config.batch_size, jax.device_count())
  elif isinstance(begun, int) and begun % unit == 0:
    fitting = begun
  else:
    raise UserError(
        f"workdir={workdir} holds a run with batches of {begun} images, which cannot be split over"
        f" {jax.device_count()} devices; go on with as many devices as it was begun with, or choose another folder")
  config.batch_size = fitting
