"""What all sources of faces have in common."""

import abc
import dataclasses
from datetime import UTC, datetime

NOT_STATED = "not stated"


@dataclasses.dataclass
class Found:
  """One image and where it is from, or the `problem` that stood in its way.

  Attributes:
    key: the same in every command, so that nothing is fetched twice.
    address, page: of the image, and of the page that shows it.
    report_to: an address that has to be told when the image is kept.
    again: whether the next command should try once more.
  """

  key: str
  address: str
  data: bytes = b""
  page: str = ""
  author: str = ""
  author_page: str = ""
  licence: str = NOT_STATED
  fetched_at: str = ""
  report_to: str = ""
  problem: str = ""
  again: bool = False


class Source(abc.ABC):
  """What the sources share.

  Attributes:
    exhausted: what to say of it when `next()` has returned None.
    patience: how many images in a row may be left out before it is given up; None for any number.
  """

  name: str = ""
  exhausted: str = ""
  patience: int | None = None

  def start(self, journal):
    """Takes up what earlier commands did, before the first `next()`. Args: a `Journal`."""
    self._journal = journal

  @abc.abstractmethod
  def next(self) -> Found | None:
    """A `Found`, or None when there are no more. Raises: Busy, Stopped."""

  def settle(self) -> None:
    """Does what is owed for the images that were kept, if anything. Raises: Busy, Stopped."""
    return


def utc(seconds):
  """'2030-01-31T12:00:00Z' of seconds as of time.time()."""
  return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
