"""What a script finds around it, brought into a state in which libraries work: streams, home folder, notebooks."""

import builtins
import logging
import os
import select
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

from fakeface_jax.errors import UserError

log = logging.getLogger(__name__)


def open_streams():
  """Makes standard output and error fit to be written to: closed ones lead nowhere, no character is too much."""
  for number in range(3):
    try:
      os.fstat(number)
    except OSError:
      os.open(os.devnull, os.O_RDWR)  # gets that number, which else a file of ours would get
  for name in ("stdout", "stderr"):
    stream = getattr(sys, name)
    if stream is None:
      setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (as long as the process)
    elif hasattr(stream, "reconfigure"):  # a notebook's has not
      stream.reconfigure(errors="backslashreplace")


def nobody_reads():
  """Whether standard output is a pipe whose other end is closed, as `| head` leaves it."""
  poll = select.poll()
  poll.register(1, select.POLLOUT)
  return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def drop_output():
  """Sends what is still to be printed nowhere."""
  nowhere = os.open(os.devnull, os.O_WRONLY)
  os.dup2(nowhere, 1)
  os.close(nowhere)


def in_ipython():
  """Whether this process is a notebook's or IPython's, which runs a script within it by %run."""
  return hasattr(builtins, "__IPYTHON__")


@contextmanager
def left_as_found():
  """Puts back at the end what absl, and we, change for all of a process, which may be a notebook's."""
  root, path, show = logging.getLogger(), list(sys.path), warnings.showwarning
  level, handlers = root.level, list(root.handlers)
  try:
    yield
  finally:
    root.setLevel(level)
    root.handlers[:], sys.path[:], warnings.showwarning = handlers, path, show


def choose_folders():
  """Finds other places for caches and prepared data where the home folder is missing or may not be written to.

  What is there already (weights, prepared data) is used where it is.

  Raises: UserError where there is no place at all.
  """
  home = Path(os.path.expanduser("~"))
  cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
  places = {
      "JAX_COMPILATION_CACHE_DIR": cache / "fakeface_jax" / "xla", "MPLCONFIGDIR": home / ".config" / "matplotlib",
      "TFDS_DATA_DIR": home / "tensorflow_datasets", "HF_HOME": cache / "huggingface",
      "KAGGLEHUB_CACHE": cache / "kagglehub"}
  kept = ("TFDS_DATA_DIR", "HF_HOME", "KAGGLEHUB_CACHE")
  moved = {variable: place for variable, place in places.items()
           if variable not in os.environ and not _writable(place) and not (variable in kept and place.is_dir())}
  if not moved:
    return
  other = _own_temporary_folder()
  if not home.is_absolute() or not home.is_dir():
    os.environ["HOME"] = str(other)
  os.environ |= {variable: str(other / place.name) for variable, place in moved.items()}
  log.warning("%s cannot be written to: caches and prepared data go to %s; HOME or XDG_CACHE_HOME and TFDS_DATA_DIR may"
              " name a place that lasts.", home if home.is_absolute() else "A home folder that is not known", other)


def _writable(path):
  """Whether a folder is there and may be written to, or could be made."""
  if not path.is_absolute():
    return False
  there = next(folder for folder in (path, *path.parents) if os.path.exists(folder))
  return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _own_temporary_folder():
  folder = "a temporary folder"
  try:
    folder = Path(tempfile.gettempdir()) / f"fakeface_jax_{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
      raise PermissionError("it is somebody else's")
  except OSError as error:
    raise UserError(
        f"neither the home folder nor {folder} can be written to: {error.strerror or error};"
        " set HOME to a folder of your own") from error
  return folder
