"""A local web site with faults on demand, Unsplash's API as documented, and faces that no detector has to find."""

import collections
import contextlib
import http.server
import json
import threading
import time
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

from fakeface_jax.data.faces.detect import Box
from fakeface_jax.data.reading.images import encode_image

KEY = "the-access-key"


def face(seed, side=120, width=None, dark=False):
  """uint8[side, width, 3]: smooth blotches that differ from seed to seed; dark ones stand for images without a face."""
  noise = np.random.default_rng(seed).integers(0, 30 if dark else 256, (8, 8, 3)).astype(np.uint8)
  return np.asarray(Image.fromarray(noise).resize((width or side, side), Image.Resampling.BICUBIC))


def jpeg(pixels, **options):
  return encode_image(pixels, "JPEG", **options)


def detect(image):
  """A face of half the image's shorter side, in its middle; none in the dark."""
  side = min(image.shape[:2]) // 2
  left, top = (image.shape[1] - side) // 2, (image.shape[0] - side) // 2
  return [] if image.max() < 40 else [Box(left, top, left + side, top + side, 1.0)]


def endless(start, piece, pause=0.0):
  """Yields `start`, and then `piece` for ever, a pause in seconds before each."""
  yield start
  while True:
    time.sleep(pause)
    yield piece


class Clock:
  """Passes only while somebody sleeps."""

  def __init__(self):
    self.now, self.slept = 1_900_000_000.0, []

  def time(self):
    return self.now

  def sleep(self, seconds):
    self.now += seconds
    if seconds:
      self.slept.append(seconds)


class Site:
  """Routes by path: a function of (query, headers) that returns (status, headers, body).

  Attributes:
    requests: all that was asked for, (path, query, headers) each.
    faults: {path: list of what to do instead, from the front}: a (status, headers, body), 'drop' to break off in the
      middle, 'trickle' to send a byte every 50 ms, or an iterable of bytes to send as they are until nobody reads.
    sent: bytes of such an iterable that were sent, of the last one.
  """

  def __init__(self):
    self.routes, self.requests, self.faults, self.sent = {}, [], collections.defaultdict(list), 0

  def asked(self, path):
    return [query for asked, query, _ in self.requests if asked == path]


@contextlib.contextmanager
def serving():
  """Yields a `Site`, at `site.address`."""
  site = Site()

  class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
      parts = urlsplit(self.path)
      query = {key: value for key, (value,) in parse_qs(parts.query).items()}
      site.requests.append((parts.path, query, dict(self.headers)))
      fault = site.faults[parts.path].pop(0) if site.faults[parts.path] else None
      if fault is not None and not isinstance(fault, str | tuple):
        self._send_raw(fault)
        return
      route = site.routes.get(parts.path, lambda query, headers: (404, {}, b"nothing here"))
      status, headers, body = route(query, self.headers) if fault in (None, "drop", "trickle") else fault
      self.send_response(status)
      for name, value in {"Content-Length": str(len(body)), **headers}.items():
        self.send_header(name, value)
      self.end_headers()
      if fault == "drop":
        self.wfile.write(body[: len(body) // 2])
        self.close_connection = True
      elif fault == "trickle":
        for at in range(len(body)):
          with contextlib.suppress(OSError):
            self.wfile.write(body[at : at + 1])
            self.wfile.flush()
          time.sleep(0.05)
          if site.closing:
            break
        self.close_connection = True
      else:
        self.wfile.write(body)

    def _send_raw(self, pieces):
      site.sent, self.close_connection = 0, True
      with contextlib.suppress(OSError):
        for piece in pieces:
          if site.closing:
            break
          self.wfile.write(piece)
          self.wfile.flush()
          site.sent += len(piece)

    def log_message(self, *_):
      pass

  server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
  server.daemon_threads = True
  site.closing = False
  site.address = f"http://127.0.0.1:{server.server_port}"
  thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
  thread.start()
  try:
    yield site
  finally:
    site.closing = True
    server.shutdown()
    server.server_close()
    thread.join()


class UnsplashApi:
  """The parts of Unsplash's API that a collection uses, below /api, with a limit of requests per hour of `clock`.

  Args:
    images: {photo's id: encoded image}, found by any query but 'nothing'; they lie below /images.
  """

  def __init__(self, site, images, clock, limit=50):
    self.site, self.images, self.clock, self.limit = site, images, clock, limit
    self.hour, self.used, self.reported = None, 0, []
    site.routes["/api/search/photos"] = self._counted(self._search)
    for photo, image in images.items():
      site.routes[f"/images/{photo}"] = lambda query, headers, image=image: (200, {}, image)
      site.routes[f"/api/photos/{photo}/download"] = self._counted(
          lambda query, photo=photo: (self.reported.append(photo), {"url": "elsewhere"})[1])

  @property
  def address(self):
    return f"{self.site.address}/api/"

  def _counted(self, answer):
    def route(query, headers):
      if headers.get("Authorization") != f"Client-ID {KEY}" or headers.get("Accept-Version") != "v1":
        return 401, {}, b'{"errors": ["OAuth error: The access token is invalid"]}'
      hour = self.clock.time() // 3600
      if hour != self.hour:
        self.hour, self.used = hour, 0
      left = max(0, self.limit - self.used - 1)
      limits = {"X-Ratelimit-Limit": str(self.limit), "X-Ratelimit-Remaining": str(left)}
      if self.used >= self.limit:
        return 403, limits, b"Rate Limit Exceeded"
      self.used += 1
      return 200, limits, json.dumps(answer(query)).encode()
    return route

  def _search(self, query):
    photos = [] if query["query"] == "nothing" else list(self.images)
    page, size = int(query["page"]), int(query["per_page"])
    return {"total": len(photos), "total_pages": -(-len(photos) // size),
            "results": [self._photo(photo) for photo in photos[(page - 1) * size : page * size]]}

  def _photo(self, photo):
    return {
        "id": photo, "width": 4000, "height": 6000, "description": None,
        "urls": {size: f"{self.site.address}/images/{photo}" for size in ("raw", "full", "regular", "small", "thumb")},
        "links": {"html": f"https://unsplash.com/photos/{photo}",
                  "download_location": f"{self.site.address}/api/photos/{photo}/download?ixid=x"},
        "user": {"name": f"Zoë {photo}", "links": {"html": f"https://unsplash.com/@{photo}"}},
    }
