"""Maps in colours: the only place where a map is brought to them, over a face, over a whole photograph, in a legend.

The usual colour is one violet, clear where nothing speaks and thicker the more does. Faces, hair and skies hardly have
it; whoever sees red and green alike sees it as blue on yellow (`tests/drawing/test_overlay.py` measures both, and that
equal steps of a map look about equal). The article's colours, 'jet', run from blue over green to red, half over all.
"""

import numpy as np
from PIL import Image, ImageDraw

from fakeface_jax.drawing.lettering import font
from fakeface_jax.evaluation.placement import enlarged, rectified
from fakeface_jax.explain.methods import HEATMAP, SENSITIVITY

VIOLET, JET = "violet", "jet"
COLOURS = (VIOLET, JET)

_HUE = (150, 0, 255)
_THICKEST = 0.6  # how much of the photograph is covered in full colour; its features are still seen
_EVEN = 1.3  # exponent with which equal steps of a map look about equal


def _jet(values):
  """Blue (0), cyan, green, yellow, red (1): float[...] in 0..1 -> uint8[..., 3]."""
  return (255 * np.clip(1.5 - np.abs(4 * values[..., None] - np.array([3.0, 2.0, 1.0])), 0, 1)).astype(np.uint8)


def _tables():
  """{colours: uint8[256, 4]}, red, green, blue and opacity for levels from nothing to full colour."""
  level = np.linspace(0, 1, 256)
  tables = {name: np.empty((256, 4), np.uint8) for name in COLOURS}
  tables[VIOLET][:, :3], tables[VIOLET][:, 3] = _HUE, np.round(255 * _THICKEST * level**_EVEN)
  tables[JET][:, :3], tables[JET][:, 3] = _jet(level), 128
  return tables


_TABLES = {name: [band.tolist() for band in table.T] for name, table in _tables().items()}


def layer(cam, shape, full, colours=VIOLET):
  """A map as a layer to lay over a picture.

  Args:
    cam: float32[h, w] >= 0.
    shape: (H, W) of the picture.
    full: the value that is drawn in full colour; where it is 0 nothing ever spoke, and nothing is drawn.
    colours: of COLOURS.
  Returns: uint8[H, W, 4], red, green, blue and opacity.
  """
  return np.asarray(Image.merge("RGBA", _bands(cam, shape, full, colours)))


def heatmap(cam, image, full, colours=VIOLET):
  """A map over an image: float32[h, w] and uint8[H, W, 3] -> uint8[H, W, 3]; the others as `layer` takes them."""
  *rgb, opacity = _bands(cam, image.shape[:2], full, colours)
  return np.asarray(Image.composite(Image.merge("RGB", rgb), Image.fromarray(image), opacity))


def _bands(cam, shape, full, colours):
  level = enlarged(np.float32(cam) * np.float32(255 / max(full, 1e-12)), tuple(shape))
  level = Image.fromarray(level).convert("L")  # clipped to 0..255
  return [level.point(table) for table in _TABLES[colours]]


def evidence(kind, values):
  """A map of any kind as what `heatmap` draws in the same `full`: float32[h, w] >= 0, what moves or adds to the target.

  Pixel gradients count by their mean size over the colours, attributions by what adds.
  """
  return rectified(kind, values) / (3 if kind == SENSITIVITY else 1)


def relief(gradient, full):
  """Signed pixel values float32[H, W, 3] as uint8[H, W, 3]: mid-grey where nothing speaks, `full` black or white."""
  return (128 + 127 * np.clip(gradient / max(full, 1e-12), -1, 1)).astype(np.uint8)


def tint(attribution, image, full):
  """Red for and blue against, over a pale grey image: float32[H, W] and uint8[h, w, 3] -> uint8[h, w, 3]."""
  level = np.clip(enlarged(np.float32(attribution / max(full, 1e-12)), image.shape[:2]), -1, 1)[..., None]
  pale = 160 + 0.35 * image.mean(axis=-1, keepdims=True, dtype=np.float32)
  colour = np.where(level > 0, np.float32([200, 0, 20]), np.float32([0, 60, 220]))
  return (pale + np.abs(level) * (colour - pale)).astype(np.uint8)


def legend(kind, target, colours=VIOLET):
  """(title, (what its left end, middle and right end mean), uint8[1, 256, 3] from left to right) of a kind of map."""
  level, ramp = np.linspace(0, 1, 256, dtype=np.float32), np.linspace(-1, 1, 256, dtype=np.float32)
  grey = np.full((1, 256, 3), 128, np.uint8)
  if kind == HEATMAP:
    return f"evidence for {target}", ("none", "", "full colour or more"), heatmap(level[None], grey + 80, 1, colours)
  if kind == SENSITIVITY:
    return (f"pixels that move {target}", ("lower it", "nothing", "raise it"),
            relief(np.repeat(ramp[None, :, None], 3, 2), 1))
  return f"what adds to {target}", ("takes away", "nothing", "adds"), tint(ramp[None], grey, 1)


def own_pixels(photograph, part):
  """A photograph's pixels of a part (left, top, side), uint8[side, side, 3]; None where that reaches over an edge."""
  left, top, side = (round(edge) for edge in part)
  inside = min(left, top) >= 0 and top + side <= photograph.shape[0] and left + side <= photograph.shape[1]
  return photograph[top : top + side, left : left + side] if inside else None


def on_photograph(photograph, cam, window, full, colours=VIOLET):
  """A map laid on the part of a whole photograph that it was made of, at the photograph's own resolution.

  Args:
    photograph: uint8[H, W, 3].
    cam, full, colours: as `layer` takes them.
    window: (left, top, side) in the photograph's pixels, what the map covers (see `square.seen_part`); it may reach
      over the photograph's border.
  Returns: uint8[H, W, 3], a copy.
  """
  left, top, side = (round(edge) for edge in window)
  height, width = photograph.shape[:2]
  rows = slice(max(top, 0), min(top + side, height))
  columns = slice(max(left, 0), min(left + side, width))
  picture = photograph.copy()
  if rows.start < rows.stop and columns.start < columns.stop:
    part = np.ascontiguousarray(photograph[rows, columns])
    over = enlarged(np.float32(cam), (side, side))[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    picture[rows, columns] = heatmap(np.ascontiguousarray(over), part, full, colours)
  return picture


def with_boxes(picture, boxes):
  """A picture with a frame around each face, white between dark so that it shows on anything; several are numbered.

  Args:
    picture: uint8[H, W, 3].
    boxes: (left, top, right, bottom) of each in its pixels; they may reach over its border.
  Returns: uint8[H, W, 3], a copy.
  """
  canvas = Image.fromarray(picture)
  draw = ImageDraw.Draw(canvas)
  line = max(1, round(max(canvas.size) / 500))
  letters = font(max(13, 9 * line))
  for number, box in enumerate(boxes, start=1):
    left, top, right, bottom = (round(edge) for edge in box)
    for grown, colour in ((2 * line, "black"), (line, "white"), (0, "black")):
      draw.rectangle((left - grown, top - grown, right + grown, bottom + grown), outline=colour, width=line)
    if len(boxes) > 1:
      across = draw.textlength(str(number), letters) + 4 * line + 4
      down = letters.size + 2 * line + 2
      x = min(max(left, 0), canvas.width - across)
      y = min(max(top - down - line, 0), canvas.height - down)
      draw.rectangle((x, y, x + across, y + down), fill="black")
      draw.text((x + across / 2, y + down / 2), str(number), "white", letters, anchor="mm")
  return np.asarray(canvas)
