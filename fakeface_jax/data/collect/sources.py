"""Where faces come from: Unsplash's API, an address that gives one face per request, or a folder.

A source gives one image after the other by `next()`, which returns None when there are no more, and raises `Busy` where
it has to wait and `Stopped` where it cannot go on. What the journal knows already is not fetched again.
"""

import hashlib
import os
from urllib.parse import urlsplit

from fakeface_jax.data.collect.fetching import Busy, Stopped, host
from fakeface_jax.data.collect.source import Found, Source, utc
from fakeface_jax.data.collect.unsplash import API, KEY_VARIABLE, Unsplash
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import read_bytes
from fakeface_jax.errors import UserError
from fakeface_jax.paths import FOLDER, NOTHING, path_kind, user_path

REPEATS = 3  # times in a row that an address may give an image we have; then it gives no new ones
PATIENCE = 20  # images in a row that an address may give in vain
FORMS = "unsplash:QUERY, url:https://... or folder:PATH"


def open_source(text, fetcher, *, delay=2.0, key=None, api=API):
  """The source that `text` names, such as 'unsplash:portrait'; it has asked for nothing yet.

  Args:
    delay: seconds between two requests to a `url:` address.
    key: Unsplash's access key; by default the environment's UNSPLASH_ACCESS_KEY.
    api: base address of Unsplash's API.
  Raises: UserError for another form, a missing key, a folder that is none.
  """
  kind, _, rest = text.partition(":")
  if kind == "unsplash" and rest.strip():
    key = key or os.environ.get(KEY_VARIABLE)
    if not key:
      raise UserError(f"{text}: needs the access key of your Unsplash application: set {KEY_VARIABLE}, or give key=")
    return Unsplash(rest.strip(), fetcher, key, api)
  if kind == "url" and urlsplit(rest).scheme in ("http", "https") and host(rest):
    return Address(rest, fetcher, delay)
  if kind == "folder" and rest:
    return Folder(user_path(rest), fetcher.clock)
  if kind in ("http", "https"):
    raise UserError(f"{text}: write url:{text} for an address that gives one face per request")
  if path_kind(user_path(text)) == FOLDER:
    raise UserError(f"{text}: write folder:{text} for a folder of images")
  raise UserError(f"{text!r} is no source; expected {FORMS}")


class Folder(Source):
  """The images below a folder, in the order of their names."""

  def __init__(self, path, clock):
    if (kind := path_kind(path)) != FOLDER:
      raise UserError(f"folder:{path}: {'no such folder' if kind == NOTHING else 'is not a folder'}")
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
