"""Where faces come from: Unsplash's API, an address that gives one face per request, or a folder.

A source gives one image after the other by `next()`, which returns None when there are no more, and raises `Busy` where
it has to wait and `Stopped` where it cannot go on. What the journal knows already is not fetched again.
"""

import dataclasses
import hashlib
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from fakeface_jax.data.collect.fetching import Busy, NoConnection, Stopped, Unreachable, host
from fakeface_jax.data.images import find_images, read_bytes
from fakeface_jax.errors import UserError

log = logging.getLogger(__name__)

KEY_VARIABLE = "UNSPLASH_ACCESS_KEY"
UNSPLASH_API = "https://api.unsplash.com"
UNSPLASH_LICENCE = "Unsplash License, https://unsplash.com/license"
TERMS = "https://unsplash.com/api-terms"
NOT_STATED = "not stated"
PER_PAGE = 30  # the most that the API gives
HOUR, QUARTER = 3600, 900  # seconds
REPEATS = 3  # times in a row that an address may give an image we have; then it gives no new ones
PATIENCE = 20  # images in a row that an address may give in vain
MISSES = 3  # photos in a row that cannot be fetched; then it is not the photo
FORMS = "unsplash:QUERY, url:https://... or folder:PATH"


@dataclasses.dataclass
class Found:
  """One image and where it is from, or the `problem` that stood in its way.

  Attributes:
    key: the same in every command, so that nothing is fetched twice.
    data: the encoded image.
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


def open_source(text, fetcher, *, delay=2.0, key=None, api=UNSPLASH_API):
  """The source that `text` names, such as 'unsplash:portrait'; it has asked for nothing yet.

  Args:
    fetcher: a `Fetcher`.
    delay: seconds between two requests to a `url:` address.
    key: Unsplash's access key; by default the environment's UNSPLASH_ACCESS_KEY.
    api: base address of Unsplash's API.
  Raises: UserError for another form, a missing key, a folder that is none.
  """
  kind, _, rest = text.partition(":")
  if kind == "unsplash" and rest.strip():
    key = key or os.environ.get(KEY_VARIABLE)
    if not key:
      raise UserError(f"{text}: needs the access key of your Unsplash application: set {KEY_VARIABLE}, or give --key")
    return Unsplash(rest.strip(), fetcher, key, api)
  if kind == "url" and urlsplit(rest).scheme in ("http", "https") and host(rest):
    return Address(rest, fetcher, delay)
  if kind == "folder" and rest:
    return Folder(rest, fetcher.clock)
  if kind in ("http", "https"):
    raise UserError(f"{text}: write url:{text} for an address that gives one face per request")
  if Path(text).is_dir():
    raise UserError(f"{text}: write folder:{text} for a folder of images")
  raise UserError(f"{text!r} is no source; expected {FORMS}")


class Source:
  """What the sources share.

  Attributes:
    name: as the user wrote it.
    exhausted: what to say of it when `next()` has returned None.
    patience: how many images in a row may be left out before it is given up; None for any number.
  """

  name, exhausted, patience = "", "", None

  def start(self, journal):
    """Takes up what earlier commands did, before the first `next()`. Args: a `Journal`."""
    self._journal = journal

  def next(self):
    """A `Found`, or None when there are no more. Raises: Busy, Stopped."""
    raise NotImplementedError

  def settle(self):
    """Does what is owed for the images that were kept. Raises: Busy, Stopped."""


class Folder(Source):
  """The images below a folder, in the order of their names."""

  def __init__(self, path, clock):
    if not Path(path).is_dir():
      raise UserError(f"folder:{path}: {'is not a folder' if Path(path).exists() else 'no such folder'}")
    self.name, self._path, self._clock = f"folder:{path}", path, clock

  def start(self, journal):
    files, self._problems = find_images([self._path])
    self._files = [file for file in files if _key(file) not in journal.done]
    self.exhausted = "has no more images" if files else "holds no image"

  def next(self):
    if self._problems:
      path, reason = self._problems.pop()
      return Found("", str(path), problem=reason, again=True)
    if not self._files:
      return None
    path = self._files.pop(0)
    found = Found(_key(path), str(path), fetched_at=utc(self._clock.time()))
    try:
      found.data = read_bytes(path)
    except UserError as error:
      found.problem, found.again = str(error), True
    return found


def _key(path):
  return f"file {path.resolve()}"


class Address(Source):
  """One generated face per request, never asked sooner than `delay` seconds after its last answer."""

  patience = PATIENCE

  def __init__(self, address, fetcher, delay):
    self.name, self._address, self._fetcher = f"url:{address}", address, fetcher
    self._delay, self._ready, self._repeats = delay, 0.0, 0

  def next(self):
    clock = self._fetcher.clock
    if clock.time() < self._ready:
      raise Busy(self._ready)
    try:
      answer = self._fetcher.get(self._address, headers={"Cache-Control": "no-cache"})
    finally:
      self._ready = clock.time() + self._delay
    if answer.status != 200:
      raise Stopped(f"answers {answer.status}; expected one image per request")
    digest = hashlib.sha256(answer.body).hexdigest()
    self._repeats = self._repeats + 1 if digest in self._journal.originals else 0
    if self._repeats == REPEATS:
      raise Stopped(f"gave images that are here already {REPEATS} times in a row; it has no new ones")
    return Found(f"url {self._address} {digest}", answer.url, answer.body, fetched_at=utc(clock.time()))


class Unsplash(Source):
  """Photos that Unsplash finds for a query, by its official API (https://unsplash.com/documentation).

  The API counts requests per hour: it is asked for pages of 30 photos, and told of every photo that is kept
  (`download_location`), as its guidelines ask. Images come from another server, which does not count. Where the limit
  is used up, the telling waits too and is made up for, if need be by the next command.
  """

  def __init__(self, query, fetcher, key, api):
    self.name, self._query, self._fetcher = f"unsplash:{query}", query, fetcher
    self._key, self._api = key, api.rstrip("/")
    self._resume, self._window, self._misses = 0.0, None, 0
    self._page, self._pages, self._photos = 0, None, []

  def start(self, journal):
    super().start(journal)
    log.info("%s: read %s; the guidelines spoke against automated use and training AI models", self.name, TERMS)
    for page in journal.pages[self.name]:
      self._take_page(page)

  @property
  def exhausted(self):
    return "has no more photos" if self._pages else "finds no photo"

  def next(self):
    self.settle()
    while not self._photos:
      if self._pages is not None and self._page >= self._pages:
        return None
      self._take_page(self._search(self._page + 1))
    photo = self._photos[0]
    found = Found(**photo, licence=UNSPLASH_LICENCE)
    if not found.problem:
      self._fetch(found)
    self._photos.pop(0)
    return found

  def _fetch(self, found):
    try:
      answer = self._fetcher.get(found.address)
    except NoConnection:
      raise
    except Unreachable as error:
      self._misses += 1
      if self._misses == MISSES:
        raise
      found.problem = str(error)  # left out for good, or it would stand in the way of every later command
      return
    self._misses = 0
    found.data, found.fetched_at = answer.body, utc(self._fetcher.clock.time())
    if answer.status != 200:
      found.problem = f"the image's server answers {answer.status}"

  def settle(self):
    """Tells the API of all photos that were kept. Raises: Busy, Stopped."""
    for key, address in list(self._journal.owed.items()):
      answer = self._ask(address)
      if answer.status >= 400 and answer.status not in (404, 410):  # withdrawn meanwhile: nobody left to tell
        raise Stopped(f"answers {answer.status} to the notice of a kept photo; the next command tells it again")
      self._journal.reported(key)

  def _search(self, number):
    answer = self._ask(f"{self._api}/search/photos", {"query": self._query, "page": number, "per_page": PER_PAGE})
    if answer.status != 200:
      raise Stopped(f"{host(self._api)} answers {answer.status} to a search")
    body = answer.json()
    try:
      photos = [_photo(photo) for photo in body["results"]]
      page = {"number": number, "pages": int(body["total_pages"]) if photos else 0, "photos": photos}
    except (KeyError, TypeError, ValueError) as error:
      raise Stopped(f"{host(self._api)} answered without the documented fields ({error!r})") from None
    self._journal.page(self.name, page)
    return page

  def _take_page(self, page):
    number, pages = page["number"], page["pages"]
    # a later page without photos is the end, whatever the first one promised
    self._page, self._pages = number, pages or number - 1
    known = {photo["key"] for photo in self._photos} | self._journal.done
    self._photos += [photo for photo in page["photos"] if photo["key"] not in known]

  def _ask(self, address, params=None):
    """The API's answer. Raises: Busy where this hour's requests are used up, Stopped where the key is of no use."""
    now = self._fetcher.clock.time()
    if now < self._resume:
      raise Busy(self._resume, self._limit)
    headers = {"Accept-Version": "v1"}
    if urlsplit(address)[:2] == urlsplit(self._api)[:2]:  # the key is nobody else's business
      headers["Authorization"] = f"Client-ID {self._key}"
    answer = self._fetcher.get(address, params=params, headers=headers)
    if answer.status == 401:
      raise Stopped(f"the access key is not accepted (401{_errors(answer)}); check {KEY_VARIABLE} or --key")
    remaining = answer.headers.get("X-Ratelimit-Remaining", "").strip()
    used_up = answer.status == 403 and (remaining == "0" or b"rate limit" in answer.body.lower())
    if answer.status == 403 and not used_up:
      raise Stopped(f"access is refused (403{_errors(answer)}); see your application's page at Unsplash")
    if not used_up and self._window is None:
      self._window = now
    if used_up or remaining == "0":
      limit = answer.headers.get("X-Ratelimit-Limit", "").strip()
      self._limit = f"the limit of {limit + ' ' if limit else ''}requests an hour is used up"
      # the API does not say when an hour began: an hour after the first request it has surely passed
      self._resume = max(now + QUARTER, (self._window or 0) + HOUR)
      self._window = None
      if used_up:
        raise Busy(self._resume, self._limit)
    return answer


def _photo(photo):
  """What is needed of a photo's record, as fields of `Found`."""
  plus = urlsplit(photo["urls"]["regular"]).hostname == "plus.unsplash.com"
  return {
      "key": f"unsplash {photo['id']}",
      "address": photo["urls"]["regular"],
      "page": photo["links"]["html"],
      "author": photo["user"]["name"],
      "author_page": photo["user"]["links"]["html"],
      "report_to": photo["links"]["download_location"],
      "problem": "an Unsplash+ photo, which has another licence" if plus else "",
  }


def _errors(answer):
  try:
    return ": " + ", ".join(map(str, answer.json()["errors"]))
  except (Stopped, KeyError, TypeError):
    return ""


def utc(seconds):
  """'2030-01-31T12:00:00Z' of seconds as of time.time()."""
  return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
