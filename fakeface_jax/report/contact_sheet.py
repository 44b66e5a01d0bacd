"""A data set at a glance: reals, fakes by difficulty, and what was tampered with in them."""

import io
import itertools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fakeface_jax.data.features import DIFFICULTIES, LABELS, REAL
from fakeface_jax.data.images import decode_image, resize_and_crop, resize_and_crop_mask
from fakeface_jax.data.loader import record_name

MARGIN = 64  # px, for the rows' names
OUTLINE = (255, 0, 200)


def draw_contact_sheet(source, *, columns=12, cell=96):
  """The first images of every class and difficulty, a row each; below fakes the same ones with the mask outlined.

  Args:
    source: records, as `open_dataset(...)[split]`.
    columns: images in a row.
    cell: side of an image in pixels.
  Returns: a PIL image, RGB.
  """
  rows = {}
  for record in map(source.__getitem__, range(len(source))):
    name = LABELS[record["label"]] if not record["difficulty"] else DIFFICULTIES[record["difficulty"]]
    rows.setdefault((record["label"], record["difficulty"], name), []).append(record)
  lines = []
  for (label, _, name), records in sorted(rows.items(), key=lambda row: row[0]):
    lines.append((name, [_thumbnail(record, cell) for record in records[:columns]]))
    if label != REAL:
      lines.append(("its mask", [_outlined(record, cell) for record in records[:columns]]))
  sheet = Image.new("RGB", (MARGIN + columns * cell, len(lines) * cell), (255, 255, 255))
  draw = ImageDraw.Draw(sheet)
  font = ImageFont.load_default(13)
  for y, (name, pictures) in enumerate(lines):
    draw.text((6, y * cell + cell // 2), name, (20, 20, 20), font, anchor="lm")
    for x, picture in enumerate(pictures):
      sheet.paste(Image.fromarray(picture), (MARGIN + x * cell, y * cell))
  return sheet


def _thumbnail(record, cell):
  return resize_and_crop(decode_image(record["image"], record_name(record)), cell, cell)


def _outlined(record, cell):
  picture = _thumbnail(record, cell).copy()
  mask = np.asarray(Image.open(io.BytesIO(record["mask"])))
  inside = resize_and_crop_mask(mask, cell, cell) == 255
  core = inside.copy()
  for axis, step in itertools.product((0, 1), (-1, 1)):
    core &= np.roll(inside, step, axis)
  picture[inside & ~core] = OUTLINE
  return picture
