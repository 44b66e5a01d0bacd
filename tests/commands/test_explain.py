import dataclasses
import json
import logging
import unicodedata

import jax
import numpy as np
import pytest
from PIL import Image

from fakeface_jax.commands.explain import explain_items
from fakeface_jax.commands.items import Item, items_of_files
from fakeface_jax.detector import Detector
from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables
from fakeface_jax.models.resnet import resnet
from fakeface_jax.runs.records import read_lines

LAYERS = ["layer4_1/conv2"]


@pytest.fixture(autouse=True)
def _words_are_heard(monkeypatch):
  monkeypatch.setattr(logging.getLogger("fakeface_jax"), "propagate", True)


@pytest.fixture(scope="module")
def detector():
  model = resnet(18)
  return Detector(model, init_variables(model, jax.random.key(2), 32), resize=32, crop=32, batch_size=2)


def item(name, value):
  return Item(name, name.split(".")[0], lambda: np.full((32, 32, 3), value, np.uint8))


def lines_of(folder):
  return read_lines(folder / "predictions.jsonl")


def test_an_item_that_cannot_be_read_is_noted_and_the_rest_goes_on(detector, tmp_path):
  (missing,) = items_of_files([tmp_path / "missing.jpg"])
  failures = explain_items(detector, [item("a.png", 1), missing, item("b.png", 200)], tmp_path / "out")
  assert [reason for _, reason in failures] == ["no such file or folder"]
  assert {line["path"] for line in lines_of(tmp_path / "out")} == {"a.png", "b.png", str(tmp_path / "missing.jpg")}
  saved = np.load(tmp_path / "out" / "b.npz")
  (expected,) = detector.explain([np.full((32, 32, 3), 200, np.uint8)])
  np.testing.assert_array_equal(saved["image"], expected["image"])
  for name, values in [("logits", expected["logits"]), ("guided_backprop", expected["guided_backprop"]),
                       ("gradcam/layer4_1/conv2", expected["gradcam"]["layer4_1/conv2"])]:
    np.testing.assert_allclose(saved[name], values, rtol=1e-4, atol=1e-6)
    assert saved[name].dtype == np.float32
  assert (tmp_path / "out" / "a.png").exists()


def test_feature_maps_and_completeness_errors_are_written_too(detector, tmp_path):
  methods = {"feature_maps": {"count": 3}, "integrated_gradients": {"steps": 4}}
  explain_items(detector, [item("a.png", 90)], tmp_path, layers=["layer3_1"], methods=methods)
  (line,) = lines_of(tmp_path)
  assert set(line["completeness_error"]) == {"integrated_gradients"}
  assert (tmp_path / line["feature_maps"]).exists() and (tmp_path / line["panel"]).exists()
  saved = np.load(tmp_path / "a.npz")
  assert saved["feature_maps/layer3_1"].shape == (2, 2, 3)
  assert saved["feature_maps/layer3_1/channels"].shape == (3,)
  explain_items(detector, [item("a.png", 90)], tmp_path / "alone", methods=["feature_maps"])
  assert not (tmp_path / "alone" / "a.png").exists()


def test_an_interrupted_command_goes_on_where_it_stopped(detector, tmp_path):
  reads = []

  def read(name, value):
    reads.append(name)
    if name == "e.png" and reads.count(name) == 1:
      raise KeyboardInterrupt
    return np.full((32, 32, 3), value, np.uint8)

  items = [Item(name, name[0], lambda name=name, value=value: read(name, value))
           for value, name in enumerate(("a.png", "b.png", "c.png", "d.png", "e.png"), start=40)]
  with pytest.raises(KeyboardInterrupt):
    explain_items(detector, items, tmp_path, layers=LAYERS)
  done = {line["path"] for line in lines_of(tmp_path)}
  assert {"a.png", "b.png"} <= done < {item.name for item in items}
  with (tmp_path / "predictions.jsonl").open("a") as file:
    file.write('{"path": "c.p')  # a kill in the middle of a line
  (tmp_path / "d.npz").write_text("")  # and before its line was written
  reads[:] = ["e.png"]
  explain_items(detector, items, tmp_path, layers=LAYERS)
  assert not done & set(reads)
  assert sorted(line["path"] for line in lines_of(tmp_path)) == [item.name for item in items]
  assert sorted(line["maps"] for line in lines_of(tmp_path)) == ["a.npz", "b.npz", "c.npz", "d.npz", "e.npz"]

  reads[:] = ["e.png"]  # finished: there is nothing to do
  explain_items(detector, items, tmp_path, layers=LAYERS)
  assert len(reads) == 1 and len(lines_of(tmp_path)) == 5


