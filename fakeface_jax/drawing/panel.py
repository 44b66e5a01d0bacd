"""One picture per image: the photograph, where each layer saw evidence, and which pixels it came from.

The only place where a map is brought to colours. Full colour means the same for every image (see `explain.scale`).
"""

import textwrap

import numpy as np
from PIL import Image, ImageDraw

from fakeface_jax.data.schema import LABELS, THRESHOLD
from fakeface_jax.drawing.lettering import draw_name, font
from fakeface_jax.drawing.numerals import said
from fakeface_jax.drawing.outline import outlined
from fakeface_jax.evaluation.placement import enlarged
from fakeface_jax.explain.methods import ATTRIBUTION, HEATMAP, METHODS, SENSITIVITY
from fakeface_jax.explain.scale import STRONGEST, drawn, maps_with_keys, strength

CELL = 176  # px, side of a picture
GAP = 8
CAPTION = 34  # px below a picture
HEADING = 20  # px above a row of heatmaps
TOP = 44
COLUMNS = 6  # of maps, beside one for the photograph
WIDTH = (1 + COLUMNS) * (CELL + GAP) + GAP
INK, FAINT, PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)
CALIBRATED = f"full colour is how strongly the strongest {STRONGEST:.0%} of this run's validation fakes speak for fake"

NOTES = {
    HEATMAP: (
        "Heatmaps lie over the photograph, one for each layer, first to last; all blue means that nothing spoke for"
        " {target}."),
    SENSITIVITY: "Grey pictures: how a small change of each pixel would move {target}; nothing is mid-grey.",
    ATTRIBUTION: (
        "Red and blue: how much each place adds to the {target} logit or takes from it; no colour means nothing."),
}
SCALE_NOTE = "The scale is the same for every image: {note}."
EIGEN = "Eigen-CAM shows what stands out to a layer, whatever the class."
CONTRADICTION = (
    "Called {verdict}, and yet the last heatmap is strong for {target}: Grad-CAM weighs a convolution's raw output,"
    " where a negative weight times a negative output counts as evidence too. Go by the verdict, not by the colours.")


def jet(values):
  """Blue (0), cyan, green, yellow, red (1): float[...] -> uint8[..., 3]; values beyond 0..1 are clipped."""
  level = 4 * np.clip(values, 0, 1)[..., None]
  return (255 * np.clip(1.5 - np.abs(level - np.array([3.0, 2.0, 1.0])), 0, 1)).astype(np.uint8)


JET = jet(np.linspace(0, 1, 256))


def heatmap(cam, image, full):
  """A heatmap laid half over an image: float32[h, w] and uint8[H, W, 3] -> uint8[H, W, 3]; `full` is drawn red."""
  level = enlarged(np.float32(255 * cam / max(full, 1e-12)), image.shape[:2])
  return JET[np.clip(level, 0, 255).astype(np.uint8)] // 2 + image // 2


def relief(gradient, full):
  """Signed pixel values float32[H, W, 3] as uint8[H, W, 3]: mid-grey where nothing speaks, `full` black or white."""
  return (128 + 127 * np.clip(gradient / max(full, 1e-12), -1, 1)).astype(np.uint8)


def tint(attribution, image, full):
  """Red for and blue against, over a pale grey image: float32[H, W] and uint8[h, w, 3] -> uint8[h, w, 3]."""
  level = np.clip(enlarged(np.float32(attribution / max(full, 1e-12)), image.shape[:2]), -1, 1)[..., None]
  pale = 160 + 0.35 * image.mean(axis=-1, keepdims=True)
  colour = np.where(level > 0, np.array([200.0, 0, 20]), np.array([0.0, 60, 220]))
  return (pale + np.abs(level) * (colour - pale)).astype(np.uint8)


def draw_panel(result, name, scale, scale_note=CALIBRATED, check=(), mask=None, label=None):
  """The panel of one image.

  Args:
    result: as `Detector.explain` returns one; feature maps have a picture of their own.
    name: of the image, for the title.
    scale: {scale key: value drawn in full colour}, as `measure_scale` returns it.
    scale_note: what that value means, in words.
    check: sentences on which methods to trust, as `sanity.sentences` returns them.
    mask: uint8[H, W] of what was changed (255) to draw the outline of, or None.
    label: 0 real, 1 fake, for the title; None where nobody knows.
  Returns: a PIL image, RGB.
  """
  target = LABELS[result["target"]]
  photograph = _resized(result["image"])
  outline = (lambda picture: picture) if mask is None else lambda picture: outlined(picture, mask)
  rows, kinds = _rows(result, photograph, scale)
  notes = _notes(result, kinds, scale, scale_note, check)
  heights = [HEADING * any(heading for heading, *_ in row) + CELL + CAPTION + GAP for row in rows]
  below = TOP + max(sum(heights), CELL + CAPTION + GAP + 76 * len(kinds))
  canvas = Image.new("RGB", (WIDTH, below + 16 * len(notes) + GAP), PAPER)
  draw = ImageDraw.Draw(canvas)

  title = said(result["probability"], label)
  draw.text((GAP, 10), title, INK, font(20))
  draw_name(draw, (WIDTH - GAP, 14), name, FAINT, 13, WIDTH - 5 * GAP - font(20).getlength(title), anchor="ra")
  top = TOP + heights[0] - (CELL + CAPTION + GAP)
  height, width = result["image"].shape[:2]
  _cell(canvas, draw, (GAP, top), "what the network sees", f"{width} x {height} px", outline(photograph))
  for i, kind in enumerate(kinds):
    _legend(canvas, draw, (GAP, top + CELL + CAPTION + GAP + 76 * i), kind, target)
  y = TOP
  for row, height in zip(rows, heights, strict=True):
    corner = y + height - (CELL + CAPTION + GAP)
    for column, (heading, *cell) in enumerate(row, start=1):
      x = GAP + column * (CELL + GAP)
      draw.text((x, corner - HEADING + 1), heading, INK, font(15))
      title, note, picture = cell
      _cell(canvas, draw, (x, corner), title, note, outline(picture))
    y += height
  for i, line in enumerate(notes):
    draw.text((GAP, below + 16 * i), line, FAINT, font(12))
  return canvas


