"""Draws a data set at a glance.

python scripts/contact_sheet.py [--data NAME_OR_FOLDER] [--split test] [--out sheet.png]
"""

from fakeface_jax import app
from fakeface_jax.app import flags

DATA = flags.DEFINE_string("data", "synthetic_faces", "A data set's name, or a folder with real/ and fake/.")
SPLIT = flags.DEFINE_string("split", "all", "Split to draw: train, val, test, all, or a slice.")
OUT = flags.DEFINE_string("out", "contact_sheet.png", "PNG file to write.")


def main(arguments):
  app.no_positional(arguments)
  from fakeface_jax.data.datasets import open_dataset
  from fakeface_jax.errors import UserError
  from fakeface_jax.report.contact_sheet import draw_contact_sheet

  sheet = draw_contact_sheet(open_dataset(DATA.value)[SPLIT.value])
  try:
    sheet.save(OUT.value)
  except (OSError, ValueError) as error:
    raise UserError(f"--out {OUT.value} cannot be written: {error}") from error
  print(f"drawn: {OUT.value}")


if __name__ == "__main__":
  app.run(main, lists=["Data sets"])
