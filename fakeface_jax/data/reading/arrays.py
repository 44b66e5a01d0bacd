"""Images that a Python function was given: checked once, where they come in."""

import os
import types
from typing import Any

import numpy as np

from fakeface_jax.errors import UserError

_EXPECTED = "uint8[height, width, 3] RGB"
_LIST = f"expected a list of images, {_EXPECTED} each"


def photographs(images: Any) -> list[np.ndarray]:
  """Images in memory as a list of uint8[h, w, 3], h and w at least 1.

  Args:
    images: a list (or anything else that yields them) of arrays of any sizes, or one array uint8[N, h, w, 3].
  Raises: UserError saying what was expected, what came, and what to do.
  """
  if _is_path(images):
    raise UserError(f"images is the path {os.fsdecode(images)}; {_LIST}: [read_image(path)]")
  shape = getattr(images, "shape", None)
  if shape is not None and len(shape) != 4:
    single = f"; for a single image write [image], and {_advice(images)}" if len(shape) in (2, 3) else ""
    raise UserError(f"images is one array, {_described(images)}; {_LIST}{single}".removesuffix(", and "))
  if isinstance(images, dict) or not (hasattr(images, "__iter__") or shape is not None):
    raise UserError(f"images is {_described(images)}; {_LIST}")
  if hasattr(images, "mode") and hasattr(images, "convert"):  # Pillow's images can be iterated over, too
    raise UserError(f"images is {_described(images)}; {_LIST}: [np.asarray(image.convert('RGB'))]")
  return [_photograph(number, image) for number, image in enumerate(images)]


def _photograph(number, image):
  shape = tuple(getattr(image, "shape", ()))
  if getattr(image, "dtype", None) != np.uint8 or len(shape) != 3 or shape[-1] != 3:
    advice = _advice(image) or "read files with read_image"
    raise UserError(f"image {number} is {_described(image)}, not {_EXPECTED}; {advice}")
  if 0 in shape:
    raise UserError(f"image {number} is {_described(image)}: a picture of no pixels; leave it out")
  return np.asarray(image)


def _is_path(value):
  return isinstance(value, (str, bytes, os.PathLike))


def _described(value):
  """'float64[4, 4, 3]' of an array, 'str' or 'JpegImageFile' of anything else; a float array's range beside it."""
  if not hasattr(value, "dtype") or not hasattr(value, "shape"):
    return type(value).__name__
  text = f"{value.dtype}{list(value.shape)}"
  if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
    return f"{text} with NaN" if np.isnan(value).any() else f"{text} from {value.min():g} to {value.max():g}"
  return text


def _advice(image):
  """What makes uint8 RGB of an image in another form; '' where nobody can say."""
  if _is_path(image):
    return "read it with read_image"
  if hasattr(image, "mode") and hasattr(image, "convert"):
    return "np.asarray(image.convert('RGB')) is"
  dtype, shape = getattr(image, "dtype", None), tuple(getattr(image, "shape", ()))
  if dtype is None or 0 in shape:
    return ""
  if isinstance(getattr(image, "numpy", None), types.BuiltinMethodType | types.MethodType) and "torch" in str(dtype):
    return "torch's tensors are turned by image.numpy(), with the colours last and values of 0 to 255"
  if len(shape) == 2 or (len(shape) == 3 and shape[-1] == 1):
    return "np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2) makes three channels of a grey one"
  if len(shape) == 3 and shape[-1] == 4:
    return "image[..., :3] leaves the transparency out"
  if len(shape) == 3 and shape[-1] != 3 and shape[0] == 3:
    return "image.transpose(1, 2, 0) puts the colours last"
  if np.dtype(dtype).kind == "f":
    return "scale values of 0 to 1 by np.rint(255 * image).astype(np.uint8)"
  return "np.uint8(image) has values of 0 to 255" if dtype != np.uint8 else ""
