"""Fixtures; and lets the tests here import their neighbours `seeded` and `torch_resnet`."""

import sys
from pathlib import Path

import pytest
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parent))

from seeded import small_state_dict, template

from fakeface_jax.models.resnet import BasicBlock, ResNet


@pytest.fixture(scope="session")
def small():
  """The variables of a network of one block per stage and two classes."""
  return template(ResNet((1, 1, 1, 1), BasicBlock))


@pytest.fixture(scope="session")
def small_file(tmp_path_factory):
  """Weights for `small`."""
  path = tmp_path_factory.mktemp("weights") / "small.safetensors"
  save_file(small_state_dict(), path)
  return path
