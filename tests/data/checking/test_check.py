"""The whole report: on sets in memory, on folders by way of the script, and the line before training."""

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fakeface_jax.data.checking.check import check_data, first_look, table
from fakeface_jax.data.reading.images import decode_image, encode_image
from tests.conftest import run_script


class Records(SimpleNamespace):
  """A data set in memory: {split: [record]}."""

  def __init__(self, records, **metadata):
    splits = {split: len(several) for split, several in records.items()}
    super().__init__(name="memory", splits=splits, metadata=metadata, notices=[], records=records)

  def __getitem__(self, split):
    return self.records[split]


def encoded(seed, size=64, **options):
  random = np.random.default_rng(seed)
  coarse = Image.fromarray(random.integers(0, 256, (7, 7, 3), np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
  image = np.clip(np.asarray(coarse) * 0.8 + 20 + random.normal(0, 4, (size, size, 3)), 0, 255).astype(np.uint8)
  return encode_image(image, "JPEG", **{"quality": int(random.integers(80, 95)), **options})


def record(data, label, name):
  return {"image": data, "label": label, "source": name.encode()}


def fair(count, first=0, **fakes):
  return [record(encoded(first + i, **(fakes if i % 2 else {})), i % 2, f"{first + i:03}.jpg") for i in range(count)]


def test_a_fair_set():
  result = check_data(Records({"train": fair(60), "test": fair(20, 60), "val": []}))
  assert result["images"] == result["sampled"] == 80 and result["unreadable"] == []
  assert result["balance"] == {"train": {"real": 30, "fake": 30}, "test": {"real": 10, "fake": 10}}
  assert result["wrong"] == result["remarks"] == []
  text = table(result)
  assert text.endswith("\nNothing wrong was found.") and "train  30 real, 30 fake" in text
  assert json.loads(json.dumps(result))["balance"] == result["balance"]


def test_what_is_wrong_is_said():
  train, test = fair(60, quality=50), fair(8, 60)
  image = decode_image(train[4]["image"], "4")
  test += [record(train[0]["image"], 0, "copy.jpg"), record(encode_image(image, "JPEG", quality=60), 0, "again.jpg"),
           record(train[2]["image"], 1, "relabelled.jpg")]
  unreadable = [["bad.png", "is empty"], ["half.jpg", "is truncated"]]
  result = check_data(Records({"train": train, "test": test}, unreadable=unreadable))
  assert [name for name, _ in result["unreadable"]] == ["bad.png", "half.jpg"]
  duplicates = {kind: (found["across_splits"], found["across_classes"], found["pairs"])
                for kind, found in result["duplicates"].items()}
  equal = [["train: 000.jpg", "test: copy.jpg"], ["train: 002.jpg", "test: relabelled.jpg"]]
  assert duplicates == {
      "identical files": (4, 2, equal), "identical pixels": (4, 2, equal),
      "near-duplicates": (2, 0, [["train: 004.jpg", "test: again.jpg"]])}
  bytes_alone = result["shortcuts"]["file bytes"]["auc"]
  assert bytes_alone > 0.8
  for sentence in (
      "2 of the files cannot be read", "4 images have an identical one in another split: scores would be too good",
      "2 images have a nearly identical one in another split: scores would be too good",
      "2 images are both real and fake: the same pixels under both labels",
      f"file bytes alone: AUC {bytes_alone:.2f}: the classes were saved differently"):
    assert sentence in result["wrong"] and f"  {sentence}" in table(result)
  assert "train: 000.jpg ~ test: copy.jpg" in table(result)
  texture = f"spectrum alone: AUC {result['shortcuts']['spectrum']['auc']:.2f}: the classes differ in fine texture"
  assert result["shortcuts"]["spectrum"]["auc"] > 0.8 and texture in result["remarks"]


def test_copies_stand_on_one_side_when_the_shortcuts_are_measured():
  """Sixteen pictures, each saved eight times: their colours tell only what was seen."""
  pictures = [decode_image(encoded(i), "it") for i in range(16)]
  train = [record(encode_image(pictures[i], "JPEG", quality=75 + k), i % 2, f"{i}_{k}.jpg")
           for i in range(16) for k in range(8)]
  result = check_data(Records({"train": train}))
  assert result["duplicates"]["near-duplicates"]["within_split"] == 128
  colour = result["shortcuts"]["colour"]
  assert not colour["found"] and np.ptp(colour["interval"]) > 0.4


def test_remarks_are_not_errors():
  train = fair(40)
  near = encode_image(decode_image(train[0]["image"], "0"), "JPEG", quality=70)
  train += [record(near, 1, "forged.jpg"), record(near, 1, "twice.jpg")]
  train += [record(encoded(100 + i), 1, f"more{i}.jpg") for i in range(90)]
  result = check_data(Records({"train": train}))
  assert result["wrong"] == [] and len(result["remarks"]) == 3
  assert result["remarks"][0] == "only 15% of train are real"
  assert result["remarks"][1].startswith("3 images have a nearly identical one of the other class")
  assert result["remarks"][2].startswith("3 images have a copy in their own split")
  assert table(result).splitlines()[-4] == "To be known:" and "Nothing wrong was found." in table(result)


def test_a_sample_is_drawn_by_its_seed_and_said():
  data = Records({"train": fair(60)})
  result = check_data(data, sample=30, seed=3)
  assert result["sampled"] == 30 and "30 images, drawn with seed 3" in table(result)
  assert result == check_data(data, sample=30, seed=3)
  assert result["shortcuts"] != check_data(data, sample=30, seed=4)["shortcuts"]


def test_one_class_and_a_tiny_set():
  result = check_data(Records({"test": fair(10)[::2]}))
  assert result["wrong"] == ["test has no fake images"]
  assert "no fake to compare with" in table(result)
  tiny = check_data(Records({"test": fair(2)}))
  assert tiny["wrong"] == [] and "1 real and 1 fake to compare with" in table(tiny)


def test_the_first_look_says_one_line_and_is_kept(tmp_path, caplog):
  caplog.set_level(logging.INFO, "fakeface_jax")
  first_look(fair(60), tmp_path)
  first_look(fair(60, quality=40), tmp_path / "other")
  fine, bad = (one.getMessage() for one in caplog.records)
  start = "What tells the classes apart in the headers of 60 training images: "
  assert fine == start + "nothing; scripts/check_data.py looks closer."
  assert bad.startswith(start + "file bytes (AUC ") and "JPEG tables (AUC 1.00); scripts" in bad
  kept = json.loads((tmp_path / "other" / "data_check.json").read_text())
  assert kept["sampled"] == 60 and kept["shortcuts"]["JPEG tables"]["found"]
  (tmp_path / "other" / "checkpoints" / "12").mkdir(parents=True)
  first_look(fair(60, quality=40), tmp_path / "other")
  assert len(caplog.records) == 2


@pytest.fixture
def folder(tmp_path):
  for split, first in (("train", 0), ("test", 200)):
    for label, name in enumerate(("real", "fake")):
      (tmp_path / "faces" / split / name).mkdir(parents=True)
      for i in range(20):
        data = encoded(first + 20 * label + i)
        (tmp_path / "faces" / split / name / f"{i:02}.jpg").write_bytes(data)
  return tmp_path / "faces"


@pytest.mark.slow
def test_the_script(folder, tmp_path):
  (folder / "test" / "real" / "copy.jpg").write_bytes((folder / "train" / "real" / "03.jpg").read_bytes())
  arguments = ["check_data", folder, "--out", tmp_path / "check.json"]
  environment = {"TFDS_DATA_DIR": str(tmp_path / "records")}
  result = run_script(*arguments, environment=environment)
  assert result.returncode == 0, result.stderr
  assert "train: train/real/03.jpg ~ test: test/real/copy.jpg" in result.stdout
  assert "2 images have an identical one in another split" in result.stdout and result.stderr == ""
  report = json.loads((tmp_path / "check.json").read_text())
  assert report["images"] == 81 and report["duplicates"]["identical files"]["across_splits"] == 2
  (folder / "test" / "real" / "bad.jpg").write_bytes(b"text")
  result = run_script(*arguments, "--overwrite", environment=environment)
  assert result.returncode == 1 and "test/real/bad.jpg: not an image" in result.stderr
  assert "1 of the files cannot be read" in result.stdout


@pytest.mark.parametrize(("arguments", "answer"), [
    ([], "error: name one data set, or a folder with real/ and fake/"),
    (["nowhere"], "error: there is no data set and no folder 'nowhere'"),
])
def test_mistakes_are_answered_in_one_line(arguments, answer, tmp_path):
  result = run_script("check_data", *arguments, cwd=tmp_path)
  assert result.returncode == 1 and result.stderr.startswith(answer) and result.stderr.count("\n") == 1
