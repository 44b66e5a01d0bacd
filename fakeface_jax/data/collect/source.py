"""What all sources of faces have in common."""

import abc
import dataclasses
from datetime import UTC, datetime

NOT_STATED = "not stated"


@dataclasses.dataclass
class Found:
  """One image and where it is from, or the `problem` that stood in its way."""

  key: str  # the same in every command, so that nothing is fetched twice
  address: str
  data: bytes = b""  # the encoded image
  page: str = ""  # that shows it
  author: str = ""
  author_page: str = ""
  licence: str = NOT_STATED
  fetched_at: str = ""
  report_to: str = ""  # an address that has to be told when the image is kept
  problem: str = ""
  again: bool = False  # whether the next command should try once more


class Source(abc.ABC):
  """What the sources share."""

  name: str = ""  # as the user wrote it
  exhausted: str = ""  # what to say of it when `next()` has returned None
  patience: int | None = None  # images in a row that may be left out before it is given up; None for any number

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
