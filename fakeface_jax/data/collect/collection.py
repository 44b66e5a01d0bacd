"""Filling a folder with faces of both classes: source by source, image by image, each through the same steps."""

import collections
import hashlib
import itertools
import logging
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

from fakeface_jax.data.collect.cropping import LeftOut, cut_out, encode, face_square, in_srgb
from fakeface_jax.data.collect.fetching import Busy, Fetcher, Stopped
from fakeface_jax.data.collect.journal import Journal
from fakeface_jax.data.collect.known_pictures import BITS, NEAR, KnownHashes, add_folder, from_hex, hashes_of, to_hex
from fakeface_jax.data.collect.sources import FORMS, open_source
from fakeface_jax.data.faces.detect import face_detector
from fakeface_jax.data.reading.images import decode_image
from fakeface_jax.data.schema import LABELS
from fakeface_jax.errors import UserError
from fakeface_jax.progress import Bar

log = logging.getLogger(__name__)

FACES_BY = "mtcnn"  # a collection begun with another detector has other crops, and is not gone on with
AGAINST_FILE = ".against.json"
LONGEST_WAIT = 2 * 3600  # seconds that a source may go without giving an image
WORTH_TELLING, DAY = 30, 86400  # seconds
UNREADABLE, COPY, NEAR_COPY = "cannot be read", "copy", "near-duplicate"


def collect(out, sources, count, *, size, detect=None, against=None, fetcher=None, **options):
  """Fills `out` with faces of both classes, or goes on with that.

  Args:
    sources: {"real": texts such as 'unsplash:portrait', "fake": ...}; each list is used from its front until there
      are enough.
    count: images of each class that has a source.
    size: side of the pictures, pixels.
    detect: a face detector, by default `faces.detect.face_detector`.
    against: a folder, such as a training set, none of whose images shall come in.
    fetcher: a `Fetcher`; its clock is also the one to wait by.
    options: `delay`, `key` and `api`, as `open_source` takes them.
  Returns: a namespace of `kept`, {class: number of images in the folder}; `left_out`, {reason: number of images}, the
    most frequent first; `stopped`, sentences on sources that stopped early, and on classes that have too few images;
    `unreadable`, [(name, reason)].
  Raises: UserError for what the user can mend, before anything is asked for; and where the folder cannot be written.
  """
  texts = [text for of_class in sources.values() for text in of_class]
  if not texts:
    raise UserError(f"nothing to collect from; give real= and fake=, each {FORMS}")
  for text in texts:
    if texts.count(text) > 1:
      raise UserError(f"{text} is named twice; name every source once, for one class")
  fetcher = fetcher or Fetcher()
  opened = {label: [open_source(text, fetcher, **options) for text in of_class]
            for label, of_class in sources.items() if of_class}
  detect = detect or face_detector()
  against = against and str(Path(against).resolve())
  with Journal(out, {"size": size, "against": against, "face detector": FACES_BY}) as journal:
    return _Collection(journal, opened, count, size, detect, against, fetcher.clock).run()


