"""Makes fakes of real faces, with masks of what was changed.

python scripts/forge.py FOLDER OUT [--per_image 1] [--seed 0]

FOLDER holds photographs, at the top, in real/, or in train/, val/ and test/. OUT becomes a data set of its own.
"""

from fakeface_jax.commands import app
from fakeface_jax.commands.app import flags

PER_IMAGE = flags.DEFINE_integer("per_image", 1, "Fakes of each photograph.", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "Another one makes other fakes.", lower_bound=0)


def main(arguments):
  from fakeface_jax.commands.forge import forge_folder
  from fakeface_jax.errors import UserError

  if len(arguments) != 2:
    raise UserError(f"expected FOLDER OUT, got {' '.join(arguments) or 'nothing'}; see --help")
  account, failures = forge_folder(*arguments, per_image=PER_IMAGE.value, seed=SEED.value)
  print(f"{arguments[1]}: {account}")
  return app.exit_code(failures)


if __name__ == "__main__":
  app.run(main)
