"""The project's own commands, run as a user would."""

import subprocess
import sys

from fakeface_jax.commands.app import ROOT
from fakeface_jax.data.builders.folder import image_files
from fakeface_jax.errors import UserError

SCRIPTS = ROOT / "scripts"
CONFIGS = ROOT / "configs"
SCRATCH = CONFIGS / "scratch.py"  # for train.py: every layer, from random weights


def own_process(module, *arguments):
  """The command that runs benchmarks.MODULE in a process of its own, wherever that starts."""
  program = (f"import runpy, sys; sys.path[:0] = {[str(SCRIPTS), str(ROOT)]};"
             f" runpy.run_module('benchmarks.{module}', run_name='__main__', alter_sys=True)")
  return [sys.executable, "-c", program, *arguments]


def run_script(name, *flags):
  """Runs scripts/NAME.py. Raises: UserError with its last line where it fails."""
  command = [sys.executable, str(SCRIPTS / f"{name}.py"), *flags]
  process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
  if process.returncode:
    raise UserError(f"{name}.py failed: {process.stderr.strip().splitlines()[-1:]}")


def check_split_folders(faces):
  """Raises UserError where a folder has not train/ and val/, each with real/ and fake/ and images in them."""
  for place in (faces / split / label for split in ("train", "val") for label in ("real", "fake")):
    if not place.is_dir():
      raise UserError(f"{place}: no such folder; expected train/ and val/ with real/ and fake/ in each")
    if not image_files(place).images:
      raise UserError(f"{place} holds no image; expected faces in train/ and val/, each with real/ and fake/")
