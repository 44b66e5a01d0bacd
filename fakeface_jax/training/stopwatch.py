"""Where a run's time goes."""

import collections
import functools
import json
import logging
import time
from contextlib import contextmanager
from pathlib import Path

import jax

from fakeface_jax.workdir import SECONDS_FILE, write_whole

log = logging.getLogger(__name__)

_COMPILED = "/jax/core/compile/backend_compile_duration"
_open = []  # the stopwatches that count what is compiled now


@functools.cache
def _listen():
  """Listens to JAX from now on: before 0.8.1 it has no way to stop."""
  def add(event, seconds, **_):
    for stopwatch in _open if event == _COMPILED else ():
      stopwatch.compiling += seconds

  jax.monitoring.register_event_duration_secs_listener(add)


class Stopwatch:
  """Seconds by part: `with stopwatch("validation"): ...` adds to its part.

  A context manager itself: while it is open, it also counts what XLA takes to compile.

  Attributes:
    parts: {name: seconds}; they do not overlap.
  """

  def __init__(self):
    self.parts, self.compiling = collections.defaultdict(float), 0.0

  def __enter__(self):
    _listen()
    _open.append(self)
    return self

  def __exit__(self, *_):
    _open.remove(self)

  @contextmanager
  def __call__(self, part):
    start = time.perf_counter()
    try:
      yield
    finally:
      self.parts[part] += time.perf_counter() - start

  def add(self, parts):
    """Takes up what a run took before it was stopped, {name: seconds}."""
    for part, seconds in parts.items():
      self.parts[part] += seconds

  def write(self, workdir):
    """Writes `seconds.json` to the run's folder, and a line to the log."""
    parts = ", ".join(f"{part} {seconds:,.1f}" for part, seconds in self.parts.items())
    log.info("This took %s s (%s; compiling %s of it).", *(
        f"{sum(self.parts.values()):,.1f}", parts, f"{self.compiling:,.1f}"))
    seconds = {"parts": self.parts, "compiling": self.compiling}
    write_whole(Path(workdir) / SECONDS_FILE, json.dumps(seconds, indent=2) + "\n")
