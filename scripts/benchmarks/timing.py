"""Timing that can be compared: all candidates in one run, taking turns, medians."""

import time

import numpy as np

TURNS = 2


def take_turns(candidates, repeats):
  """{name: median seconds}.

  In each of two turns a candidate is called several times in a row: the first call after another one's pays for
  the memory and the threads that this one used, which the median leaves out.

  Args:
    candidates: {name: function that returns when its work is done}; each is called once before, to compile and warm up.
    repeats: calls of each in a turn.
  """
  seconds = {name: [] for name in candidates}
  for function in candidates.values():
    function()
  for name in [*candidates] * TURNS:
    for _ in range(repeats):
      start = time.perf_counter()
      candidates[name]()
      seconds[name].append(time.perf_counter() - start)
  return {name: float(np.median(values)) for name, values in seconds.items()}
