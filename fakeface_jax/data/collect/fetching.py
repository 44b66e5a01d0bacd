"""HTTP with patience and limits: bounded retries, `Retry-After`, answers that are too slow, too large or cut off."""

import dataclasses
import email.utils
import json
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import requests
import urllib3

TRIES = 4
LONGEST_PAUSE = 30  # seconds between two tries; whoever is told to wait longer can do something else meanwhile
BUSY = (429, 500, 502, 503, 504)  # worth another try; any other status is an answer
MAX_BYTES = 60_000_000


class Busy(Exception):
  """A server wants no request before `until` (seconds as of time.time())."""

  def __init__(self, until, reason=""):
    super().__init__(reason)
    self.until, self.reason = until, reason


class Stopped(Exception):
  """A source that can give nothing more in this command; the message says why."""


class Unreachable(Stopped):
  """No whole answer after all tries."""


class NoConnection(Unreachable):
  """Not even a connection, which says nothing against the address."""


@dataclasses.dataclass
class Answer:
  """What a server said: `url` after redirects, `status`, `headers` (case does not matter) and the whole `body`."""

  url: str
  status: int
  headers: Mapping[str, str]
  body: bytes

  def json(self):
    """The body as JSON. Raises: Stopped where it is none."""
    try:
      return json.loads(self.body)
    except ValueError:
      raise Stopped(f"{host(self.url)} answered something that is not JSON; is the address right?") from None


class Fetcher:
  """Gets addresses one at a time.

  Args:
    clock: has time() and sleep(seconds), as the module `time`.
    timeout: seconds to wait for a connection, and for the next piece of an answer.
    deadline: seconds for a whole answer.
  """

  def __init__(self, clock=time, timeout=30, deadline=120):
    self.clock, self.timeout, self.deadline = clock, timeout, deadline
    self._session = requests.Session()
    self._session.headers["User-Agent"] = "fakeface_jax/collect"

  def get(self, address, **kwargs):
    """The `Answer` to a GET; `kwargs` as requests takes them.

    Raises: Busy where the server asks for more than LONGEST_PAUSE seconds; Unreachable after TRIES tries without a
      whole answer, NoConnection where the last one did not get that far.
    """
    for number in range(TRIES):
      pause, kind = 2**number, Unreachable
      try:
        answer = self._whole_answer(address, kwargs)
        if answer.status not in BUSY:
          return answer
        problem = f"answers {answer.status}"
        asked = retry_after(answer.headers, self.clock.time())
        if asked is not None and asked > LONGEST_PAUSE:
          raise Busy(self.clock.time() + asked, f"{host(address)} is busy ({answer.status})")
        pause = pause if asked is None else asked
      except requests.Timeout:
        problem = f"gives no whole answer within {self.timeout} s, or within {self.deadline} s in all"
      except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
        problem = "breaks off in the middle of its answer"
      except requests.ConnectionError:
        problem, kind = "cannot be reached; is there a network?", NoConnection
      except requests.RequestException as error:
        problem = f"cannot be asked: {' '.join(str(error).split())}"
      if number + 1 < TRIES:
        self.clock.sleep(pause)
    raise kind(f"{host(address)} {problem} ({TRIES} tries)")

  def _whole_answer(self, address, kwargs):
    end = time.monotonic() + self.deadline
    with self._session.get(address, stream=True, timeout=self.timeout, **kwargs) as response:
      parts, size = [], 0
      try:
        while part := response.raw.read1(1 << 16, decode_content=True):  # read() would sit out a trickle of bytes
          parts.append(part)
          size += len(part)
          if size > MAX_BYTES:
            raise Stopped(f"{address}: more than {MAX_BYTES // 10**6} MB; expected one image")
          if time.monotonic() > end:
            raise requests.Timeout
      except urllib3.exceptions.ReadTimeoutError:
        raise requests.Timeout from None
      except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error) from error
      except (urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, requests.RequestException):
          raise
        raise requests.exceptions.ChunkedEncodingError(error) from error
      return Answer(response.url, response.status_code, response.headers, b"".join(parts))


def retry_after(headers, now):
  """Seconds that a Retry-After header asks for, whether it names seconds or a date; None without a sound one."""
  value = headers.get("Retry-After", "").strip()
  if value.isdecimal():
    return float(value)
  try:
    return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
  except ValueError:
    return None


def host(address):
  """The host, and port if there is one, of an address."""
  return urlsplit(address).netloc
