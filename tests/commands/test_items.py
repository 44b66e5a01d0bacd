"""What is known of the images that are explained, and what is drawn of it."""

import json
import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from fakeface_jax.commands import explain as explanations
from fakeface_jax.commands.explain import explain_items
from fakeface_jax.commands.items import items_of_files, items_of_run
from fakeface_jax.detector import load
from fakeface_jax.errors import UserError
from fakeface_jax.runs.records import read_lines


@pytest.fixture
def drawn(monkeypatch):
  """{name: (label, mask)} of the panels that are drawn."""
  panels, usual = {}, explanations.draw_panel

  def draw(result, name, scale, note, check, mask, label, **rest):
    panels[name] = label, mask
    return usual(result, name, scale, note, check, mask, label, **rest)

  monkeypatch.setattr(explanations, "draw_panel", draw)
  return panels


@pytest.fixture
def labelled(tmp_path):
  """real/ and fake/ with masks; photographs of 60 x 40, of whose shorter side a crop takes 32 of 40."""
  for name in ("real/a.png", "fake/b.png", "fake/in/c.png", "fake/d.png", "mask/b.png", "mask/c.png", "mask/d.png"):
    path = tmp_path / "faces" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((40, 60, 3), 90, np.uint8)
    if name.startswith("mask"):
      pixels[:] = 0
      pixels[:20, :34] = 255
    Image.fromarray(pixels[:, : 60 - 8 * (name == "mask/d.png")]).save(path)
  return tmp_path / "faces"


@pytest.fixture
def detector(finished):
  detector = load(finished[0])
  object.__setattr__(detector, "resize", 40)
  return detector


def test_of_labelled_files_the_truth_and_the_mask_as_the_network_sees_it_are_drawn(
    detector, labelled, tmp_path, drawn, monkeypatch, caplog):
  monkeypatch.setattr(logging.getLogger("fakeface_jax"), "propagate", True)
  lone = tmp_path / "real" / "lone.png"  # a folder's name alone does not make a label
  lone.parent.mkdir()
  shutil.copy(labelled / "real" / "a.png", lone)
  assert explain_items(detector, items_of_files([labelled / "real", labelled / "fake", lone]), tmp_path / "out") == []
  expected = np.zeros((32, 32), np.uint8)
  expected[: 20 - 4, : 34 - 14] = 255
  found = {name.rsplit("/", 1)[1]: known for name, known in drawn.items()}
  assert {name: label for name, (label, _) in found.items()} == {
      "a.png": 0, "b.png": 1, "c.png": 1, "d.png": 1, "lone.png": None}
  for name in ("b.png", "c.png"):
    np.testing.assert_array_equal(found[name][1], expected)
  assert [found[name][1] for name in ("a.png", "d.png", "lone.png")] == [None] * 3
  assert "mask/d.png: is 52 x 40 pixels, its image 60 x 40; its outline is not drawn" in caplog.text


def test_of_test_images_the_truth_is_drawn(finished, tmp_path, drawn):
  workdir, _ = finished
  items = items_of_run(workdir, 2)
  explain_items(load(workdir), items, tmp_path / "out")
  labels = {line["path"]: line["label"] for line in read_lines(workdir / "test_predictions.jsonl")}
  assert {name: label for name, (label, _) in drawn.items()} == {item.name: labels[item.name] for item in items}
  assert {mask for _, mask in drawn.values()} == {None}  # of these fakes nobody knows what was changed


@pytest.mark.parametrize("content", ["", '{"gradcam/layer4_1/conv2": 0.', "[]", '{"gradcam/layer4_1/conv2": "x"}',
                                     '{"gradcam/layer4_1/conv2": NaN}', "\x00"])
def test_a_damaged_scale_is_measured_again(run, content, monkeypatch, caplog):
  from fakeface_jax.explain.methods import resolve_methods
  from fakeface_jax.runs.map_scale import with_scale

  monkeypatch.setattr(logging.getLogger("fakeface_jax"), "propagate", True)
  whole = json.loads((run / "map_scale.json").read_text())
  (run / "map_scale.json").write_text(content)
  detector = load(run)
  assert detector.map_scale is None and "map_scale.json" in caplog.text and "measured again" in caplog.text
  if content == "":
    settings = resolve_methods(detector.model, ["gradcam"])
    again = with_scale(detector, run, settings).map_scale
    assert again == pytest.approx({key: whole[key] for key in again}, rel=1e-4)
    assert json.loads((run / "map_scale.json").read_text()) == again


def test_an_empty_name_is_no_folder():
  with pytest.raises(UserError, match=r"one of the images has an empty name \(''\)"):
    items_of_files(["a.png", ""])