def test_a_command_with_other_images_adds_its_own(detector, tmp_path):
  explain_items(detector, [item("a.png", 40)], tmp_path, layers=LAYERS)
  before = (tmp_path / "a.png").read_bytes()
  explain_items(detector, [Item("other/A.jpg", "A", item("", 90).read), item("b.png", 60)], tmp_path, layers=LAYERS)
  explain_items(detector, [item("c.png", 60)], tmp_path, layers=LAYERS, target="real")
  assert [(line["path"], line["maps"], line["target"]) for line in lines_of(tmp_path)] == [
      ("a.png", "a.npz", "fake"), ("other/A.jpg", "A_2.npz", "fake"), ("b.png", "b.npz", "fake"),
      ("c.png", "c.npz", "real")]
  assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize(("other", "changed"), [
    (lambda detector: {"background": np.zeros((1, 32, 32, 3), np.uint8)}, "methods, background"),
    (lambda detector: {"model": detector.model.clone(dtype=jax.numpy.bfloat16)}, "methods, dtype"),
    (lambda detector: {}, "target, methods")])
def test_other_settings_replace_only_where_that_is_allowed(detector, tmp_path, other, changed):
  methods = ["gradcam", "guided_backprop", "guided_gradcam", "feature_maps"]
  explain_items(detector, [item("a.png", 40), item("b.png", 60)], tmp_path, layers=LAYERS, methods=methods)
  before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
  again = dataclasses.replace(detector, **other(detector))
  settings = {"layers": LAYERS, "target": "real" if "target" in changed else "fake"}
  with pytest.raises(UserError, match=rf"of 1 of these images, .* a\.png, made with other settings \({changed}\);"):
    explain_items(again, [item("a.png", 40), item("c.png", 9)], tmp_path, **settings)
  assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
  explain_items(again, [item("a.png", 40)], tmp_path, overwrite=True, **settings)
  assert [line["path"] for line in lines_of(tmp_path)] == ["b.png", "a.png"]
  assert (tmp_path / "a.npz").read_bytes() != before["a.npz"] and (tmp_path / "b.npz").read_bytes() == before["b.npz"]
  assert not (tmp_path / "a.feature_maps.png").exists() and (tmp_path / "b.feature_maps.png").exists()


def test_a_photograph_that_has_changed_is_explained_anew_where_that_is_allowed(detector, tmp_path):
  photograph = tmp_path / "photo.png"
  Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(photograph)
  explain_items(detector, items_of_files([photograph]), tmp_path / "out", layers=LAYERS)
  Image.fromarray(np.full((40, 60, 3), 10, np.uint8)).save(photograph)
  with pytest.raises(UserError, match="of that file as it was before; overwrite=True replaces them"):
    explain_items(detector, items_of_files([photograph]), tmp_path / "out", layers=LAYERS)
  explain_items(detector, items_of_files([photograph]), tmp_path / "out", layers=LAYERS, overwrite=True)
  assert len(lines_of(tmp_path / "out")) == 1 and (np.load(tmp_path / "out" / "photo.npz")["image"] == 10).all()


def write_photographs(folder, *names):
  for value, name in enumerate(names, start=20):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 50, 3), value, np.uint8)).save(folder / name, "PNG")


def test_into_the_folder_of_the_photographs_themselves_as_often_as_one_likes(detector, tmp_path):
  names = ["photo.png", "PHOTO.jpg", "photo_2.png", "x.png", "x.feature_maps.jpg", "é.png", "e\u0301.gif", "curves.jpg",
           "predictions.jpg", "explain.json.png", f"{'n' * 251}.png", f"{'ü' * 125}.png"]
  write_photographs(tmp_path, *names)
  (tmp_path / "notes.npz").write_text("mine")
  before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
  methods = ["gradcam", "feature_maps"]
  for _ in range(2):
    items = items_of_files([str(tmp_path)])
    assert len(items) == len(names) and explain_items(detector, items, tmp_path, layers=LAYERS, methods=methods) == []
    lines = lines_of(tmp_path)
    assert len(lines) == len(names)
    written = [line[key] for line in lines for key in ("panel", "feature_maps", "maps")]
    alike = {unicodedata.normalize("NFC", name).casefold() for name in written}
    assert len(alike) == len(written) == 3 * len(names) and not alike & set(before)
    assert all(len(name.encode()) <= 255 for name in written)
    assert {path.name for path in tmp_path.iterdir()} == {*before, *written, "explain.json", "predictions.jsonl"}
  assert {name: (tmp_path / name).read_bytes() for name in before} == before
  with pytest.raises(UserError, match="holds no image but those that this command drew"):
    items_of_files([str(tmp_path / lines[0]["panel"])])


