"""A collected set at a glance: all its pictures, real above and fake below, to look through before they are used."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fakeface_jax.data.reading.images import encode_image, read_image
from fakeface_jax.data.reading.square import resize_and_crop
from fakeface_jax.data.schema import LABELS, SHEET
from fakeface_jax.workdir import write_output

COLUMNS = 25
MOST = 1000  # pictures of each class; beyond it the file would be too large to open
TITLE = 22  # px


def draw_collection_sheet(out, *, cell=72):
  """Draws the pictures in `out/real` and `out/fake`, in the order of their names, into `out/contact_sheet.png`.

  Args: `cell`: side of a picture in pixels.
  Returns: the file's path.
  Raises: UserError where it cannot be written, or a picture cannot be read.
  """
  pictures = {label: sorted(Path(out, label).glob("*.jpg")) for label in LABELS}
  drawn = {label: paths[:: -(-len(paths) // MOST) or 1] for label, paths in pictures.items()}
  columns = max(1, min(COLUMNS, max(map(len, drawn.values()))))
  heights = {label: TITLE + -(-len(paths) // columns) * cell for label, paths in drawn.items()}
  sheet = Image.new("RGB", (max(columns * cell, 4 * cell), sum(heights.values())), "white")
  top = 0
  for label, paths in drawn.items():
    number, rest = len(pictures[label]), len(pictures[label]) - len(paths)
    title = f"{label}: {number} pictures" + (f", {number - rest} of them here" if rest else "")
    ImageDraw.Draw(sheet).text((4, top + TITLE // 2), title, "black", ImageFont.load_default(13), anchor="lm")
    for index, path in enumerate(paths):
      place = index % columns * cell, top + TITLE + index // columns * cell
      sheet.paste(Image.fromarray(resize_and_crop(read_image(path), cell, cell)), place)
    top += heights[label]
  path = Path(out, SHEET)
  write_output(path, encode_image(sheet, "PNG"))
  return path
