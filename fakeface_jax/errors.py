"""The one exception meant for people rather than for programmers."""

import errno
from collections.abc import Iterable

from fakeface_jax.lines import one_line

_NO_ROOM = ("no space left", "disk quota exceeded", "file too large", "resource_exhausted")
_NO_RIGHT = ("permission denied", "not permitted", "read-only file system")


class UserError(ValueError):
  """Something the user can mend: a file, an option, a data set.

  The message is the whole report: one line that names the file or option, says what was expected and what to do.
  Scripts print it without a traceback and exit with a code other than 0.
  """

  def __str__(self) -> str:
    return one_line(super().__str__())


def did_you_mean(name: str, names: Iterable[str]) -> str:
  """'; did you mean ...?' for the end of a message, with the name that is nearest to one there is none of; or ''."""
  import difflib  # here: every import of this package comes by

  nearest = difflib.get_close_matches(name, list(names), 1)
  return f"; did you mean {nearest[0]!r}?" if nearest else ""


def of_disk(error: BaseException) -> str:
  """An error of the file system in one line that says what to do; whichever library passes it on, as whatever type."""
  text = str(error)
  if isinstance(error, OSError) and error.strerror:
    text = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
  text = " ".join(text.split())
  if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or _says(text, _NO_ROOM):
    return f"{text}; make room there and give the same command again"
  if _says(text, _NO_RIGHT):
    return f"{text}; change its permissions or choose a place that you may write to"
  return text


def _says(text: str, words: Iterable[str]) -> bool:
  return any(word in text.lower() for word in words)
