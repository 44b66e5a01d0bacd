"""Older runs, which were trained before how their faces sit was measured."""

import dataclasses

import numpy as np
import pytest

from fakeface_jax.data.faces import framing as measuring
from fakeface_jax.data.faces.detect import Box
from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.errors import UserError
from fakeface_jax.runs import framing


@dataclasses.dataclass(frozen=True)
class Plain:
  """As much of a detector as is asked for."""
  framing: object = None


@pytest.fixture
def older_run(tmp_path, monkeypatch):
  image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
  records = [{"image": encode_image(image, "PNG"), "source": b"a.png"}] * 3
  monkeypatch.setattr(framing, "read_config", lambda workdir: None)
  monkeypatch.setattr(framing, "split_of_run", lambda config, use: records if use == "train" else None)
  monkeypatch.setattr(measuring, "face_detector", lambda: lambda image: [Box(15, 10, 45, 40, 1.0)])
  return tmp_path


def test_it_is_measured_when_first_needed(older_run, monkeypatch):
  detector = framing.with_framing(Plain(), older_run)
  assert (detector.framing.left, detector.framing.top, detector.framing.size) == (0.2, 0.2, 50)
  monkeypatch.setattr(framing, "split_of_run", None)  # and not once more
  assert framing.with_framing(Plain(), older_run) == detector


def test_where_its_images_are_gone_that_is_said(older_run, monkeypatch, caplog):
  def gone(config, use):
    raise UserError("the folder /faces is not there")

  monkeypatch.setattr(framing, "split_of_run", gone)
  assert framing.with_framing(Plain(), older_run).framing is None
  assert "they cannot be had: the folder /faces is not there" in caplog.text
