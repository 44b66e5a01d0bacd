"""Where a run's time goes."""

import collections
import time
from contextlib import contextmanager


class Stopwatch:
  """Seconds by part, {name: float}, in `seconds`: `with stopwatch("validation"): ...` adds to its part."""

  def __init__(self):
    self.seconds = collections.defaultdict(float)

  @contextmanager
  def __call__(self, part):
    start = time.perf_counter()
    try:
      yield
    finally:
      self.seconds[part] += time.perf_counter() - start

  def __str__(self):
    parts = ", ".join(f"{part} {seconds:,.1f}" for part, seconds in self.seconds.items())
    return f"{sum(self.seconds.values()):,.1f} s: {parts}"
