"""Says what is wrong with a data set: balance, copies, files that are broken, and what gives the class away.

python scripts/check_data.py NAME_OR_FOLDER [--out check.json]
"""

from fakeface_jax.commands import app  # isort: split

import json

from fakeface_jax.commands.app import flags

OUT = flags.DEFINE_string("out", None, "JSON file for the report.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a file --out that is there.")


def main(arguments):
  from fakeface_jax.errors import UserError

  if len(arguments) != 1:
    raise UserError("name one data set, or a folder with real/ and fake/: python scripts/check_data.py DATA")
  from fakeface_jax.data.checking.check import check_data, table
  from fakeface_jax.data.datasets import open_dataset
  from fakeface_jax.outputs import check_new, write_new

  if OUT.value:
    check_new(OUT.value, OVERWRITE.value)
  result = check_data(open_dataset(arguments[0]))
  print(table(result))
  if OUT.value:
    write_new(OUT.value, json.dumps(result, indent=2) + "\n", OVERWRITE.value)
  return app.exit_code(result["unreadable"])


if __name__ == "__main__":
  app.run(main, lists=["Data sets"])
