"""What was changed in a picture, outlined."""

import numpy as np
from PIL import Image


def outlined(picture, mask):
  """A picture uint8[H, W, 3] with a white line, dark on either side, around what a mask uint8[h, w] calls changed."""
  from scipy import ndimage  # slow to import, and few need it

  inside = np.asarray(Image.fromarray(np.uint8(mask == 255) * np.uint8(255)).resize(
      picture.shape[1::-1], Image.Resampling.BILINEAR)) > 127
  grown = lambda steps: ndimage.binary_dilation(inside, iterations=steps)
  line = grown(1) & ~inside
  around = grown(2) & ~ndimage.binary_erosion(inside, border_value=1) & ~line
  picture = np.where(around[..., None], picture // 3, picture)
  return np.where(line[..., None], np.uint8(255), picture)