@pytest.mark.parametrize(("name", "content"), [
    ("explain.json", "[1, 2]"), ("explain.json", "{"), ("predictions.jsonl", '{"prompt": "x"}\n'),
    ("predictions.jsonl", "half a line\n")])
def test_files_of_the_user_that_are_called_like_ours_stay(detector, tmp_path, name, content):
  (tmp_path / name).write_text(content)
  for overwrite in (False, True):
    with pytest.raises(UserError, match=f"holds {name}, which this command did not write and would replace"):
      explain_items(detector, [item("a.png", 40)], tmp_path, layers=LAYERS, overwrite=overwrite)
  assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == content


@pytest.mark.parametrize("content", [
    None, "", "[]", '{"finished": true, "settings": {}, "scale": null, "scale_note": ""}', '{"made": 3, "images": {}}',
    '{"made": [], "images": {"a": {"source": "a", "version": "", "made": 7}}}',
    '{"made": [{"settings": {}, "scale": {"gradcam": "x"}, "scale_note": ""}], "images": {}}'])
def test_a_damaged_explain_json_is_made_again_and_nothing_is_lost(detector, tmp_path, content, caplog):
  explain_items(detector, [item("a.png", 40)], tmp_path, layers=LAYERS)
  before = (tmp_path / "a.png").read_bytes()
  (tmp_path / "explain.json").unlink() if content is None else (tmp_path / "explain.json").write_text(content)
  explain_items(detector, [item("b.png", 40)], tmp_path, layers=LAYERS)
  assert "explain.json cannot be read" in caplog.text and "made again" in caplog.text
  assert [line["path"] for line in lines_of(tmp_path)] == ["a.png", "b.png"]
  with pytest.raises(UserError, match=r"first a\.png, made with settings that are not known any more; overwrite=True"):
    explain_items(detector, [item("a.png", 40)], tmp_path, layers=LAYERS)
  assert (tmp_path / "a.png").read_bytes() == before
  explain_items(detector, [item("a.png", 40), item("b.png", 40)], tmp_path, layers=LAYERS, overwrite=True)
  assert sorted(path.name for path in tmp_path.iterdir()) == [
      "a.npz", "a.png", "b.npz", "b.png", "explain.json", "predictions.jsonl"]


@pytest.mark.parametrize("name", ["a.npz", "a.png"])
def test_a_done_line_whose_files_are_gone_or_cut_is_done_again(detector, tmp_path, name, caplog):
  explain_items(detector, [item("a.png", 40), item("b.png", 60)], tmp_path, layers=LAYERS)
  whole = (tmp_path / name).read_bytes()
  (tmp_path / name).write_bytes(whole[:-40]) if name == "a.npz" else (tmp_path / name).unlink()
  explain_items(detector, [item("a.png", 40), item("b.png", 60)], tmp_path, layers=LAYERS)
  assert "a.png: of what was made of it not all is in" in caplog.text
  assert (tmp_path / name).read_bytes() == whole and len(lines_of(tmp_path)) == 2


def test_a_folder_that_cannot_be_written_is_named(detector, tmp_path):
  (tmp_path / "out").write_text("")
  with pytest.raises(UserError, match=r"out=.*out cannot be written"):
    explain_items(detector, [item("a.png", 1)], tmp_path / "out")


def test_maps_without_a_scale_are_scaled_by_the_first_images_for_all(detector, tmp_path):
  explain_items(detector, [item("a.png", 90), item("b.png", 20), item("c.png", 250)], tmp_path, layers=LAYERS)
  (state,) = json.loads((tmp_path / "explain.json").read_text())["made"]
  firsts = detector.explain([np.full((32, 32, 3), value, np.uint8) for value in (90, 20)], layers=LAYERS)
  strengths = [result["gradcam"][LAYERS[0]].max() for result in firsts]
  assert state["scale"]["gradcam/layer4_1/conv2"] == pytest.approx(np.quantile(strengths, 0.8), rel=1e-4)
  assert state["scale_note"].endswith("the strength that the strongest of 2 images here reach")


def test_a_scale_of_the_run_is_used_as_it_is(detector, tmp_path):
  known = {"gradcam/layer4_1/conv2": 3.0, "guided_backprop": 4.0, "guided_gradcam/layer4_1/conv2": 5.0}
  run = Detector(detector.model, detector.variables, 32, 32, 2, known)
  explain_items(run, [item("a.png", 90)], tmp_path, layers=LAYERS)
  (state,) = json.loads((tmp_path / "explain.json").read_text())["made"]
  assert state["scale"] == known and state["scale_note"].endswith("speak for fake")
