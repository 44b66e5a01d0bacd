"""Fine-tune a ResNet to tell real faces from fake ones, and see why it decides."""

import sys
from typing import TYPE_CHECKING

from fakeface_jax.errors import UserError

if TYPE_CHECKING:
  from fakeface_jax.data.reading.images import read_image
  from fakeface_jax.detector import Detector, load
  from fakeface_jax.runs.panels import panels

if sys.platform == "win32":
  raise ImportError("fakeface_jax runs on Linux and macOS; on Windows, run it in WSL (Windows Subsystem for Linux)")

__all__ = ["Detector", "UserError", "load", "panels", "read_image"]

if not TYPE_CHECKING:

  def __getattr__(name):
    """What is imported when it is first asked for, as that takes seconds."""
    if name in ("Detector", "load"):
      from fakeface_jax import detector

      return getattr(detector, name)
    if name == "read_image":
      from fakeface_jax.data.reading.images import read_image

      return read_image
    if name == "panels":
      from fakeface_jax.runs.panels import panels

      return panels
    raise AttributeError(f"module 'fakeface_jax' has no attribute {name!r}")
