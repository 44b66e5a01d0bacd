"""From a photograph to the picture of its face: the same square, size and encoding for whatever comes in.

The face stands in the middle of every picture and fills the same share of it; an image where that is not possible
without padding or enlarging is refused, because either would tell the classes apart.
"""

import io

import numpy as np
from PIL import Image, ImageCms

from fakeface_jax.data.reading.images import encode_image

MARGIN = 1.25  # side of the square, in sides of the face (the square root of its box's area)
RISE = 0.06  # how far the square's middle lies above the face's, likewise; 98 % of faces aligned as FFHQ's fit then
QUALITY = 90
SMALLEST = 5  # a face has to be at least 1 / SMALLEST of the shorter side
RGB_PROFILE = b"RGB "


class LeftOut(Exception):
  """An image that cannot be used: `reason`, one of few, and `detail`."""

  def __init__(self, reason, detail=""):
    super().__init__(reason, detail)
    self.reason, self.detail = reason, detail


def face_square(image, detect):
  """The square around an image's largest face, (left, top, side) in pixels; it may reach over the image's edge.

  Args:
    image: uint8[H, W, 3].
    detect: a function as `faces.detect.face_detector` makes it.
  Raises: LeftOut where no face is found.
  """
  faces = [box for box in detect(image) if box.side * SMALLEST >= min(image.shape[:2])]
  if not faces:
    raise LeftOut("no face found")
  face = max(faces, key=lambda box: box.side)
  side = round(face.side * MARGIN)
  return round(face.centre[0] - side / 2), round(face.centre[1] - face.side * RISE - side / 2), side


def cut_out(image, square, size):
  """The square of an image, `size` pixels wide: uint8[size, size, 3].

  Raises: LeftOut where the square is smaller than that, or not all of it is in the image.
  """
  left, top, side = square
  if side < size:
    raise LeftOut("face too small", f"{side} px with its surroundings, {size} px needed")
  height, width = image.shape[:2]
  if left < 0 or top < 0 or left + side > width or top + side > height:
    raise LeftOut("face too near the edge", f"{side} px around it do not fit into {width} x {height}")
  box = (left, top, left + side, top + side)
  return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS, box))


def encode(pixels):
  """A JPEG's bytes without any metadata. Args: uint8[H, W, 3]."""
  return encode_image(pixels, "JPEG", quality=QUALITY)


def in_srgb(image, data):
  """An image's colours as its colour profile means them; cameras and phones often write others than sRGB.

  Args:
    image: uint8[H, W, 3], decoded from `data`.
    data: the file's bytes.
  Returns: uint8[H, W, 3]; the image itself where it has no RGB profile that can be read.
  """
  try:
    profile = Image.open(io.BytesIO(data)).info.get("icc_profile")
    if not profile or profile[16:20] != RGB_PROFILE:
      return image
    theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(Image.fromarray(image), theirs, ImageCms.createProfile("sRGB"))
  except (OSError, ImageCms.PyCMSError):
    return image  # a broken profile beside sound pixels: viewers show such an image as it is
  return np.asarray(converted)
