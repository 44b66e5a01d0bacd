"""Tests run on two CPU devices, or as many as XLA_FLAGS forces, and share a compilation cache with what they start."""

import os
import tempfile

# of two of the same flag the last one counts
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2 " + os.environ.get("XLA_FLAGS", "")
os.environ["NPROC"] = "8"  # collectives of forced CPU devices need that many threads, or they hang
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.path.join(tempfile.gettempdir(), "fakeface_jax_test_xla")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
SIZE = 32  # px; XLA's CPU convolutions are slow for a last stage of 2 x 2, and quick for 1 x 1


@pytest.fixture(scope="module", autouse=True)
def _programs_are_given_back():
  """Every compiled program holds memory maps, of which Linux allows a process 65,530; all modules' together crash."""
  yield
  jax.clear_caches()


def write_faces(folder, counts, seed=0):
  """Image files that a network tells apart within an epoch: fakes carry a bright checkered patch."""
  random = np.random.default_rng(seed)
  for split, count in counts.items():
    for label in ("real", "fake"):
      (folder / split / label).mkdir(parents=True)
      for i in range(count):
        pixels = random.integers(60, 120, (SIZE, SIZE, 3)).astype(np.uint8)
        if label == "fake":
          y, x = random.integers(0, SIZE - 16, 2)
          pixels[y : y + 16, x : x + 16] = 60 + 195 * (np.indices((16, 16)).sum(0) // 4 % 2)[..., None]
        Image.fromarray(pixels).save(folder / split / label / f"{i:03}.png")
  return folder


@pytest.fixture(scope="session")
def faces_folder(tmp_path_factory):
  """A folder of 64 training, 16 validation and 17 + 17 test images of 32 px."""
  return write_faces(tmp_path_factory.mktemp("faces"), {"train": 32, "val": 8, "test": 17})


@pytest.fixture(scope="session")
def config(faces_folder, tmp_path_factory):
  """A quick run's config on `faces_folder`; copy it before changing it."""
  from configs import scratch  # found from the repository's root

  config = scratch.get_config()
  config.data.name, config.data.path = "folder", str(faces_folder)
  config.data.dir = str(tmp_path_factory.mktemp("records"))
  config.data.resize = config.data.crop = SIZE
  config.batch_size, config.epochs = 16, 2
  return config


@pytest.fixture(scope="session")
def finished(config, tmp_path_factory):
  """A run from scratch in its folder, on this process's two devices, and its scores; copy it before changing it."""
  from fakeface_jax.commands.train import report_run
  from fakeface_jax.training.fine_tuning import train

  workdir = tmp_path_factory.mktemp("runs") / "finished"
  scores, unreadable = train(config, str(workdir))
  assert unreadable == []
  report_run(workdir)
  return workdir, scores


@pytest.fixture
def run(finished, tmp_path):
  """A copy of the finished run, to be changed."""
  return shutil.copytree(finished[0], tmp_path / "run")


def run_script(name, *arguments, environment=None, **kwargs):
  """A finished `subprocess` of scripts/<name>.py; its output is text."""
  command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, arguments)]
  return subprocess.run(
      command, capture_output=True, text=True, timeout=280, env={**os.environ, **(environment or {})}, **kwargs)


def config_flags(config):
  """The flags that make a config of configs/scratch.py."""
  from configs import scratch
  from fakeface_jax.workdir import flatten_config

  default, given = (flatten_config(chosen.to_dict()) for chosen in (scratch.get_config(), config))
  changed = [f"--config.{key}={value}" for key, value in given.items() if default[key] != value]
  return [f"--config={ROOT / 'configs' / 'scratch.py'}", *changed]
