"""What was changed in a picture, outlined."""

import numpy as np
from PIL import Image


def outlined(picture, mask):
  """A picture uint8[H, W, 3] with a white line, dark on either side, around what a mask uint8[h, w] calls changed."""
  return with_lines(picture, lines_around(mask, picture.shape[:2]))


def lines_around(mask, shape):
  """(the white line, the dark ones), bool[H, W] each, around what a mask calls changed, for pictures of that shape."""
  from scipy import ndimage  # slow to import, and few need it

  inside = np.asarray(Image.fromarray(np.uint8(mask == 255) * np.uint8(255)).resize(
      shape[::-1], Image.Resampling.BILINEAR)) > 127
  width = max(1, round(min(shape) / 256))  # px
  grown = lambda steps: ndimage.binary_dilation(inside, iterations=steps * width)
  line = grown(1) & ~inside
  return line, grown(2) & ~ndimage.binary_erosion(inside, iterations=width, border_value=1) & ~line


def with_lines(picture, lines):
  """A copy of a picture uint8[H, W, 3] with what `lines_around` returned for its size."""
  picture, (line, around) = picture.copy(), lines
  picture[around] //= 3
  picture[line] = 255
  return picture
