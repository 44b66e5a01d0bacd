"""The scripts in the kernel of a notebook, by %run, as one that is run from top to bottom finds them."""

import os
import time

import pytest
from jupyter_client.manager import start_new_kernel

from tests.conftest import ROOT, config_flags

STATE = """
import logging, os, signal, sys, threading, warnings
warnings.warn("their own way to show it")  # IPython takes the showing over at the first
def state():
  return [
      logging.root.level, list(logging.root.handlers), list(sys.path), warnings.showwarning, sys.unraisablehook,
      signal.getsignal(signal.SIGINT), {thread for thread in threading.enumerate() if not thread.daemon}]
before = state()
"""


class Kernel:
  """A kernel, whose cells are given as text."""

  def __init__(self, folder):
    # as in a notebook, on one device; a terminal's width, or none, is none of the kernel's
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": "", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    self._manager, self._client = start_new_kernel(cwd=str(folder), env=environment)

  def run(self, cell, interrupt_after=None):
    """What a cell shows: {"stdout", "stderr", "error", "text/html", ...}; Ctrl-C once a text has been printed."""
    asked, shown = self._client.execute(cell), {"stdout": "", "stderr": ""}
    while True:
      message = self._client.get_iopub_msg(timeout=120)
      kind, content = message["msg_type"], message["content"]
      if message["parent_header"].get("msg_id") != asked:
        continue
      if kind == "stream":
        shown[content["name"]] += content["text"]
      elif kind == "error":
        shown["error"] = content["ename"]
      elif kind in ("execute_result", "display_data"):
        shown |= content["data"]
      elif kind == "status" and content["execution_state"] == "idle":
        return shown
      if interrupt_after and interrupt_after in shown["stdout"]:
        interrupt_after = time.sleep(0.2)  # None
        self._manager.interrupt_kernel()

  def stop(self):
    self._client.stop_channels()
    self._manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
  kernel = Kernel(tmp_path_factory.mktemp("notebook"))
  yield kernel
  kernel.stop()


def test_a_script_that_is_run_in_a_cell_stops_and_goes_on_and_leaves_the_kernel_as_it_was(kernel, config):
  long = config.copy_and_resolve_references()
  long.epochs = 8
  flags = " ".join(f"'{flag}'" for flag in config_flags(long))
  train = f"%run {ROOT}/scripts/train.py {flags} --workdir runs/one"
  kernel.run(STATE)
  stopped = kernel.run(train, interrupt_after="epoch   1")
  assert "error" not in stopped and "epoch   8" not in stopped["stdout"], stopped["stderr"]
  assert stopped["stderr"].splitlines()[-1] == "interrupted; the same command goes on from what was saved"
  done = kernel.run(train)
  assert "error" not in done and done["stdout"].count("epoch   8") == 1 and "epoch   1" not in done["stdout"]
  assert done["stderr"].count("Going on after epoch") == 1
  assert "\r" not in done["stdout"] + done["stderr"]
  changed = "[[i, a, b] for i, (a, b) in enumerate(zip(before, state())) if a != b]"
  assert kernel.run(changed)["text/plain"] == "[]"
  assert kernel.run("logging.error('theirs')")["stderr"] == "ERROR:root:theirs\n"


def test_a_stop_that_meets_a_callback_which_cannot_raise_it_stops_the_cell_all_the_same(kernel):
  cell = (
      "import time\nfrom fakeface_jax.commands import interrupts\n"
      "class Callback:\n  def __del__(self):\n    raise KeyboardInterrupt\n"
      "with interrupts.working():\n  Callback()\n  time.sleep(5)\n"
  )
  shown = kernel.run(cell)
  assert shown.get("error") == "KeyboardInterrupt" and "ignored" not in shown["stderr"]


def test_pictures_show_themselves_and_those_of_others_still_do(kernel, finished):
  kernel.run("import matplotlib, fakeface_jax\nfrom skimage.data import astronaut, coffee")
  kernel.run("before = dict(matplotlib.rcParams)")
  kernel.run(f"detector = fakeface_jax.load({str(finished[0])!r})")
  looked = kernel.run("detector.look(astronaut(), 'none')")
  assert "data:image/png;base64," in looked["text/html"] and looked["text/plain"].startswith("[Look(picture at ")
  shown = kernel.run("fakeface_jax.panels(detector, astronaut(), 'astronaut', 'none')")
  assert shown["image/png"].startswith("iVBOR") and "error" not in shown
  assert kernel.run("[key for key in before if matplotlib.rcParams[key] != before[key]]")["text/plain"] == "[]"
  assert "image/png" in kernel.run("from matplotlib import pyplot as plt\nplt.plot([1, 2])\nplt.show()")
