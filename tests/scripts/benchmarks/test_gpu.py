"""The command for accelerators, as far as it goes without one: what is missing or too slow costs its part only."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from benchmarks import gpu, training

from fakeface_jax.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def told(monkeypatch):
  """[(part, seconds)] of parts that answer at once."""
  asked = []

  def part(name, small, log, seconds):
    asked.append((name, seconds))
    return {"platform": "gpu", "answer": name}

  monkeypatch.setattr(gpu, "_part", part)
  monkeypatch.setattr(gpu, "find_spec", lambda package: True)
  return asked


def test_parts_come_in_the_order_of_their_worth(told, tmp_path):
  gpu.bench_gpu(tmp_path / "out")
  assert [name for name, _ in told] == [
      "device", "explain_bfloat16", "explain_float32", "captum", "training", "training_torch", "exactness",
      "pretraining", "layers"]
  figures = json.loads((tmp_path / "out" / "gpu.json").read_text())
  assert [figures[name]["answer"] for name, _ in told] == [name for name, _ in told]


def test_an_interruption_leaves_what_was_measured_then_and_earlier(told, tmp_path, monkeypatch):
  gpu.bench_gpu(tmp_path, parts=["exactness"])
  answer = gpu._part

  def interrupted(name, *rest):
    if name == "captum":
      raise KeyboardInterrupt
    return answer(name, *rest)

  monkeypatch.setattr(gpu, "_part", interrupted)
  with pytest.raises(KeyboardInterrupt):
    gpu.bench_gpu(tmp_path)
  figures = json.loads((tmp_path / "gpu.json").read_text())
  assert list(figures) == ["device", "exactness", "explain_bfloat16", "explain_float32"]


def test_what_is_not_installed_is_said_and_not_tried(told, tmp_path, monkeypatch):
  monkeypatch.setattr(gpu, "find_spec", lambda package: package not in ("torch", "captum"))
  gpu.bench_gpu(tmp_path)
  figures = json.loads((tmp_path / "gpu.json").read_text())
  assert figures["captum"]["not_measured"] == "not installed: torch, captum"
  assert figures["training_torch"]["not_measured"] == "not installed: torch"
  assert not {"captum", "training_torch"} & {name for name, _ in told}


def test_all_parts_end_with_the_time_for_all_but_not_those_that_are_named(told, tmp_path, monkeypatch):
  monkeypatch.setattr(gpu, "SECONDS_IN_ALL", 100)
  gpu.bench_gpu(tmp_path)
  assert 99 < dict(told)["training"] <= 100
  monkeypatch.setattr(gpu, "SECONDS_IN_ALL", 0)
  gpu.bench_gpu(tmp_path)
  figures = json.loads((tmp_path / "gpu.json").read_text())
  assert figures["layers"]["not_measured"] == "the time for all parts was over; --parts=layers measures it"
  told.clear()
  gpu.bench_gpu(tmp_path, parts=["training"])
  assert told[1] == ("training", 360)


def test_bad_input_is_said(told, tmp_path, monkeypatch):
  with pytest.raises(UserError, match="--parts: there is no 'torch'; use some of explain_bfloat16,explain_float32,"):
    gpu.bench_gpu(tmp_path, parts=["torch"])
  monkeypatch.setattr(gpu, "_part", lambda *_: {"platform": "cpu"})
  with pytest.raises(UserError, match=r"JAX finds no GPU or TPU here .* --small"):
    gpu.bench_gpu(tmp_path)


@pytest.mark.parametrize("package", ["simplejpeg", "sklearn"])  # the part needs the one, what it starts the other
def test_a_package_that_a_part_or_what_it_starts_misses_is_named(package, tmp_path, monkeypatch):
  (tmp_path / "sitecustomize.py").write_text(
      "import sys\nclass Missing:\n"
      "  def find_spec(self, name, *_):\n"
      f"    if name == '{package}':\n"
      "      raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
      "sys.meta_path.insert(0, Missing())\n")
  monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
  monkeypatch.setenv("TMPDIR", str(tmp_path))
  found = gpu._part("training", True, tmp_path / "training.log", 250)
  assert found == {"not_measured": f"not installed: {package}"}


@pytest.fixture
def endless(tmp_path, monkeypatch):
  """Parts start another process and wait for it; returns what says whether that one still runs."""
  python = tmp_path / "python"
  python.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/pid\nwait\n")
  python.chmod(0o755)
  monkeypatch.setattr(gpu.sys, "executable", str(python))

  def runs():
    time.sleep(0.1)
    status = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    return status.exists() and status.read_text().split()[2] != "Z"

  return runs


def test_a_part_that_takes_too_long_is_ended_with_what_it_started(endless, tmp_path):
  found = gpu._part("training", True, tmp_path / "training.log", 1)
  assert found == {"not_measured": "it took more than 1 s; training.log says how far it got"}
  assert not endless()


def test_ending_the_command_ends_the_part_and_what_it_started(endless, tmp_path):
  """As `timeout` does; they would keep the chip."""
  timer = threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM))
  timer.start()
  with pytest.raises(SystemExit):
    gpu._part("training", True, tmp_path / "training.log", 50)
  assert not endless()
  assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_chip_is_used_in_full_by_processes_whose_parent_leaves_it_to_them(tmp_path, monkeypatch):
  """JAX has only a CPU here, as in that parent."""
  said = []
  monkeypatch.setattr(training, "_output", lambda command, *_: said.append(json.loads(command[-1])) or "{}")
  training.run_torch(tmp_path, "last_block", 18, 64, 32, accelerated=True)
  training.run_torch(tmp_path, "last_block", 18, 64, 32, accelerated=False)
  assert [(given["workers"], given["inference_batch_size"]) for given in said] == [(os.cpu_count(), 256), (1, 32)]
  for accelerated, dtype in ((True, "bfloat16"), (False, "float32")):
    command, _ = training._train_command(tmp_path, "last_block", 18, 64, 32, 2, accelerated)
    assert f"--config.model.dtype={dtype}" in command


def test_exactness_needs_no_plugin_of_pytest(tmp_path, monkeypatch):
  """Such as pytest-timeout, which the project's settings mention: what is not known there is no error."""
  monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
  found = gpu.exactness(small=True)
  assert found["passed"]
  assert [line.split()[2] for line in found["errors"]][:3] == ["logits", "gradcam", "guided_backprop"]
  monkeypatch.setattr(gpu, "ROOT", tmp_path)  # where there are no tests
  with pytest.raises(UserError, match=r"the tests did not get to their figures: .*test_golden.py"):
    gpu.exactness(small=True)