class _Collection:

  def __init__(self, journal, sources, count, size, detect, against, clock):
    self._journal, self._count, self._size, self._detect, self._clock = journal, count, size, detect, clock
    self._classes = [  # each on its way to enough images; `ready` and `progress_at` are times of the clock
        SimpleNamespace(label=label, sources=list(of_class), ready=0.0, progress_at=clock.time(), in_vain=0, ended=[])
        for label, of_class in sources.items()]
    for source in itertools.chain(*sources.values()):
      source.start(journal)
    self._stopped, self._unreadable, self._seen, self._against = [], [], KnownHashes(), against

  def run(self):
    """Goes on until there are enough images, or no source can give any more."""
    total = self._count * len(self._classes)
    try:
      if self._against:
        self._unreadable += add_folder(self._seen, self._against, self._detect, self._journal.out / AGAINST_FILE)
      for row in self._journal.kept:
        self._seen.add(row["file"], from_hex(row["hashes"]))
      with Bar("collecting", total, done=len(self._journal.kept), unit="faces") as self._bar:
        while self._classes:
          of_class = min(self._classes, key=lambda of_class: of_class.ready)
          self._clock.sleep(max(0, of_class.ready - self._clock.time()))
          self._step(of_class)
          if not of_class.sources:
            self._classes.remove(of_class)
            number = self._journal.number(of_class.label)
            if number < self._count:
              why = f" ({'; '.join(of_class.ended)})" if of_class.ended else ""
              self._stopped.append(f"{of_class.label}: {number} of {self._count} images{why}")
    except OSError as error:
      raise UserError(f"out={self._journal.out} cannot be written: {error.strerror or error}; "
                      "make room, and the same command goes on") from error
    left_out = collections.Counter(row["reason"] for row in self._journal.left_out)
    kept = {label: self._journal.number(label) for label in LABELS}
    return SimpleNamespace(
        kept=kept, left_out=dict(left_out.most_common()), stopped=self._stopped, unreadable=self._unreadable)

  def _step(self, of_class):
    """One image of a class, or one reason to wait, or the end of a source."""
    source, now = of_class.sources[0], self._clock.time()
    try:
      if self._journal.number(of_class.label) >= self._count:
        source.settle()
        of_class.sources.clear()
        return
      found = source.next()
    except Busy as busy:
      self._wait(of_class, busy, now)
      return
    except Stopped as stopped:
      self._stop(of_class, str(stopped))
      return
    of_class.ready = of_class.progress_at = now
    if found is None:
      of_class.ended.append(f"{source.name}: {source.exhausted}")
      of_class.sources.pop(0)
    elif self._take(of_class.label, found):
      of_class.in_vain = 0
      self._bar.update()
    else:
      of_class.in_vain += 1
      if of_class.in_vain == source.patience:
        reason = self._journal.left_out[-1]["reason"]
        self._stop(of_class, f"gave {source.patience} images in a row that were left out (the last one: {reason})")

  def _wait(self, of_class, busy, now):
    soon = busy.until - now < DAY / 2
    at = datetime.fromtimestamp(busy.until).strftime("%H:%M" if soon else "%H:%M on %Y-%m-%d")
    if busy.until - of_class.progress_at > LONGEST_WAIT:
      self._stop(of_class, f"{busy.reason}; give the same command again after {at}")
      return
    if busy.until - now > WORTH_TELLING:
      log.info("%s: %s; goes on at %s (or stop here: the same command goes on later)",
               of_class.sources[0].name, busy.reason, at)
    of_class.ready = busy.until

  def _stop(self, of_class, reason):
    source = of_class.sources.pop(0)
    of_class.in_vain = 0
    sentence = f"{source.name}: {reason}"
    self._stopped.append(sentence)
    log.warning("%s", sentence)  # at once, as the other class may go on for hours

  def _take(self, label, found):
    """Keeps an image, or notes why not. Returns: whether it was kept."""
    if found.again:
      self._unreadable.append((found.address, found.problem))
      return False
    row = {"key": found.key, "class": label, "address": found.address, "page": found.page,
           "fetched_at": found.fetched_at, "sha256": hashlib.sha256(found.data).hexdigest() if found.data else ""}
    try:
      picture, square, hashes = self._picture(found, row["sha256"])
    except LeftOut as left_out:
      self._journal.leave_out(**row, reason=left_out.reason, detail=left_out.detail)
      return False
    except UserError as error:
      self._unreadable.append((found.address, str(error)))
      self._journal.leave_out(**row, reason=UNREADABLE, detail=str(error))
      return False
    hashes = [to_hex(hash) for hash in hashes]
    row |= {"file": self._journal.next_file(label), "author": found.author, "author_page": found.author_page,
            "licence": found.licence, "phash": hashes[-1], "crop": " ".join(map(str, square)), "hashes": hashes,
            "report_to": found.report_to}
    self._journal.keep(picture, **row)
    self._seen.add(row["file"], from_hex(hashes))
    return True

  def _picture(self, found, digest):
    """(encoded picture, its square in the original, hashes). Raises: LeftOut, UserError."""
    if found.problem:
      raise LeftOut("not to be had", found.problem)
    if digest in self._journal.originals:
      raise LeftOut(COPY, f"of {self._journal.originals[digest]}")
    image = in_srgb(decode_image(found.data, found.address), found.data)
    square = face_square(image, self._detect)
    pixels = cut_out(image, square, self._size)
    hashes = hashes_of(image, square)
    name, differing = self._seen.nearest(hashes)
    if differing <= NEAR:
      raise LeftOut(NEAR_COPY, f"of {name}; {differing} of {BITS} bits differ")
    return encode(pixels), square, hashes
