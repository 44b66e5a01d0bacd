"""The feature maps of one image as a picture: a row for every layer, its strongest channels first."""

import numpy as np
from PIL import Image, ImageDraw

from fakeface_jax.drawing.lettering import draw_name, font
from fakeface_jax.drawing.panel import FAINT, GAP, INK, PAPER

CELL = 88  # px
CAPTION = 30
MARGIN = 120  # for the names of layers
LEGEND = (
    "The channels of each layer that respond most strongly, strongest first. Mid-grey is 0; white and black are plus"
    " and minus the number below, the channel's own largest.")


def draw_feature_grid(maps, name):
  """The strongest channels of each layer, in greys of their own.

  Args:
    maps: {layer: {"maps": float32[h, w, K], "channels": int32[K]}} of one image.
    name: of the image, for the title.
  Returns: a PIL image, RGB.
  """
  columns = max(values["maps"].shape[-1] for values in maps.values())
  row = CELL + CAPTION + GAP
  canvas = Image.new("RGB", (MARGIN + columns * (CELL + GAP), 60 + row * len(maps)), PAPER)
  draw = ImageDraw.Draw(canvas)
  title = "Feature maps of "
  draw.text((GAP, 8), title, INK, font(16))
  start = GAP + font(16).getlength(title)
  draw_name(draw, (start, 9), name, INK, 14, canvas.width - GAP - start)
  draw.text((GAP, 32), LEGEND, FAINT, font(12))
  for y, (layer, values) in enumerate(maps.items()):
    corner = 60 + row * y
    draw.text((GAP, corner + CELL // 2), layer, INK, font(13), anchor="lm")
    draw.text((GAP, corner + CELL // 2 + 18), "{} x {}".format(*values["maps"].shape[:2]), FAINT, font(11), anchor="lm")
    for x, channel in enumerate(values["channels"]):
      response = values["maps"][..., x]
      largest = float(np.abs(response).max())
      grey = (128 + 127 * response / max(largest, 1e-12)).astype(np.uint8)
      tile = Image.fromarray(grey).resize((CELL, CELL), Image.Resampling.NEAREST)
      left = MARGIN + x * (CELL + GAP)
      canvas.paste(tile.convert("RGB"), (left, corner))
      draw.text((left, corner + CELL + 1), f"channel {channel}", INK, font(11))
      draw.text((left, corner + CELL + 14), f"{largest:.3g}", FAINT, font(11))
  return canvas
