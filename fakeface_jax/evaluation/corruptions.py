"""What happens to photographs on their way: compressed, blurred, made smaller, lit otherwise, cropped.

A corruption takes a photograph as it is stored, before it is cut to a network's input, because that is where it happens
to files. But lengths are meant in the pixels that the network sees: a blur of one pixel of a file of 4,000 is none.
"""

import dataclasses

import numpy as np
import simplejpeg
from PIL import Image, ImageFilter


@dataclasses.dataclass(frozen=True)
class Corruption:
  """One way to spoil a photograph, at several levels."""

  title: str  # for people, of a curve; the unit is that of its axis
  unit: str
  words: str  # of one level in a sentence, such as 'a blur of {} px'
  levels: tuple[float, ...]  # what is tried, in numbers of `unit`
  untouched: float  # the level that changes nothing, or hardly anything; the farther from it the worse


CORRUPTIONS = {
    "jpeg": Corruption("JPEG", "quality", "JPEG of quality {}", (95, 90, 75, 60, 45, 30), 100),
    "blur": Corruption("blur", "px of the network's input", "a blur of {} px", (0.5, 1, 2, 3), 0),
    "noise": Corruption("noise", "grey values", "noise of {} grey values", (2, 5, 10, 20), 0),
    "resize": Corruption("low resolution", "of the resolution", "{} of the resolution", (0.75, 0.5, 0.35, 0.25), 1),
    "brightness": Corruption(
        "brightness", "times the grey values", "{} times the brightness", (0.5, 0.75, 1.25, 1.5), 1),
    "crop": Corruption("crop", "of the sides", "a crop to the middle {}", (0.95, 0.9, 0.8, 0.7), 1),
}


def corrupted(image, name, level, *, resize, key):
  """A photograph as it is after a corruption of `CORRUPTIONS`.

  Args:
    image: uint8[H, W, 3], as stored.
    resize: the length that the network's input has on its shorter side, in pixels; None where that is the image's own
      (see `square.resize_and_crop`).
    key: ints that the noise follows from: the same at every level, so that levels differ by their strength alone.
  Returns: uint8[h, w, 3], of the image's size unless it is cropped.
  """
  height, width = image.shape[:2]
  scale = min(height, width) / resize if resize else 1  # pixels of the image that make one of the network's
  if name == "jpeg":  # with halved colours, as most programs do
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=int(level), colorsubsampling="420")
    return simplejpeg.decode_jpeg(data)
  if name == "blur":  # Gaussian; Pillow's, whose time does not grow with it
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(level * scale)))
  if name == "resize":  # down to a share of the resolution that the network sees, or of its own if that is lower
    size = [max(1, round(side * level / max(scale, 1))) for side in (width, height)]
    picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
  if name == "crop":  # the middle, a share of either side
    size = [max(1, round(side * level)) for side in (height, width)]
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    return image[top : top + size[0], left : left + size[1]]
  if name == "noise":  # Gaussian, of each stored pixel and colour for itself
    values = image + np.float32(level) * np.random.default_rng(key).standard_normal(image.shape, np.float32)
  else:
    values = image * np.float32(level)  # white at most
  return np.uint8(np.clip(np.rint(values), 0, 255))
