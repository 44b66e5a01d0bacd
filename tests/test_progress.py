"""What training and the rest show while they work: in a terminal, and where there is none."""

import contextlib
import io
import logging
import os
import pty
import re
import threading
import time
import types

import pytest

from fakeface_jax import progress
from fakeface_jax.progress import Bar, in_parts, with_progress, working


@pytest.fixture
def screen(monkeypatch):
  """A text file in the place of stderr, and little patience."""
  stream = io.StringIO()
  monkeypatch.setattr(progress, "sys", types.SimpleNamespace(stderr=stream))  # pytest sets that of sys in every phase
  monkeypatch.setattr(progress, "LINE_EVERY", 0.05)
  monkeypatch.setattr(progress, "SILENCE", 0.3)
  return stream


@pytest.fixture
def terminal(monkeypatch):
  """A pseudo terminal of 80 columns in the place of stderr; a function that returns what was written so far."""
  for name in ("JPY_PARENT_PID", "MPLBACKEND"):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setenv("TERM", "xterm")
  monkeypatch.setattr(progress, "DRAWN_EVERY", 0.02)
  ours, theirs = pty.openpty()
  os.set_blocking(ours, False)
  seen = []

  def text():
    with contextlib.suppress(BlockingIOError):
      seen.append(os.read(ours, 1 << 20).decode())
    return "".join(seen)

  with os.fdopen(theirs, "w") as stream:
    monkeypatch.setattr(progress, "sys", types.SimpleNamespace(stderr=stream))
    yield text
  os.close(ours)


def wait_for(condition):
  deadline = time.monotonic() + 20
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(0.005)


def test_a_file_gets_plain_lines_that_count_and_no_carriage_return(screen):
  with Bar("epoch 1/2", 2500, done=100) as bar:
    wait_for(lambda: "epoch 1/2: 100 of 2,500 images\n" in screen.getvalue())
    bar.update(32)
    wait_for(lambda: "epoch 1/2: 132 of 2,500 images\n" in screen.getvalue())
    bar.update(1000)
    wait_for(lambda: re.search(r"epoch 1/2: 1,132 of 2,500 images, \d+ s left\n", screen.getvalue()))
  assert "\r" not in screen.getvalue()
  line_of_it = re.compile(r"epoch 1/2: [\d,]+ of 2,500 images(, \d+ s left)?")
  assert all(line_of_it.fullmatch(line) for line in screen.getvalue().splitlines())


def test_what_is_quick_says_nothing_and_leaves_no_thread(screen, monkeypatch):
  monkeypatch.setattr(progress, "LINE_EVERY", 5.0)
  before = threading.active_count()
  assert list(with_progress([1, 2, 3], "counting")) == [1, 2, 3] and list(in_parts(10, 4, "parts")) == [0, 4, 8]
  assert screen.getvalue() == "" and threading.active_count() == before


def test_a_line_is_repeated_only_after_a_while_where_nothing_moves(screen):
  with Bar("waiting", 3):
    time.sleep(0.8)
  assert 2 <= len(screen.getvalue().splitlines()) <= 4  # at once, and after 0.3 and 0.6 s


def test_without_a_bar_no_silence_is_long(screen):
  with working():
    wait_for(lambda: screen.getvalue().count("still working, ") >= 2)
  said = screen.getvalue()
  time.sleep(0.4)
  assert screen.getvalue() == said


def test_it_says_that_it_compiles(screen):
  with Bar("features", 10):
    progress._screen.on_event(progress._COMPILES)
    wait_for(lambda: "features: 0 of 10 images, compiling, 0 s\n" in screen.getvalue())
    progress._screen.on_event(progress._COMPILED, 0.1)
    time.sleep(0.35)
  assert screen.getvalue().splitlines()[-1] == "features: 0 of 10 images"


def test_jax_tells_of_its_compiling_by_the_events_that_are_listened_to(tmp_path, monkeypatch):
  import jax

  heard = []
  jax.monitoring.register_event_listener(lambda event, **_: heard.append(event))
  jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: heard.append(event))
  jax.jit(lambda x: x * 7.25 - 0.125)(1.5)
  assert heard.index(progress._COMPILES) < heard.index(progress._COMPILED)


def test_a_terminal_has_one_line_that_is_drawn_anew_and_gone_at_the_end(terminal):
  with Bar("epoch 1/2", 200) as bar:
    bar.update(50)
    wait_for(lambda: "50/200" in terminal())
    bar.update(100)
    wait_for(lambda: "150/200" in terminal())
  drawn = terminal()
  assert "\n" not in drawn and "\repoch 1/2  [#######" in drawn
  assert drawn.endswith("\r") and drawn.split("\r")[-2].strip() == ""
  assert max(map(len, drawn.split("\r"))) < 80


def test_of_two_bars_in_a_terminal_one_is_shown(terminal):
  with Bar("outer", 2, unit="levels"):
    wait_for(lambda: "outer" in terminal())
    with Bar("inner", 5):
      wait_for(lambda: "inner" in terminal())
      count = terminal().count("outer")
      time.sleep(0.1)
      assert terminal().count("outer") == count
    wait_for(lambda: terminal().count("outer") > count)


def test_a_log_line_stands_on_a_line_of_its_own_above_the_bar(terminal):
  logger = logging.getLogger("test_progress")
  handler = progress.LogLines()
  logger.addHandler(handler)
  with Bar("working on it", 10):
    wait_for(lambda: "working on it" in terminal())
    logger.warning("something was left out")
    wait_for(lambda: "something was left out" in terminal())
  logger.removeHandler(handler)
  assert re.search(r"\r +\rsomething was left out\r\n", terminal())


@pytest.mark.parametrize("columns", [1, 5, 20, 40, 0])
def test_a_narrow_terminal_is_not_overrun(terminal, monkeypatch, columns):
  monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
  with Bar("explaining", 1000) as bar:
    bar.update(10)
    time.sleep(0.1)
  assert max(map(len, terminal().split("\r"))) <= max((columns or 80) - 1, 0)


@pytest.mark.parametrize("environment", [
    {"TERM": "dumb"}, {"JPY_PARENT_PID": "7"}, {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}])
def test_a_notebooks_cell_and_a_dumb_terminal_get_plain_lines(terminal, monkeypatch, environment):
  for name, value in environment.items():
    monkeypatch.setenv(name, value)
  monkeypatch.setattr(progress, "LINE_EVERY", 0.02)
  with Bar("testing", 7):
    wait_for(lambda: "testing: 0 of 7 images\r\n" in terminal())  # the terminal's own line ends
  assert "\r" not in terminal().replace("\r\n", "")


def test_bars_that_an_interruption_left_open_go_with_the_one_around_them(screen):
  with working():
    left_open = with_progress([1, 2], "left open")
    next(left_open)
  assert progress._screen._bars == [] and progress._screen._thread is None
  left_open.close()


def test_a_closed_stderr_stops_nothing(screen):
  with Bar("alone", 3):
    screen.close()
    time.sleep(0.15)


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (99, "99 s"), (150, "2 min"), (7200, "2.0 h")])
def test_times_in_words(seconds, text):
  assert progress.duration(seconds) == text
