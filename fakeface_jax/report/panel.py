"""One picture per image: the photograph, where each layer saw evidence, and which pixels it came from.

The only place where a map is brought to colours. Full colour means the same for every image (see `explain.scale`).
"""

import textwrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fakeface_jax.data.features import LABELS, THRESHOLD
from fakeface_jax.explain.scale import STRONGEST, strength

CELL = 176  # px, side of a picture
GAP = 8
CAPTION = 34  # px below a picture
INK, FAINT, PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)
CALIBRATED = f"full colour is how strongly the strongest {STRONGEST:.0%} of this run's validation fakes speak for fake"

CONTRADICTION = (
    "Called {verdict}, and yet the last heatmap is strong for {target}: Grad-CAM weighs a convolution's raw output,"
    " where a negative weight times a negative output counts as evidence too. Go by the verdict, not by the colours.")


def jet(values):
  """Blue (0), cyan, green, yellow, red (1): float[...] -> uint8[..., 3]; values beyond 0..1 are clipped."""
  level = 4 * np.clip(values, 0, 1)[..., None]
  return (255 * np.clip(1.5 - np.abs(level - np.array([3.0, 2.0, 1.0])), 0, 1)).astype(np.uint8)


def heatmap(cam, image, full):
  """A heatmap laid half over an image: float32[h, w] and uint8[H, W, 3] -> uint8[H, W, 3]; `full` is drawn red."""
  height, width = image.shape[:2]
  smooth = Image.fromarray(cam.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
  return ((jet(np.asarray(smooth) / max(full, 1e-12)).astype(np.uint16) + image) // 2).astype(np.uint8)


def relief(gradient, full):
  """Signed pixel values float32[H, W, 3] as uint8[H, W, 3]: mid-grey where nothing speaks, `full` black or white."""
  return (128 + 127 * np.clip(gradient / max(full, 1e-12), -1, 1)).astype(np.uint8)


def draw_panel(result, name, scale, scale_note=CALIBRATED):
  """The panel of one image.

  Args:
    result: as `Detector.explain` returns one.
    name: of the image, for the title.
    scale: {map name: value drawn in full colour}, as `measure_scale` returns it.
    scale_note: what that value means, in words.
  Returns: a PIL image, RGB.
  """
  image, target = result["image"], LABELS[result["target"]]
  cams = [
      (layer, _strength_note(cam, scale[f"gradcam/{layer}"]), heatmap(cam, image, scale[f"gradcam/{layer}"]))
      for layer, cam in result["gradcam"].items()]
  final = list(result["gradcam"])[-1]
  titles = {"guided_backprop": "guided backprop", "guided_gradcam": f"Guided Grad-CAM, last {final.split('/')[-1]}"}
  reliefs = [
      (title, _strength_note(result[key], scale[key]), relief(result[key], scale[key]))
      for key, title in titles.items()]
  columns = -(-len(cams) // 2)
  width = (columns + 2) * (CELL + GAP) + GAP
  verdict = LABELS[int(result["probability"] >= THRESHOLD)]
  contradicts = verdict != target and strength(result["gradcam"][final]) >= scale[f"gradcam/{final}"] > 0
  notes = _notes(target, scale_note) + ([CONTRADICTION.format(verdict=verdict, target=target)] if contradicts else [])
  notes = [line for note in notes for line in textwrap.wrap(note, width // 6)]
  top, row = 44, CELL + CAPTION + GAP
  canvas = Image.new("RGB", (width, top + 2 * row + 16 * len(notes) + GAP), PAPER)
  draw = ImageDraw.Draw(canvas)

  draw.text((GAP, 10), f"{verdict}: probability of fake {result['probability']:.1%}", INK, _font(20))
  draw.text((width - GAP, 14), _shorten(name, 60), FAINT, _font(14), anchor="ra")
  _cell(canvas, draw, (GAP, top), "what the network sees", f"{image.shape[1]} x {image.shape[0]} px", image)
  _legend(canvas, draw, (GAP, top + row), target)
  for i, cell in enumerate(cams):
    _cell(canvas, draw, (GAP + (1 + i % columns) * (CELL + GAP), top + i // columns * row), *cell)
  for i, cell in enumerate(reliefs):
    _cell(canvas, draw, (GAP + (1 + columns) * (CELL + GAP), top + i * row), *cell)
  for i, line in enumerate(notes):
    draw.text((GAP, top + 2 * row + 16 * i), line, FAINT, _font(12))
  return canvas


def _notes(target, scale_note):
  return [
      f"Heatmaps: Grad-CAM of the {target} logit at each convolution, first to last; all blue means that nothing spoke"
      f" for {target}. Scale, the same for every image: {scale_note}.",
      "Guided backprop and Guided Grad-CAM draw the edges the network reacts to; they look much the same for a network"
      " with random weights (Adebayo et al., 2018), so do not take them for the place of a forgery.",
  ]


def _strength_note(values, full):
  return f"max {strength(values):.2g}, full colour {full:.2g}"


def _cell(canvas, draw, corner, title, note, pixels):
  x, y = corner
  enlarged = Image.fromarray(pixels).resize((CELL, CELL), Image.Resampling.BICUBIC)
  canvas.paste(enlarged, (x, y))
  draw.text((x, y + CELL + 2), _shorten(title, 29), INK, _font(13))
  draw.text((x, y + CELL + 18), note, FAINT, _font(11))


def _legend(canvas, draw, corner, target):
  x, y = corner
  bar = np.broadcast_to(jet(np.linspace(0, 1, CELL)), (16, CELL, 3))
  draw.text((x, y), f"evidence for {target}", INK, _font(13))
  canvas.paste(Image.fromarray(np.ascontiguousarray(bar)), (x, y + 20))
  draw.text((x, y + 38), "none", FAINT, _font(11))
  draw.text((x + CELL, y + 38), "full colour or more", FAINT, _font(11), anchor="ra")
  grey = np.broadcast_to(np.linspace(1, 255, CELL).astype(np.uint8)[:, None], (16, CELL, 3))
  draw.text((x, y + 70), f"pixels that move {target}", INK, _font(13))
  canvas.paste(Image.fromarray(np.ascontiguousarray(grey)), (x, y + 90))
  draw.text((x, y + 108), "lower it", FAINT, _font(11))
  draw.text((x + CELL // 2, y + 108), "nothing", FAINT, _font(11), anchor="ma")
  draw.text((x + CELL, y + 108), "raise it", FAINT, _font(11), anchor="ra")


def _font(size):
  return ImageFont.load_default(size)


def _shorten(text, length):
  return text if len(text) <= length else "…" + text[1 - length :]
