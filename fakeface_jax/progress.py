"""What one sees while something takes time: one bar in a terminal, a plain line every few seconds elsewhere.

Of several bars at once the one opened last is shown. A thread of its own draws it, so that it also says that something
goes on, or that XLA compiles, while nothing is counted.
"""

import logging
import os
import sys
import threading
import time
from contextlib import contextmanager

DRAWN_EVERY = 0.2  # seconds, in a terminal
LINE_EVERY = 5.0  # seconds between two lines elsewhere, at first
SILENCE = 30.0  # seconds that nothing is said at most, also without a bar
WIDEST = 30  # characters of a bar
_COMPILES = "/jax/compilation_cache/compile_requests_use_cache"
_COMPILED = "/jax/core/compile/backend_compile_duration"


class Bar:
  """Counts what is done, of `total`; a context manager.

  Args:
    total: how much there is; None where that is not known.
    done: how much of it was done before.
    unit: of what is counted, in the plural.
    counts: whether there is something to count; else it only says, after a while, that the command still works.
  """

  def __init__(self, title, total=None, *, done=0, unit="images", shown=True, counts=True):
    self.title, self.total, self.done, self.unit, self._shown = title, total, done, unit, shown
    self.counts, self.begun, self._first = counts, time.monotonic(), None

  def __enter__(self):
    if self._shown:
      _screen.open(self)
    return self

  def __exit__(self, *_):
    if self._shown:
      _screen.close(self)

  def update(self, number=1):
    self.done += number
    if self._first is None:  # compiling and reading ahead lie before it
      self._first = time.monotonic(), self.done

  def left(self):
    """Seconds until the end, or None where nobody can say."""
    since, done = self._first or (0, self.done)
    if self.total is None or self.done == done:
      return None
    return (time.monotonic() - since) / (self.done - done) * (self.total - self.done)


def with_progress(items, title, *, total=None, unit="images"):
  """Yields the items under a `Bar`; `total`: their number, where they have no length."""
  with Bar(title, len(items) if total is None else total, unit=unit) as bar:
    for item in items:
      yield item
      bar.update()


def in_parts(length, size, title, *, unit="images"):
  """Yields where each part of `size` of `length` things starts, under a `Bar` that counts the things."""
  with Bar(title, length, unit=unit) as bar:
    for start in range(0, length, size):
      yield start
      bar.update(min(size, length - start))


def working():
  """A context manager under which no silence is longer than `SILENCE`."""
  return Bar("still working", counts=False)


class LogLines(logging.Handler):
  """Log records as plain lines, above the bar if there is one."""

  def emit(self, record):
    _screen.say(self.format(record))


@contextmanager
def compiling():
  """While it lasts bars say that XLA compiles, which JAX itself tells only where it asks its cache."""
  _screen.on_event(_COMPILES)
  try:
    yield
  finally:
    _screen.on_event(_COMPILED)


def watch_compiling():
  """Lets bars say that XLA compiles, from now on."""
  import jax  # slow to import

  if not _screen.watches:
    _screen.watches = True
    jax.monitoring.register_event_listener(_screen.on_event)
    jax.monitoring.register_event_duration_secs_listener(_screen.on_event)


def interactive():
  """Whether a line can be drawn anew: in a terminal, but not in a notebook's cell, which only looks like one."""
  in_cell = "JPY_PARENT_PID" in os.environ or os.environ.get("MPLBACKEND", "").startswith("module://")
  if in_cell or os.environ.get("TERM") == "dumb" or sys.stderr is None or sys.stderr.closed:
    return False
  return sys.stderr.isatty()


class _Screen:
  """Who draws: all bars that are open, and the thread that shows the last of them."""

  def __init__(self):
    self.watches = False
    self._lock, self._bars, self._thread = threading.RLock(), [], None
    self._drawn, self._compiling_since = 0, None
    self._said_at, self._said = 0.0, None

  def open(self, bar):
    with self._lock:
      self._bars.append(bar)
      self._said_at, self._said = time.monotonic(), None
      if self._thread is None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), daemon=True)
        self._thread.start()

  def close(self, bar):
    with self._lock:
      if bar not in self._bars:
        return
      del self._bars[self._bars.index(bar) :]  # an interruption may leave those that were opened after it
      self._clear()
      self._said_at, self._said = time.monotonic(), None
      if self._bars:
        return
      thread, self._thread = self._thread, None
      self._stop.set()
    thread.join()  # one that still writes while Python ends would abort it

  def say(self, text):
    with self._lock:
      self._clear()
      self._write(text + "\n")
      self._said_at = time.monotonic()

  def on_event(self, event, *_, **__):
    if event == _COMPILES:
      self._compiling_since = time.monotonic()
    elif event == _COMPILED:
      self._compiling_since = None

  def _run(self, stop):
    while not stop.wait(min(DRAWN_EVERY, LINE_EVERY)):
      with self._lock:
        if stop.is_set():
          return
        bar, now = self._bars[-1], time.monotonic()
        pause = max(LINE_EVERY, (now - bar.begun) / 10) if bar.counts and bar.done != self._said else SILENCE
        if interactive() and bar.counts:
          self._draw(bar)
        elif now - self._said_at >= min(SILENCE, pause):
          self._said = bar.done
          self.say(self._line(bar))

  def _state(self, bar):
    """What follows a bar's title, in words."""
    since = self._compiling_since
    if since is not None:
      return f"compiling, {duration(time.monotonic() - since)}"
    if not bar.counts:
      return duration(time.monotonic() - bar.begun)
    left = bar.left()
    return f"{duration(left)} left" if left is not None else ""

  def _line(self, bar):
    state = self._state(bar)
    if not bar.counts:
      return state if state.startswith("compiling") else f"{bar.title}, {state}"
    return ", ".join(filter(None, [f"{bar.title}: {_count(bar, ' of ')}", state]))

  def _draw(self, bar):
    try:
      columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
      columns = 80
    words = ", ".join(filter(None, [_count(bar, "/"), self._state(bar)]))
    width = min(WIDEST, columns - len(bar.title) - len(words) - 6)
    filled = "" if not bar.total or width < 4 else f"[{'#' * (width * bar.done // bar.total):{width}}] "
    text = f"{bar.title}  {filled}{words}"[: columns - 1]
    self._write("\r" + text.ljust(self._drawn))
    self._drawn = len(text)

  def _clear(self):
    if self._drawn:
      self._write("\r" + " " * self._drawn + "\r")
      self._drawn = 0

  def _write(self, text):
    try:
      sys.stderr.write(text)
      sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
      pass  # nobody reads it any more: stderr is closed, and the work itself goes on


def _count(bar, of):
  return f"{bar.done:,} {bar.unit}" if bar.total is None else f"{bar.done:,}{of}{bar.total:,} {bar.unit}"


def duration(seconds):
  """'45 s', '3 min' or '2.5 h'."""
  if seconds < 100:
    return f"{seconds:.0f} s"
  return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


_screen = _Screen()
