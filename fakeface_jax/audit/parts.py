"""Finished pieces of a long computation, kept in a folder, so that a command that was interrupted goes on."""

import io
import json
import logging
import zlib
from pathlib import Path

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from fakeface_jax.workdir import write_whole

log = logging.getLogger(__name__)

FORMAT = 1  # of the pieces, part of their state: moves when the same state makes other ones
STATE_FILE = "state.json"


def settings_hash(settings):
  """What a piece that depends on these settings is named by: eight letters that change with them."""
  return f"{zlib.crc32(repr(settings).encode()):08x}"


def is_ours(folder, state):
  """Whether `Parts` have been kept in a folder, of this state or another one of its kind."""
  try:
    return json.loads((Path(folder) / STATE_FILE).read_text()).keys() | {"format"} == state.keys() | {"format"}
  except (OSError, ValueError, AttributeError):
    return False


class Parts:
  """A folder of pieces, each {name: array} or nested; a name may be '' and has no '|' in it.

  Args:
    folder: of the pieces, and of nothing but them: those that were made from something else are deleted.
    state: what the pieces depend on, ready for JSON.
  Raises: OSError where it cannot be written.
  """

  def __init__(self, folder, state):
    self._folder = Path(folder)
    state = {"format": FORMAT, **json.loads(json.dumps(state))}
    differing = [name for name, value in state.items() if self._state().get(name) != value]
    old = list(self._folder.glob("*.npz")) if differing else []  # nothing else: the folder may hold what is not ours
    if old:
      log.warning("%s: what is kept there is of other %s; it is made anew.", self._folder, ", ".join(differing))
    for path in old:
      path.unlink()
    self._folder.mkdir(parents=True, exist_ok=True)
    write_whole(self._folder / STATE_FILE, json.dumps(state, indent=2) + "\n")

  def _state(self):
    """What the pieces that are there were made from; {} where that cannot be told."""
    try:
      state = json.loads((self._folder / STATE_FILE).read_text())
      return state if isinstance(state, dict) else {}
    except (OSError, ValueError):
      return {}

  def __call__(self, name, compute):
    """The piece of that name, from the folder where it is there, else computed now by `compute`."""
    path = self._folder / f"{name}.npz"
    try:
      with path.open("rb") as file, np.load(file) as piece:
        return unflatten_dict(dict(piece), sep="|")
    except FileNotFoundError:
      pass
    except Exception as error:  # zipfile, zlib and NumPy each have errors of their own for a damaged file
      log.warning("%s cannot be read (%s) and is made again", path, error)
    piece = {name: np.asarray(value) for name, value in flatten_dict(compute(), sep="|").items()}
    buffer = io.BytesIO()
    np.savez(buffer, **piece)
    write_whole(path, buffer.getvalue())
    return unflatten_dict(piece, sep="|")
