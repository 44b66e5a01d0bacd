"""A data set at a glance: reals, fakes by difficulty, and what was tampered with in them."""

from PIL import Image, ImageDraw, ImageFont

from fakeface_jax.data.reading.records import decode_mask, decode_record
from fakeface_jax.data.reading.square import resize_and_crop, resize_and_crop_mask
from fakeface_jax.data.schema import DIFFICULTIES, LABELS
from fakeface_jax.drawing.outline import outlined

MARGIN = 64  # px, for the rows' names


def draw_contact_sheet(source, *, columns=12, cell=128):
  """The first images of every class and difficulty, a row each; below fakes the same ones with the mask outlined.

  Reads no more than it needs to: once the row of both classes, and all rows begun, are full, no other is looked for.

  Args: source: records, as `open_dataset(...)[split]`. columns: images in a row. cell: side of an image in pixels.
  Returns: a PIL image, RGB.
  """
  rows = {}
  for record in map(source.__getitem__, range(len(source))):
    row = rows.setdefault((record["label"], record["difficulty"]), [])
    if len(row) < columns:
      row.append((resize_and_crop(decode_record(record), cell, cell).copy(),
                  resize_and_crop_mask(decode_mask(record), cell, cell)))
    if len({label for label, _ in rows}) == len(LABELS) and all(len(row) == columns for row in rows.values()):
      break
  lines = []
  for (label, difficulty), row in sorted(rows.items()):
    lines.append((DIFFICULTIES[difficulty] if difficulty else LABELS[label], [picture for picture, _ in row]))
    if any(0 < (mask == 255).mean() < 1 for _, mask in row):
      lines.append(("its mask", [outlined(*each) for each in row]))
  sheet = Image.new("RGB", (MARGIN + columns * cell, len(lines) * cell), (255, 255, 255))
  draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
  for y, (name, pictures) in enumerate(lines):
    draw.text((6, y * cell + cell // 2), name, (20, 20, 20), font, anchor="lm")
    for x, picture in enumerate(pictures):
      sheet.paste(Image.fromarray(picture), (MARGIN + x * cell, y * cell))
  return sheet