def _rows(result, photograph, scale):
  """Rows of (heading, title, note, picture), and the kinds of map among them: heatmaps by method, then all else."""
  heatmaps, others, kinds = {}, [], []
  for name, layer, key, values in maps_with_keys(result):
    method, full = METHODS[name], scale[key]
    note = f"max {strength(method.kind, values):.2g}, full colour {full:.2g}"
    if name in result["completeness_error"]:
      note = note.replace(", full colour", " of") + f", sum off {abs(result['completeness_error'][name]):.1g}"
    kinds += [method.kind] if method.kind not in kinds else []
    if method.kind == HEATMAP:
      heatmaps.setdefault(name, []).append(["", layer, note, heatmap(values, photograph, full)])
    elif method.kind == SENSITIVITY:
      others.append(["", method.title, note, _resized(relief(values, full))])
    else:
      others.append(["", method.title, note, tint(drawn(method.kind, values), photograph, full)])
  rows = []
  for name, cells in heatmaps.items():
    cells[0][0] = METHODS[name].title
    lines = -(-len(cells) // COLUMNS)
    length = -(-len(cells) // lines)
    rows += [cells[i : i + length] for i in range(0, len(cells), length)]
  for row in rows:
    while len(row) < COLUMNS and others:
      row.append(others.pop(0))
  rows += [others[i : i + COLUMNS] for i in range(0, len(others), COLUMNS)]
  return rows or [[]], kinds


def _notes(result, kinds, scale, scale_note, check):
  target = LABELS[result["target"]]
  verdict = LABELS[int(result["probability"] >= THRESHOLD)]
  notes = [*(NOTES[kind].format(target=target) for kind in kinds), SCALE_NOTE.format(note=scale_note)]
  notes = [" ".join(notes), *check]
  if "eigencam" in result["settings"]:
    notes.append(EIGEN)
  if "gradcam" in result["settings"]:
    layer, cam = list(result["gradcam"].items())[-1]
    if verdict != target and strength(HEATMAP, cam) >= scale[f"gradcam/{layer}"] > 0:
      notes.append(CONTRADICTION.format(verdict=verdict, target=target))
  return [line for note in notes for line in textwrap.wrap(note, WIDTH // 6)]


def _resized(pixels):
  return np.asarray(Image.fromarray(pixels).resize((CELL, CELL), Image.Resampling.BICUBIC))


def _cell(canvas, draw, corner, title, note, pixels):
  x, y = corner
  canvas.paste(Image.fromarray(pixels), (x, y))
  draw.text((x, y + CELL + 2), shorten(title, 27), INK, font(13))
  draw.text((x, y + CELL + 18), shorten(note, 36), FAINT, font(11))


def _legend(canvas, draw, corner, kind, target):
  x, y = corner
  ramp = np.linspace(-1, 1, CELL)
  bars = {
      HEATMAP: (f"evidence for {target}", jet(np.linspace(0, 1, CELL)), ("none", "", "full colour or more")),
      SENSITIVITY: (f"pixels that move {target}", np.repeat(relief(ramp[:, None], 1), 3, 1),
                    ("lower it", "nothing", "raise it")),
      ATTRIBUTION: (f"what adds to {target}", tint(ramp[None], np.full((1, CELL, 3), 128, np.uint8), 1)[0],
                    ("takes away", "nothing", "adds")),
  }
  title, bar, (left, middle, right) = bars[kind]
  draw.text((x, y), title, INK, font(13))
  canvas.paste(Image.fromarray(np.ascontiguousarray(np.broadcast_to(bar, (16, CELL, 3)))), (x, y + 20))
  draw.text((x, y + 38), left, FAINT, font(11))
  draw.text((x + CELL // 2, y + 38), middle, FAINT, font(11), anchor="ma")
  draw.text((x + CELL, y + 38), right, FAINT, font(11), anchor="ra")


def shorten(text, length):
  return text if len(text) <= length else "…" + text[1 - length :]
