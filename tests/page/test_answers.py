"""The page's answers, without a browser."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from fakeface_jax.drawing.overlay import layer
from fakeface_jax.errors import UserError
from fakeface_jax.page.answers import SHOWN, Answers
from fakeface_jax.page.report import write_files


@pytest.fixture(scope="module")
def answers(finished, tmp_path_factory):
  workdir = tmp_path_factory.mktemp("runs") / "run"
  shutil.copytree(finished[0], workdir)
  return Answers(workdir, 0.9)


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
  path = tmp_path_factory.mktemp("photographs") / "an astronaut <i>.jpg"
  Image.fromarray(astronaut()[:400]).resize((2500, 2000)).save(path, quality=95)
  return path


@pytest.fixture(scope="module")
def answer(answers, photograph):
  return answers.look(photograph)


def test_a_map_lies_where_the_network_looked(answers, answer):
  (look,) = answer.looks
  assert answer.size == (2500, 2000) and look.part == (250, 0, 2000)
  picture, title = answers.map(answer, 0, "gradcam", "layer4_1/conv1")
  assert title == "Grad-CAM of layer4_1/conv1"
  pixels = np.asarray(Image.open(io.BytesIO(picture)))
  assert pixels.shape == (1024, SHOWN, 4)
  cam = answers.detector.explain_seen(look.seen, layers=["layer4_1/conv1"], methods=["gradcam"])[0]["gradcam"]
  full = answers.detector.map_scale["gradcam/layer4_1/conv1"]
  expected = layer(cam["layer4_1/conv1"], (1024, 1024), full)
  np.testing.assert_allclose(pixels[:, 128:1152].astype(int), expected, atol=1)
  assert not pixels[:, :128].any() and not pixels[:, 1152:].any()


def test_the_page_starts_with_the_best_map_where_the_run_has_one(answers, answer, monkeypatch):
  assert answers.best == ("gradcam", None) and answers.first_layer("gradcam") == "layer4_1/conv2"
  assert answers.first_layer("guided_backprop") is None
  monkeypatch.setattr(answers, "best", ("hirescam", "layer2_0/conv1"))
  assert answers.first_layer("hirescam") == "layer2_0/conv1" and answers.first_layer("gradcam") == "layer4_1/conv2"
  assert "layer2_0/conv1" in answers.layers("hirescam") and "layer4_0/conv1" in answers.layers("hirescam")
  _, title = answers.map(answer, 0, "hirescam", "layer2_0/conv1")
  assert title == "HiResCAM of layer2_0/conv1"


def test_every_method_has_a_map(answers, answer):
  for method in ("guided_backprop", "integrated_gradients", "eigencam"):
    picture, _ = answers.map(answer, 0, method)
    assert Image.open(io.BytesIO(picture)).size == (SHOWN, 1024)


def test_the_files_that_are_taken_along(answers, answer, tmp_path):
  panel, maps, report = write_files(answers, answer, 0, tmp_path)
  assert (panel.name, maps.name, report.name) == tuple(
      f"an astronaut <i>.{kind}" for kind in ("panel.png", "maps.npz", "report.html"))
  with np.load(maps) as arrays:
    np.testing.assert_array_equal(arrays["image"], answer.looks[0].seen.pixels[0])
    assert "gradcam/layer4_1/conv2" in arrays.files and "guided_backprop" in arrays.files
  text = report.read_text()
  assert "an astronaut &lt;i&gt;.jpg" in text and "<i>" not in text and "://" not in text
  assert answer.looks[0].judgement.why in text.replace("&#39;", "'")


def test_what_is_too_large_or_broken_is_said(answers, tmp_path, monkeypatch):
  monkeypatch.setattr("fakeface_jax.page.answers.MAX_PIXELS", 100)
  Image.new("RGB", (11, 10)).save(tmp_path / "large.png")
  with pytest.raises(UserError, match=r"^large\.png: 11 x 10 px are more than this page takes"):
    answers.look(tmp_path / "large.png")
  (tmp_path / "broken.png").write_bytes(b"no picture")
  with pytest.raises(UserError, match=r"^broken\.png: "):
    answers.look(tmp_path / "broken.png")
