"""How work is laid over devices: one mapped axis, batches split along it, everything else replicated."""

import os

import jax
import numpy as np
import psutil

from fakeface_jax.errors import UserError

AXIS = "device"


def check_platform():
  """Raises UserError where JAX cannot use the devices that it was asked for."""
  try:
    jax.devices()
  except (RuntimeError, AssertionError) as error:  # the second where JAX_PLATFORMS=cuda finds no plugin
    asked = os.environ.get("JAX_PLATFORMS")
    named = f"JAX_PLATFORMS={asked} cannot be had here" if asked else "no device can be used"
    why = " ".join(str(error).partition("(set JAX_PLATFORMS")[0].split()).rstrip(".")
    raise UserError(
        f"{named}{f' ({why})' if why else ''}; unset JAX_PLATFORMS, or set it to cpu; what a GPU or a TPU needs is"
        " installed by pip install '.[cuda12]' or '.[tpu]'") from error


def on_cpu():
  return jax.default_backend() == "cpu"


def to_devices(batch):
  """This process's batch {name: [B, ...]} as {name: [D, B / D, ...]} for its D local devices."""
  devices = jax.local_device_count()
  return {name: value.reshape(devices, -1, *value.shape[1:]) for name, value in batch.items()}


def replicate(tree, devices=None):
  """A tree of arrays on every device, so that a mapped function with `in_axes=None` need not bring them there.

  Args: `devices`: those of the mapped function, all by default.
  """
  if not jax.tree.leaves(tree):
    return tree
  put = jax.pmap(lambda tree, _: tree, axis_name=AXIS, in_axes=(None, 0), out_axes=None, devices=devices)
  return put(tree, np.zeros(jax.local_device_count()))


def check_batch_size(batch_size):
  """Raises UserError where a batch cannot be split evenly over all devices."""
  devices = jax.device_count()
  if batch_size < 1 or batch_size % devices:
    nearest = max(1, round(batch_size / devices)) * devices
    raise UserError(
        f"config.batch_size={batch_size} cannot be split over {devices} devices; use a multiple, such as {nearest}")


def available_memory():
  """Bytes that are free on each local device."""
  stats = jax.local_devices()[0].memory_stats() or {}
  if "bytes_limit" in stats:
    return stats["bytes_limit"] - stats["bytes_in_use"]
  return psutil.virtual_memory().available // jax.local_device_count()
