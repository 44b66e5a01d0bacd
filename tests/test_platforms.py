"""Systems that lack what Linux has: the package takes what there is, or says that it does not."""

import importlib
import os
import subprocess
import sys

import pytest

import fakeface_jax
from fakeface_jax.cores import usable_cores
from tests.conftest import ROOT, config_flags

# What macOS lacks, and locks on top; then what is on the command line is run as a script.
ELSEWHERE = """
import os, pathlib, runpy, sys
sys.modules["fcntl"] = None
for name in ("sched_getaffinity", "process_cpu_count", "posix_fadvise", "O_TMPFILE", "memfd_create"):
  if hasattr(os, name):
    delattr(os, name)
opened = os.open
def open_elsewhere(path, *arguments, **named):
  if str(path).startswith(("/proc", "/sys")):
    raise FileNotFoundError(2, "No such file or directory", path)
  return opened(path, *arguments, **named)
read = pathlib.Path.read_text
def read_elsewhere(path, *arguments, **named):
  if str(path).startswith(("/proc", "/sys")):
    raise FileNotFoundError(2, "No such file or directory", str(path))
  return read(path, *arguments, **named)
os.open, pathlib.Path.read_text = open_elsewhere, read_elsewhere
"""
SCRIPT = ELSEWHERE + "sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
IMPORTS = ELSEWHERE + """
import fakeface_jax, importlib, pkgutil
for module in pkgutil.walk_packages(fakeface_jax.__path__, "fakeface_jax."):
  importlib.import_module(module.name)
"""


def elsewhere(code, *arguments):
  command = [sys.executable, "-c", code, *map(str, arguments)]
  result = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=ROOT)
  assert result.returncode == 0, result.stderr
  return result


def test_every_module_is_imported_without_what_only_linux_has():
  elsewhere(IMPORTS)


@pytest.mark.slow
def test_a_detector_trains_and_explains_without_what_only_linux_has(config, faces_folder, tmp_path):
  small = config.copy_and_resolve_references()
  small.epochs, small.data.dir = 1, str(tmp_path / "records")
  run = tmp_path / "run"
  trained = elsewhere(SCRIPT, ROOT / "scripts" / "train.py", "--workdir", run, *config_flags(small))
  assert f"{run}: files cannot be locked here (the operating system has none)" in trained.stderr
  photograph = faces_folder / "test" / "fake" / "000.png"
  elsewhere(SCRIPT, ROOT / "scripts" / "explain.py", "--workdir", run, "--out", tmp_path / "panels", photograph)
  assert (tmp_path / "panels" / "predictions.jsonl").is_file()


def test_windows_is_told_so(monkeypatch):
  monkeypatch.setattr(sys, "platform", "win32")
  with pytest.raises(ImportError, match="runs on Linux and macOS; on Windows, run it in WSL"):
    importlib.reload(fakeface_jax)


def test_cores_are_those_of_the_process_where_the_system_tells(monkeypatch):
  for name in ("process_cpu_count", "sched_getaffinity"):
    monkeypatch.delattr(os, name, raising=False)
  monkeypatch.setattr(os, "cpu_count", lambda: 7)
  assert usable_cores() == 7
  monkeypatch.setattr(os, "cpu_count", lambda: None)
  assert usable_cores() == 1
  monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
  assert usable_cores() == 3
  monkeypatch.setattr(os, "process_cpu_count", lambda: 2, raising=False)
  assert usable_cores() == 2
