"""Draws a data set at a glance.

python scripts/contact_sheet.py [--data NAME_OR_FOLDER] [--split test] [--out sheet.png]
"""

from fakeface_jax.commands import app  # isort: split

import io
from pathlib import Path

from fakeface_jax.commands.app import flags

DATA = flags.DEFINE_string("data", "synthetic_faces", "A data set's name, or a folder with real/ and fake/.")
SPLIT = flags.DEFINE_string("split", "all", "Split to draw: train, val, test, all, or a slice.")
OUT = flags.DEFINE_string("out", "contact_sheet.png", "PNG file to write.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a file --out that is there.")


def main(arguments):
  app.no_positional(arguments)
  from fakeface_jax.data.datasets import open_dataset
  from fakeface_jax.drawing.contact_sheet import draw_contact_sheet
  from fakeface_jax.errors import UserError
  from fakeface_jax.outputs import check_new, write_new

  if Path(OUT.value).suffix.lower() != ".png":
    raise UserError(f"--out {OUT.value} is no name of a PNG file; expected one that ends in .png")
  check_new(OUT.value, OVERWRITE.value)
  sheet = io.BytesIO()
  draw_contact_sheet(open_dataset(DATA.value)[SPLIT.value]).save(sheet, "PNG")
  write_new(OUT.value, sheet.getvalue(), OVERWRITE.value)
  print(f"drawn: {OUT.value}")


if __name__ == "__main__":
  app.run(main, lists=["Data sets"])
