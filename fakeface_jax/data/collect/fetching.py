"""HTTP with patience and limits: bounded retries, `Retry-After`, answers that are too slow, too large or cut off."""

import concurrent.futures
import contextlib
import dataclasses
import email.utils
import http.client
import json
import socket
import threading
import time
import zlib
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

TRIES = 4
LONGEST_PAUSE = 30  # seconds between two tries; whoever is told to wait longer can do something else meanwhile
BUSY = (429, 500, 502, 503, 504)  # worth another try; any other status is an answer
MAX_BYTES = 60_000_000  # of a body, as sent and unpacked
REDIRECTS = 10
FAR = 30 * 86400.0  # seconds; who asks for a longer pause means never
SCHEMES, MOVED, COMPRESSED = ("http", "https"), (301, 302, 303, 307, 308), ("gzip", "x-gzip", "deflate")


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
    except (ValueError, RecursionError):
      raise Stopped(f"{host(self.url)} answered something that is not JSON; is the address right?") from None


class Fetcher:
  """Gets addresses one at a time, whatever the other side does in bounded time and memory.

  Args:
    clock: has time() and sleep(seconds), as the module `time`.
    timeout: seconds to wait for a connection, and for the next piece of an answer.
    deadline: seconds for a whole answer: connecting, redirects, headers and body together.
  """

  def __init__(self, clock=time, timeout=20, deadline=60):
    self.clock, self.timeout, self.deadline = clock, timeout, deadline

  def get(self, address, headers=None, params=None, most=None):
    """The `Answer` to a GET; `most`: bytes that it may have, `MAX_BYTES` by default.

    Raises: Busy where the server asks for more than LONGEST_PAUSE seconds; Stopped where another try is of no use;
      Unreachable after TRIES tries without a whole answer, NoConnection where the last one did not get that far.
    """
    for number in range(TRIES):
      pause, kind = 2**number, Unreachable
      request = _Request(address, headers or {}, params, most or MAX_BYTES, self.timeout, self.deadline)
      try:
        answer = request.answer()
        if answer.status not in BUSY:
          return answer
        problem = f"answers {answer.status}"
        asked = retry_after(answer.headers, self.clock.time())
        if asked is not None and asked > LONGEST_PAUSE:
          raise Busy(self.clock.time() + asked, f"{host(address)} is busy ({answer.status})")
        pause = pause if asked is None else asked
      except (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError):
        problem = f"gives no whole answer within {self.timeout} s, or within {self.deadline} s in all"
      except (OSError, ValueError, zlib.error, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        if request.sockets:
          problem = f"breaks off in the middle of its answer, or does not answer in HTTP: {excerpt(error)}"
        elif isinstance(error, ValueError):
          raise Stopped(f"{excerpt(address)} cannot be asked: {excerpt(error)}") from error
        else:
          untrusted = f" ({excerpt(error)})" if isinstance(error, requests.exceptions.SSLError) else ""
          problem, kind = f"cannot be reached{untrusted}; is there a network?", NoConnection
      if number + 1 < TRIES:
        self.clock.sleep(pause)
    raise kind(f"{host(address)} {problem} ({TRIES} tries)")


class _Request(threading.Thread):
  """One try, in a thread of its own, whose connection is cut at the deadline: nothing else ends a wait for headers.

  Attributes:
    sockets: of the connections that were made.
  """

  def __init__(self, address, headers, params, most, timeout, deadline):
    super().__init__(daemon=True)
    self._address, self._headers, self._params, self._most = address, headers, params, most
    self._timeout, self._deadline, self._end = timeout, deadline, time.monotonic() + deadline
    self.sockets, self._cut, self._result = [], False, concurrent.futures.Future()

  def answer(self):
    """The `Answer`. Raises: TimeoutError at the deadline, and whatever else went wrong."""
    self.start()
    try:
      return self._result.result(self._deadline)
    finally:
      self._cut = True
      for connection in self.sockets:
        with contextlib.suppress(OSError):
          connection.shutdown(socket.SHUT_RDWR)

  def opened(self, connection):
    self.sockets.append(connection)
    self._check_time()

  def run(self):
    try:
      self._result.set_result(self._follow())
    except BaseException as error:  # raised again by `answer`
      self._result.set_exception(error)

  def _check_time(self):
    if self._cut or time.monotonic() > self._end:
      raise TimeoutError

  def _follow(self):
    address, params = self._address, self._params
    headers = {"User-Agent": "fakeface_jax/collect", "Accept-Encoding": "identity", **self._headers}
    with requests.Session() as session:
      session.get_redirect_target = lambda response: None  # it would read the body of one, however long that is
      for scheme in SCHEMES:
        session.mount(f"{scheme}://", _Adapter())
      for _ in range(REDIRECTS + 1):
        with session.get(address, params=params, headers=headers, timeout=self._timeout, stream=True,
                         allow_redirects=False) as response:
          to = response.headers.get("Location") if response.status_code in MOVED else None
          if to is None:
            return Answer(response.url, response.status_code, response.headers, self._body(response))
        to = urljoin(response.url, to.encode("latin-1").decode("utf-8", "replace"))
        if urlsplit(to).scheme not in SCHEMES:
          raise Stopped(f"{excerpt(address)} leads to {excerpt(to)}; expected {' or '.join(SCHEMES)}")
        if urlsplit(to)[:2] != urlsplit(response.url)[:2]:
          headers.pop("Authorization", None)  # the key is nobody else's business
        address, params = to, None
        self._check_time()
    raise Stopped(f"{excerpt(self._address)} leads from address to address, more than {REDIRECTS} times")

  def _body(self, response):
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "", *COMPRESSED):
      raise Stopped(f"{excerpt(self._address)} answers in the encoding {excerpt(encoding)}, which nobody asked for")
    decoder = zlib.decompressobj(32 + zlib.MAX_WBITS) if encoding in COMPRESSED else None
    parts, received, size = [], 0, 0
    while part := response.raw.read1(1 << 16, decode_content=False):  # read() would sit out a trickle of bytes
      received += len(part)
      if decoder:
        part = decoder.decompress(part, self._most + 1 - size)
      parts.append(part)
      size += len(part)
      if max(received, size) > self._most:
        raise Stopped(f"{excerpt(self._address)}: more than {self._most // 10**6} MB; expected one image or page")
      self._check_time()
    if decoder and not decoder.eof:
      raise zlib.error("the compressed data are cut off")
    return b"".join(parts)


