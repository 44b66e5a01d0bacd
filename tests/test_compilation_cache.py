import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

COMMAND = """
import sys, jax, jax.numpy as jnp
from fakeface_jax.compilation_cache import use_compilation_cache
use_compilation_cache(sys.argv[1])
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((3, 3)))
"""


def compile_once(folder):
  """What the command says."""
  environment = {
      **os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_COMPILATION_CACHE_DIR": str(folder)}
  command = [sys.executable, "-c", COMMAND, str(folder)]
  result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, cwd=ROOT, check=True)
  return result.stderr


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data[::-1]])
def test_a_damaged_entry_is_removed_with_a_word_and_written_anew(tmp_path, damage):
  compile_once(tmp_path)
  entries = {path: path.read_bytes() for path in tmp_path.glob("*-cache")}
  assert entries
  for path, data in entries.items():
    path.write_bytes(damage(data))
  assert "damaged entries of the compilation cache were removed" in compile_once(tmp_path)
  assert all(path.stat().st_size > 0.8 * len(data) for path, data in entries.items())
  assert compile_once(tmp_path) == ""
