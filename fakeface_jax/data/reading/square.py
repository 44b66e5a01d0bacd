"""From an image to the square that a network takes."""

import numpy as np
from PIL import Image

from fakeface_jax.errors import UserError

BLACK, NOBODY_KNOWS = 0, 128  # what is put around an image, and around its mask, where there is too little of it


def resize_and_crop(image: np.ndarray, resize: int | None, crop: int, *, position=None) -> np.ndarray:
  """Shorter side to `resize` pixels (bilinear, antialiased), then a `crop` x `crop` window of the result.

  Pixels are resampled only where the window needs them, and not at all where the shorter side already is `resize`;
  what is cut out without resampling is a view of the image, uncopied.

  Args:
    image: uint8[H, W, 3].
    resize, crop: pixels, 1 <= crop <= resize. With None for `resize` the pixels stay as they are, and an image smaller
      than the window is laid on black in its middle, as torchvision's CenterCrop does.
    position: None for the centre, or the window's place as fractions (fy, fx) of the free way, each in 0..1; drawn
      uniformly from [0, 1), they make every whole-pixel window equally likely.
  Returns: uint8[crop, crop, 3].
  Raises: UserError if crop is larger than resize or one of them is not positive; ValueError for a bad position.
  """
  return _resize_and_crop(image, resize, crop, position, Image.Resampling.BILINEAR, BLACK)


def resize_and_crop_mask(mask: np.ndarray, resize: int | None, crop: int) -> np.ndarray:
  """The window that `resize_and_crop` takes in the centre, of a mask uint8[H, W], by nearest neighbours: no new values.

  A 1 x 1 mask stands for the whole image; what lies around an image is 128, unknown. Returns: uint8[crop, crop].
  """
  if mask.shape == (1, 1):
    return np.full((crop, crop), mask[0, 0])
  return _resize_and_crop(mask, resize, crop, None, Image.Resampling.NEAREST, NOBODY_KNOWS)


def seen_part(shape: tuple[int, int], resize: int | None, crop: int) -> tuple[float, float, float]:
  """Which part of an image (H, W) the window in the centre shows: (left, top, side), in the image's pixels.

  It reaches over the edges of an image that is smaller than the window, where `resize` is None.
  """
  if resize is None:
    left, top = (round(free / 2) if free >= 0 else -(-free // 2) for free in (shape[1] - crop, shape[0] - crop))
    return left, top, crop
  height, width = (max(resize, round(side * resize / min(shape))) for side in shape)
  step_y, step_x = shape[0] / height, shape[1] / width
  return round((width - crop) / 2) * step_x, round((height - crop) / 2) * step_y, crop * min(step_y, step_x)


def _resize_and_crop(image, resize, crop, position, resampling, around):
  if not 1 <= crop <= (crop if resize is None else resize):
    raise UserError(f"crop {crop}, resize {resize}: expected 1 <= crop <= resize; make crop smaller or resize larger")
  if resize is None:
    image = _at_least(image, crop, around)
  sides = image.shape[:2]
  resize = resize or min(sides)
  height, width = (max(resize, round(side * resize / min(sides))) for side in sides)
  top, left = (_offset(free - crop, place) for free, place in zip(
      (height, width), position or (None, None), strict=True))
  if sides == (height, width):
    return image[top:top + crop, left:left + crop]
  step_y, step_x = sides[0] / height, sides[1] / width
  box = (left * step_x, top * step_y, (left + crop) * step_x, (top + crop) * step_y)
  box = (*box[:2], min(box[2], sides[1]), min(box[3], sides[0]))  # rounding must not push it over the edge
  return np.array(Image.fromarray(image).resize((crop, crop), resampling, box))


def _at_least(image, side, around):
  """An image in the middle of one whose sides are `side` at least; itself where its own are."""
  missing = [max(0, side - length) for length in image.shape[:2]]
  if not any(missing):
    return image
  before_and_after = [(length // 2, length - length // 2) for length in missing] + [(0, 0)] * (image.ndim - 2)
  return np.pad(image, before_and_after, constant_values=around)


def _offset(free, place):
  if place is None:
    return round(free / 2)
  if not 0 <= place <= 1:
    raise ValueError(f"position: expected fractions in 0..1, got {place}")
  return min(int(place * (free + 1)), free)
