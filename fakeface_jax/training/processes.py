"""Several processes that train together: where one ends by an error, the others end too, and wait for nobody."""

import os
import sys
import threading
import time
from contextlib import contextmanager

import jax
from jax.experimental import multihost_utils

KEY = "fakeface_jax/ended"
PATIENCE = 5_000  # milliseconds that the others have to hear of it


def wait_for_all(name):
  """Waits until every process of several has come here."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def of_first_process(decision):
  """What process 0 of several has decided: each has a clock of its own, and what follows they do together."""
  return bool(multihost_utils.broadcast_one_to_all(decision)) if jax.process_count() > 1 else decision


@contextmanager
def ending_together(worded=str):
  """While the block runs, an error in any of several processes ends them all, with a line each and exit code 1.

  Without this the others wait in the next thing that all do together, for ever. Args: worded: how an error is said.
  """
  if jax.process_count() == 1:
    yield
    return
  from jax._src.distributed import global_state  # the one way to the service that all processes are connected to

  client, over = global_state.client, threading.Event()
  watcher = threading.Thread(target=_watch, args=(client, over), daemon=True)
  watcher.start()
  try:
    yield
  except BaseException as error:
    over.set()
    watcher.join()
    reason = " ".join(worded(str(error)).split()) or type(error).__name__
    _end(client, f"process {jax.process_index()}: {reason}", tell=True)
  over.set()
  watcher.join()


def _watch(client, over):
  while not over.is_set():
    try:
      _end(client, client.blocking_key_value_get(KEY, 500))
    except jax.errors.JaxRuntimeError:  # nothing so far
      continue


def _end(client, reason, tell=False):
  print(f"error: {reason}", file=sys.stderr, flush=True)
  try:
    if tell:
      client.key_value_set(KEY, f"another of the processes has ended: {reason}")
    client.wait_at_barrier(KEY, PATIENCE)
    if jax.process_index() == 0:  # it keeps the service, without which JAX aborts the others: it goes last
      time.sleep(1)
  except jax.errors.JaxRuntimeError:
    pass  # another had an error too, or is in the middle of something
  os._exit(1)
