"""Work on many files at once: reading and decoding free the interpreter's lock."""

import collections
import concurrent.futures

from PIL import Image

from fakeface_jax.cores import usable_cores
from fakeface_jax.data.reading.images import one_large_image_at_a_time
from fakeface_jax.progress import with_progress


def in_order(function, tasks, *, threads=None, ahead=4):
  """Yields function(task) for every task, in their order, computed by several threads.

  A thread that works on a large image makes the others wait with theirs.

  Args:
    threads: as many as this process has cores by default.
    ahead: how many results for each thread may wait to be taken.
  """

  def work(task):
    with one_large_image_at_a_time():
      return function(task)

  Image.init()  # loads its modules: threads cannot, while tensorflow-datasets loads and takes Python's import over
  threads = threads or usable_cores()
  waiting = collections.deque()
  pool = concurrent.futures.ThreadPoolExecutor(threads)
  try:
    for task in tasks:
      waiting.append(pool.submit(work, task))
      if len(waiting) > ahead * threads:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()
  finally:
    pool.shutdown(cancel_futures=True)


def with_bar(function, tasks, title="reading images"):
  """`in_order` for a list of tasks, under a bar."""
  yield from with_progress(in_order(function, tasks, ahead=64), title, total=len(tasks))
