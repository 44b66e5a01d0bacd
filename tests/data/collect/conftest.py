import pytest

from fakeface_jax.data.collect.journal import Journal
from tests.data.collect.site import Clock, serving


@pytest.fixture
def site():
  with serving() as site:
    yield site


@pytest.fixture
def clock():
  return Clock()


@pytest.fixture
def journal(tmp_path):
  with Journal(tmp_path / "out", {}) as journal:
    yield journal
