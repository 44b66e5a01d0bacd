"""Fine-tune a ResNet to tell real faces from fake ones, and see why it decides."""

from typing import TYPE_CHECKING

from fakeface_jax.errors import UserError

if TYPE_CHECKING:
  from fakeface_jax.data.reading.images import read_image
  from fakeface_jax.detector import Detector, load

__all__ = ["Detector", "UserError", "load", "read_image"]

if not TYPE_CHECKING:

  def __getattr__(name):
    """What is imported when it is first asked for, as that takes seconds."""
    if name in ("Detector", "load"):
      from fakeface_jax import detector

      return getattr(detector, name)
    if name == "read_image":
      from fakeface_jax.data.reading.images import read_image

      return read_image
    raise AttributeError(f"module 'fakeface_jax' has no attribute {name!r}")
