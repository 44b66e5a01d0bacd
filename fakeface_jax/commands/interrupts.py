"""Ctrl-C in a script: the first ends the work in hand, the second ends the process, whatever it is doing.

Python itself hears of a signal only between two steps of its main thread; so a thread listens too, and the second
Ctrl-C works while XLA compiles, while threads are waited for, and while Python ends. Whoever imports this in a script
has Ctrl-C taken over at once, so it needs no module that Python has not loaded anyway.
"""

import _thread
import os
import signal
import sys
import time

_SAID = b"\ninterrupted\n"
_MAIN = _thread.get_ident()


class _State:
  listening = working = ends = False
  raised = waits = False  # whether the first Ctrl-C has been raised, or waits for an import to end
  simulated, echoes, heard = False, 0, 0


def listen():
  """Takes Ctrl-C over; not in a notebook, whose Ctrl-C is its own, and not where it is ignored (nohup)."""
  default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
  if _State.listening or not default or hasattr(sys.modules["builtins"], "__IPYTHON__"):
    return
  _State.listening = True
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  signal.signal(signal.SIGINT, _on_press)
  _thread.start_new_thread(_hear, (reader,))


class working:
  """While it is open, the first Ctrl-C is a KeyboardInterrupt; before and after there is nothing to save."""

  def __enter__(self):
    _State.working = True
    self._hook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable

  def __exit__(self, *_):
    _State.working = False
    sys.unraisablehook = self._hook

  def _on_unraisable(self, unraisable):
    """A KeyboardInterrupt that met a callback, which cannot raise it, is raised again; in a notebook too."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
      _thread.start_new_thread(_raise_later, ())
    else:
      self._hook(unraisable)


def pressed():
  """Whether there was a Ctrl-C."""
  return _State.raised or _State.waits


def _on_press(_, frame):
  simulated, _State.simulated = _State.simulated, False
  if not _State.working or (pressed() and not simulated):
    _end()
  _State.waits = _imports(frame)
  if _State.waits:
    _thread.start_new_thread(_raise_later, ())
  else:
    _State.raised = True
    raise KeyboardInterrupt


def _imports(frame):
  """Whether a module is being imported: many in C crash, or print a traceback, where that is interrupted."""
  while frame is not None:
    if frame.f_code.co_filename.startswith("<frozen importlib"):
      return True
    frame = frame.f_back
  return False


def _raise_later():
  time.sleep(0.01)
  while _imports(sys._current_frames().get(_MAIN)):
    time.sleep(0.01)
  _State.simulated = True
  _State.echoes += 1
  _thread.interrupt_main()


def _hear(reader):
  while byte := os.read(reader, 1):
    if byte[0] == signal.SIGINT and _State.echoes:
      _State.echoes -= 1
    elif byte[0] == signal.SIGINT:
      _State.heard += 1
      if _State.heard > 1 or not _State.working:
        _end()


def _end():
  try:
    if _State.ends:
      time.sleep(1)  # the other thread is at it
    _State.ends = True
    os.write(2, _SAID)
  finally:
    os._exit(128 + signal.SIGINT)


_file = getattr(sys.modules["__main__"], "__file__", None) or ""
if os.path.basename(os.path.dirname(os.path.abspath(_file))) == "scripts":
  listen()
