"""Photos by Unsplash's official API, within its limits and with its photographers' names."""

import logging
from urllib.parse import urlsplit

from fakeface_jax.data.collect.fetching import SCHEMES, Busy, NoConnection, Stopped, excerpt, host
from fakeface_jax.data.collect.source import Found, Source, utc

log = logging.getLogger(__name__)

KEY_VARIABLE = "UNSPLASH_ACCESS_KEY"
API = "https://api.unsplash.com"
TERMS = "https://unsplash.com/api-terms"
LICENCE = "Unsplash License, https://unsplash.com/license"
PER_PAGE = 30  # the most that the API gives
PAGE_BYTES = 5_000_000
KNOWN_PAGES = 20  # in a row, with no photo that is new; more photos there are none, whatever is promised
HOUR, QUARTER = 3600, 900  # seconds
MISSES = 3  # photos in a row that cannot be fetched; then it is not the photo


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
    for _ in range(KNOWN_PAGES):
      if self._photos or (self._pages is not None and self._page >= self._pages):
        break
      self._take_page(self._search(self._page + 1))
    if not self._photos:
      return None
    photo = self._photos[0]
    found = Found(**photo, licence=LICENCE)
    if not found.problem:
      self._fetch(found)
    self._photos.pop(0)
    return found

  def _fetch(self, found):
    try:
      answer = self._fetcher.get(found.address)
    except NoConnection:
      raise
    except Stopped as error:
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
    except (KeyError, TypeError, ValueError, OverflowError) as error:
      raise Stopped(f"{host(self._api)} answered without the documented fields ({excerpt(repr(error))})") from None
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
    answer = self._fetcher.get(address, params=params, headers=headers, most=PAGE_BYTES)
    if answer.status == 401:
      raise Stopped(f"the access key is not accepted (401{_errors(answer)}); check {KEY_VARIABLE} or key=")
    remaining = answer.headers.get("X-Ratelimit-Remaining", "").strip()
    used_up = answer.status == 403 and (remaining == "0" or b"rate limit" in answer.body.lower())
    if answer.status == 403 and not used_up:
      raise Stopped(f"access is refused (403{_errors(answer)}); see your application's page at Unsplash")
    if not used_up and self._window is None:
      self._window = now
    if used_up or remaining == "0":
      limit = excerpt(answer.headers.get("X-Ratelimit-Limit", ""), 20)
      self._limit = f"the limit of {limit + ' ' if limit else ''}requests an hour is used up"
      # the API does not say when an hour began: an hour after the first request it has surely passed
      self._resume = max(now + QUARTER, (self._window or 0) + HOUR)
      self._window = None
      if used_up:
        raise Busy(self._resume, self._limit)
    return answer


def _photo(photo):
  """What is needed of a photo's record, as fields of `Found`."""
  address = _address(photo["urls"]["regular"])
  plus = urlsplit(address).hostname == "plus.unsplash.com"
  return {
      "key": f"unsplash {_text(photo['id'])}",
      "address": address,
      "page": _address(photo["links"]["html"]),
      "author": _text(photo["user"]["name"]),
      "author_page": _address(photo["user"]["links"]["html"]),
      "report_to": _address(photo["links"]["download_location"]),
      "problem": "an Unsplash+ photo, which has another licence" if plus else "",
  }


def _text(value):
  if not isinstance(value, str):
    raise TypeError(f"expected text, got {type(value).__name__}")
  return excerpt(value, 300)


def _address(value):
  if not isinstance(value, str) or urlsplit(value).scheme not in SCHEMES or excerpt(value, 2000) != value:
    raise ValueError(f"expected an address, got {value!r}")
  return value


def _errors(answer):
  try:
    return f": {excerpt(', '.join(map(str, answer.json()['errors'])))}"
  except (Stopped, KeyError, TypeError):
    return ""
