"""Data that a run has seen in training, by whatever path they come, are no test of it, or not without a word."""

import json
import shutil

import pytest
from PIL import Image

from fakeface_jax.audit import cases as audited_cases
from fakeface_jax.audit import run as audit_module
from fakeface_jax.audit.run import audit_run
from fakeface_jax.commands.evaluate import evaluate_run
from fakeface_jax.commands.forge import forge_folder
from fakeface_jax.data.checking.overlap import in_words
from fakeface_jax.data.drawn.examples import render_example
from fakeface_jax.data.splits import RunSplits
from fakeface_jax.workdir import read_config
from tests.conftest import run_script

SIDE = 64


def write_drawn(folder, count, seed):
  """Drawn faces, `count` of each class, in real/ and fake/."""
  for i in range(2 * count):
    place = folder / ("real", "fake")[i % 2]
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{i:03}.jpg").write_bytes(render_example(seed, i, size=SIDE)["image"])
  return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
  return write_drawn(tmp_path_factory.mktemp("drawn") / "faces", 24, 7)


@pytest.fixture(scope="module")
def run(finished, faces, tmp_path_factory):
  """A run on a folder without splits; what its weights have learned does not matter here."""
  workdir = tmp_path_factory.mktemp("runs") / "run"
  shutil.copytree(finished[0], workdir)
  config = json.loads((workdir / "config.json").read_text())
  config["data"]["path"] = str(faces)
  (workdir / "config.json").write_text(json.dumps(config))
  return workdir


@pytest.fixture(scope="module")
def sizes(run):
  splits = RunSplits(read_config(run), quiet=True)
  sizes = {use: len(splits[use]) for use in ("train", "val", "test")}
  assert sum(sizes.values()) == 48 and min(sizes.values()) >= 3
  return sizes


def seen(run, data, **named):
  title, scores, _ = evaluate_run(run, str(data), **named)
  return title, scores["n"], scores.get("seen_in_training")


def test_its_own_folder_by_another_path_is_its_own_test_split(run, faces, sizes, tmp_path):
  (tmp_path / "link").symlink_to(faces)
  for path in (faces, tmp_path / "link", faces / ".." / "faces"):
    title, count, found = seen(run, path)
    assert title.endswith(f", test: {sizes['test']} images") and count == sizes["test"] and found is None
  assert seen(run, faces, split="all")[2] == {"images": 48, "same": sizes["train"] + sizes["val"], "alike": 0}
  assert seen(run, faces, split="val")[2] == {"images": sizes["val"], "same": sizes["val"], "alike": 0}


def test_a_copy_with_other_names_and_one_saved_again(run, faces, sizes, tmp_path):
  for kind in ("real", "fake"):
    for folder in ("copy", "pixels", "again"):
      (tmp_path / folder / kind).mkdir(parents=True)
    for i, path in enumerate(sorted((faces / kind).iterdir())):
      shutil.copy(path, tmp_path / "copy" / kind / f"other {i}.jpeg")
      picture = Image.open(path)
      picture.save(tmp_path / "pixels" / kind / f"{i}.png")
      picture.resize((SIDE + 20, SIDE + 20)).save(tmp_path / "again" / kind / f"{i}.jpg", quality=80)
  trained = sizes["train"] + sizes["val"]
  assert seen(run, tmp_path / "copy")[1:] == (48, {"images": 48, "same": trained, "alike": 0})
  assert seen(run, tmp_path / "pixels", split="all")[1:] == (48, {"images": 48, "same": trained, "alike": 0})
  assert seen(run, tmp_path / "again", split="all")[1:] == (48, {"images": 48, "same": 0, "alike": trained})


def test_a_part_of_it_and_a_folder_that_holds_it(run, faces, sizes, tmp_path):
  part = tmp_path / "part"
  for kind in ("real", "fake"):
    (part / kind).mkdir(parents=True)
    for path in sorted((faces / kind).iterdir())[:10]:
      shutil.copy(path, part / kind)
  _, count, found = seen(run, part)
  assert count == 20 and 0 < found["same"] <= 20 and found["alike"] == 0
  whole = tmp_path / "whole"
  shutil.copytree(faces, whole / "test")
  write_drawn(whole / "train", 2, 8)
  assert seen(run, whole)[1:] == (48, {"images": 48, "same": sizes["train"] + sizes["val"], "alike": 0})


def test_forgeries_made_from_it(run, faces, sizes, tmp_path):
  forge_folder(str(faces), str(tmp_path / "forged"))
  _, count, found = seen(run, tmp_path / "forged", split="all")
  splits = RunSplits(read_config(run), quiet=True)
  reals = sum(splits[use][i]["label"] == 0 for use in ("train", "val") for i in range(sizes[use]))
  assert count == 48 and found["same"] == 0 and found["alike"] >= 1.5 * reals  # the photographs, and most of the fakes


def test_other_faces_have_not_been_seen(run, tmp_path):
  _, _, found = seen(run, write_drawn(tmp_path / "others", 24, 9))
  assert found == {"images": 48, "same": 0, "alike": 0} and in_words(found) == ""


def test_a_run_whose_own_data_are_gone_says_that_it_cannot_tell(run, tmp_path):
  shutil.copytree(run, tmp_path / "run")
  config = json.loads((tmp_path / "run" / "config.json").read_text())
  config["data"]["path"] = str(tmp_path / "gone")
  (tmp_path / "run" / "config.json").write_text(json.dumps(config))
  _, count, found = seen(tmp_path / "run", write_drawn(tmp_path / "others", 2, 9))
  assert count == 4 and "gone: no such folder" in found["reason"] and "cannot be told" in in_words(found)


@pytest.mark.slow
def test_the_audit_says_it_first(run, faces, sizes, tmp_path, monkeypatch):
  monkeypatch.setattr(audit_module, "CORRUPTIONS", {})
  monkeypatch.setattr(audited_cases, "EACH", 1)
  shutil.copytree(faces, tmp_path / "copy")
  audit, *_ = audit_run(run, data=str(tmp_path / "copy"), out=tmp_path / "audit", methods=["gradcam"])
  trained = sizes["train"] + sizes["val"]
  assert audit["about"]["seen_in_training"] == {"images": 48, "same": trained, "alike": 0}
  sentence = f"{trained} of these 48 images were seen in training or in the choice of the epoch"
  assert audit["detection"]["verdict"].startswith(sentence)
  assert sentence in (tmp_path / "audit" / "report.html").read_text()


def test_a_run_tested_on_the_folder_it_is_trained_on_takes_the_test_split(faces, run, sizes):
  config = read_config(run)
  config.data.test_name = str(faces)
  assert len(RunSplits(config, quiet=True)["test"]) == sizes["test"]


@pytest.mark.slow
def test_the_command_prints_it_and_writes_it(run, faces, sizes, tmp_path):
  shutil.copytree(faces, tmp_path / "copy")
  result = run_script(
      "evaluate", "--workdir", run, "--data", tmp_path / "copy", "--out", tmp_path / "scores.json")
  assert result.returncode == 0, result.stderr
  trained = sizes["train"] + sizes["val"]
  assert f"{trained} of these 48 images were seen in training" in result.stdout
  assert json.loads((tmp_path / "scores.json").read_text())["seen_in_training"]["same"] == trained
