"""One process at a time in a folder: a lock that goes with the process that holds it, however that ends."""

import errno
import logging
import os
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fakeface_jax.errors import UserError

try:
  import fcntl
except ImportError:  # not a Unix
  fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

LOCK_FILE = ".lock"
TRIES = 100  # until an open file counts as the one in the folder: some file systems number a file anew whenever asked


@contextmanager
def locked(folder, *, busy, wait=False):
  """Holds a folder, making it on the way, until the block ends.

  Args:
    busy: what to say where another process holds it, before who that is: an error or, with `wait`, a line of the log.
  Raises: UserError; OSError where the folder cannot be written.
  """
  path = Path(folder) / LOCK_FILE
  path.parent.mkdir(parents=True, exist_ok=True)
  with ExitStack() as stack:
    for _ in range(TRIES):
      stack.close()
      file = stack.enter_context(path.open("a+"))
      if not locks(file):
        _wait(file, busy, wait)
      if _is_at(file, path):  # else whoever held it before has taken the file away
        break
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    try:
      yield
    finally:
      path.unlink(missing_ok=True)


def _is_at(file, path):
  try:
    return os.path.samestat(os.fstat(file.fileno()), path.stat())
  except FileNotFoundError:
    return False


def locks(file):
  """Locks an open file as long as it is open; False where another process has, with a warning where nobody can."""
  try:
    if fcntl is None:
      raise OSError(errno.ENOSYS, "the operating system has none")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  except OSError as error:  # which, depends on the file system: Drive in Colab, a network's
    folder = os.path.dirname(file.name)
    log.warning("%s: files cannot be locked here (%s); start nothing else there meanwhile.", folder, error.strerror)
  return True


def _wait(file, busy, wait):
  file.seek(0)
  message = f"{busy} by {file.read().strip() or 'another process'}"
  if not wait:
    raise UserError(f"{message}; wait until that has ended, or end it")
  log.info("%s: waiting for that.", message)
  fcntl.flock(file, fcntl.LOCK_EX)
