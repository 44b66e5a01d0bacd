"""The project's own commands, run as a user would."""

import subprocess
import sys

from fakeface_jax.commands.app import ROOT
from fakeface_jax.errors import UserError

SCRIPTS = ROOT / "scripts"
SCRATCH = ROOT / "configs" / "scratch.py"  # for train.py: every layer, from random weights


def run_script(name, *flags):
  """Runs scripts/NAME.py. Raises: UserError with its last line where it fails."""
  command = [sys.executable, str(SCRIPTS / f"{name}.py"), *flags]
  process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
  if process.returncode:
    raise UserError(f"{name}.py failed: {process.stderr.strip().splitlines()[-1:]}")


def check_split_folders(faces):
  """Raises UserError where a folder has not train/ and val/, each with real/ and fake/."""
  for place in (faces / split / label for split in ("train", "val") for label in ("real", "fake")):
    if not place.is_dir():
      raise UserError(f"{place}: no such folder; expected train/ and val/ with real/ and fake/ in each")
