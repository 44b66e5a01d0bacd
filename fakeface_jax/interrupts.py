"""Ctrl-C in a script: the first ends the work in hand, the second ends the process, whatever it is doing.

Python itself hears of a signal only between two steps of its main thread; so a thread listens too, and the second
Ctrl-C works while XLA compiles, while threads are waited for, and while Python ends.
"""

import _thread
import builtins
import contextlib
import os
import signal
import sys
import threading

_SAID = b"\ninterrupted\n"


class _State:
  listening = working = False
  pressed = heard = 0  # as counted by the main thread, and by the one that listens


def listen():
  """Takes Ctrl-C over; not in a notebook, whose Ctrl-C is its own, and not where it is ignored (nohup)."""
  default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
  if _State.listening or not default or hasattr(builtins, "__IPYTHON__"):
    return
  _State.listening = True
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  signal.signal(signal.SIGINT, _on_press)
  sys.unraisablehook = _on_unraisable
  threading.Thread(target=_hear, args=(reader,), daemon=True).start()


@contextlib.contextmanager
def working():
  """While it is open, the first Ctrl-C is a KeyboardInterrupt; before and after there is nothing to save."""
  _State.working = True
  try:
    yield
  finally:
    _State.working = False


def pressed():
  """Whether there was a Ctrl-C."""
  return _State.pressed > 0


def _on_press(*_):
  _State.pressed += 1
  if _State.pressed > 1 or not _State.working:
    _end()
  raise KeyboardInterrupt


def _hear(reader):
  while byte := os.read(reader, 1):
    if byte[0] == signal.SIGINT:
      _State.heard += 1
      if _State.heard > 1 or not _State.working:
        _end()


def _on_unraisable(unraisable):
  """A KeyboardInterrupt that met a callback, which cannot raise it, is raised again."""
  if issubclass(unraisable.exc_type, KeyboardInterrupt):
    _State.pressed = _State.heard = 0
    _thread.interrupt_main()
  else:
    sys.__unraisablehook__(unraisable)


def _end():
  with contextlib.suppress(OSError):
    os.write(2, _SAID)
  os._exit(128 + signal.SIGINT)