def _watched(pool):
  """A kind of pool whose connections tell the thread of their request of the socket."""

  class Connection(pool.ConnectionCls):

    def connect(self):
      super().connect()
      threading.current_thread().opened(self.sock)

  return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


_POOLS = {"http": _watched(urllib3.HTTPConnectionPool), "https": _watched(urllib3.HTTPSConnectionPool)}


class _Adapter(requests.adapters.HTTPAdapter):

  def init_poolmanager(self, *args, **kwargs):
    super().init_poolmanager(*args, **kwargs)
    self.poolmanager.pool_classes_by_scheme = _POOLS

  def proxy_manager_for(self, *args, **kwargs):
    manager = super().proxy_manager_for(*args, **kwargs)
    manager.pool_classes_by_scheme = _POOLS
    return manager


def retry_after(headers, now):
  """Seconds that a Retry-After header asks for, whether it names seconds or a date; None without a sound one."""
  value = headers.get("Retry-After", "").strip()
  try:
    asked = float(value) if value.isdecimal() else email.utils.parsedate_to_datetime(value).timestamp() - now
  except (ValueError, TypeError, IndexError, OverflowError):
    return None
  return min(max(0.0, asked), FAR)


def excerpt(text, length=160):
  """What came from elsewhere as a piece of a line: printable, without line breaks, not too long."""
  text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
  return text if len(text) <= length else f"{text[:length]}..."


def host(address):
  """The host, and port if there is one, of an address."""
  return urlsplit(address).netloc
