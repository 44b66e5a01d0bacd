"""A batch size that nobody asked for fits the devices; one that was asked for stays, for the training to judge."""

import json

import jax
import pytest

from configs import scratch
from fakeface_jax.commands import batch_size
from fakeface_jax.commands.batch_size import fit_batch_size
from fakeface_jax.errors import UserError


@pytest.fixture
def fitted(monkeypatch, tmp_path, caplog):
  """A function: the batch size that is trained with on so many devices, and the line about it or ''."""

  def fit(size, devices, *, given=False, step=1):
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    monkeypatch.setattr(batch_size, "is_given", lambda field: given)
    config = scratch.get_config()
    config.batch_size = size
    caplog.clear()
    with caplog.at_level("INFO"):
      fit_batch_size(config, tmp_path / "run", step)
    return config.batch_size, " ".join(caplog.messages)

  return fit


def begin(folder, size):
  (folder / "run" / "checkpoints" / "4").mkdir(parents=True)
  (folder / "run" / "config.json").write_text(json.dumps({"batch_size": size}))


def test_it_is_rounded_up_with_a_word(fitted):
  assert fitted(32, 8) == (32, "")
  assert fitted(32, 6) == (
      36, "Batches of 36 images instead of 32, to be split over 6 devices; the learning rate stays.")
  assert fitted(32, 64)[0] == 64 and fitted(1, 8)[0] == 8
  assert fitted(32, 8, step=4) == (32, "") and fitted(64, 8, step=16)[0] == 128


def test_one_that_was_asked_for_stays(fitted):
  assert fitted(32, 6, given=True) == (32, "")


def test_a_run_goes_on_with_its_own_or_says_why_it_cannot(fitted, tmp_path):
  begin(tmp_path, 36)
  assert fitted(32, 1) == fitted(32, 4) == (36, "")  # begun on six devices
  with pytest.raises(UserError, match=r"run holds a run with batches of 36 images, which cannot be split over 8 dev"):
    fitted(32, 8)


def test_a_run_without_weights_does_not_count(fitted, tmp_path):
  begin(tmp_path, 36)
  (tmp_path / "run" / "checkpoints" / "4").rmdir()
  assert fitted(32, 1) == (32, "")
  (tmp_path / "run" / "checkpoints" / "4").mkdir()
  (tmp_path / "run" / "config.json").write_text("{")
  assert fitted(32, 1) == (32, "")
