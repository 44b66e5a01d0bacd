"""Many pictures: how long `scripts/explain.py` takes for a folder of them, and how much memory."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.commands import SCRIPTS
from benchmarks.photographs import write_photographs
from fakeface_jax.errors import UserError

COUNTS = (100, 1000)


def bench_many_pictures(workdir):
  """Explains folders of 100 and of 1,000 JPEGs with a run's detector.

  Returns: (text, {count: {"seconds": of the whole command, "peak_memory": bytes}}).
  """
  figures = {}
  with tempfile.TemporaryDirectory() as folder:
    for count in COUNTS:
      photographs = Path(folder) / str(count)
      write_photographs(photographs, count)
      command = [
          sys.executable, str(SCRIPTS / "explain.py"), "--workdir", str(workdir),
          "--out", str(photographs / "panels"), str(photographs)]
      start = time.perf_counter()
      process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
      _, status, usage = os.wait4(process.pid, 0)
      if status:
        raise UserError(f"{' '.join(command)} failed; try it by itself with a few photographs")
      figures[count] = {"seconds": time.perf_counter() - start, "peak_memory": usage.ru_maxrss * 1024}
  lines = [
      f"{count:>5} photographs: {of['seconds']:.1f} s, at most {of['peak_memory'] / 2**20:.0f} MiB of memory"
      for count, of in figures.items()]
  return "\n".join(lines), figures
