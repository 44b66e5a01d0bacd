"""The panels of a photograph in memory are those that the command writes."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, coffee

import fakeface_jax
from fakeface_jax.commands.explain import explain_items
from fakeface_jax.commands.items import items_of_files
from fakeface_jax.data.faces.framing import Framing
from fakeface_jax.errors import UserError
from fakeface_jax.runs.sanity import trust_of_run

FRAMING = Framing(0.2, 0.2, 0.8, 0.8, 160, 1.0, (0.02, 0.02, 0.05), ((0, 0), (0, 0), (0.5, 0.5)))


@pytest.fixture(scope="module")
def detector(finished):
  return dataclasses.replace(fakeface_jax.load(finished[0]), framing=FRAMING)


def test_they_are_those_of_the_command(detector, tmp_path):
  Image.fromarray(astronaut()[:400, 50:400]).save(tmp_path / "a.png")
  (panel,) = fakeface_jax.panels(detector, fakeface_jax.read_image(tmp_path / "a.png"), str(tmp_path / "a.png"))
  trust = trust_of_run(detector.folder, ("gradcam", "guided_backprop", "guided_gradcam"))
  explain_items(detector, items_of_files([tmp_path / "a.png"]), tmp_path / "out", faces="auto", trust=trust)
  np.testing.assert_array_equal(panel, Image.open(tmp_path / "out" / "a.png"))


def test_without_a_face_there_is_none_and_the_whole_can_be_asked_for(detector):
  photograph = coffee()
  assert fakeface_jax.panels(detector, photograph) == []
  (panel,) = fakeface_jax.panels(detector, photograph, faces="none", methods=["occlusion"], colours="jet")
  assert panel.width == 1352
  with pytest.raises(UserError, match="methods=feature_maps have no map for a panel; add one that has, such as gradc"):
    fakeface_jax.panels(detector, photograph, methods=["feature_maps"])
