"""How many processor cores there are to use."""

import os


def usable_cores():
  """Cores that this process may use, at least 1; all of the machine's where the system tells no more (macOS)."""
  if hasattr(os, "process_cpu_count"):  # Python 3.13 and later
    return os.process_cpu_count() or 1
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
