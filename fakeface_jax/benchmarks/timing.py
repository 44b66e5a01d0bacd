"""Timing that can be compared: all candidates in one process, taking turns, medians."""

import time

import numpy as np


def take_turns(candidates, repeats):
  """{name: median seconds}.

  Args:
    candidates: {name: function that returns when its work is done}; each is called once before, to compile and warm up.
    repeats: calls of each, by turns.
  """
  seconds = {name: [] for name in candidates}
  for function in candidates.values():
    function()
  for _ in range(repeats):
    for name, function in candidates.items():
      start = time.perf_counter()
      function()
      seconds[name].append(time.perf_counter() - start)
  return {name: float(np.median(values)) for name, values in seconds.items()}
