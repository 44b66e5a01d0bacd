"""Data sets in the hub's layout, in folders; `test_hub_download` fetches them."""

import collections
import hashlib
import io
import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ml_collections import ConfigDict
from PIL import Image
from skimage import data as photographs

from fakeface_jax.data.builders.hub.layout import subsets_of
from fakeface_jax.data.datasets import open_dataset
from fakeface_jax.data.splits import RunSplits, what_to_score
from fakeface_jax.errors import UserError

TRAIN, VAL, TEST = (f"data/{split}-00000-of-00001.parquet" for split in ("train", "validation", "test"))
FACE, CAT = photographs.astronaut()[:200, 130:330], photographs.chelsea()


def picture(number):
  """A crop of a photograph as JPEG, another one for each number."""
  source = (FACE, CAT)[number % 2]
  file = io.BytesIO()
  Image.fromarray(source[number % 90 : number % 90 + 96, number // 90 : number // 90 + 80]).save(file, "JPEG")
  return file.getvalue()


def write(path, labels, *, names=None, start=0, column="label", pictures=None, **others):
  """A parquet file as `datasets` writes it; `names` of the classes go into its schema's metadata."""
  path.parent.mkdir(parents=True, exist_ok=True)
  pictures = pictures or [picture(start + number) for number in range(len(labels))]
  columns = {"image": pa.array([{"bytes": data, "path": f"{number}.jpg"} for number, data in enumerate(pictures)],
                               pa.struct({"bytes": pa.binary(), "path": pa.string()})), **others}
  if column:
    columns[column] = labels
  table = pa.table(columns)
  if names:
    features = {"image": {"_type": "Image"}, column: {"names": names, "_type": "ClassLabel"}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
  pq.write_table(table, path, row_group_size=5)
  return path


def read(path, data_dir, **kwargs):
  """{split: {source: (label, image's bytes)}} of what `path` names, and its `Dataset`."""
  dataset = open_dataset("hub", path=str(path), data_dir=str(data_dir), **kwargs)
  found = {split: [dataset[split][i] for i in range(count)] for split, count in dataset.splits.items()}
  return {split: {record["source"].decode(): (record["label"], record["image"]) for record in records}
          for split, records in found.items()}, dataset


def labels_of(records):
  return [label for _, (label, _) in sorted(records.items(), key=lambda item: int(item[0].partition("#")[2]))]


def message(path, data_dir, **kwargs):
  with pytest.raises(UserError) as caught:
    open_dataset("hub", path=str(path), data_dir=str(data_dir), **kwargs)
  assert "\n" not in str(caught.value)
  return str(caught.value)


@pytest.fixture
def split_set(tmp_path):
  """A folder with two training files, validation and test; its label 1 is real."""
  folder = tmp_path / "faces"
  write(folder / "data/train-00000-of-00002.parquet", [0, 1, 1, 0, 1, 0, 0], names=["fake", "real"])
  write(folder / "data/train-00001-of-00002.parquet", [1, 0], names=["fake", "real"], start=100)
  write(folder / VAL, [0, 1, 1], names=["fake", "real"], start=200)
  write(folder / TEST, [1, 0], names=["fake", "real"], start=300)
  return folder


def test_names_decide_and_splits_are_as_published(split_set, tmp_path, caplog):
  caplog.set_level(logging.INFO)
  found, dataset = read(split_set, tmp_path / "records")
  assert dataset.splits == {"train": 9, "val": 3, "test": 2} and dataset.notices == []
  assert found["train"]["data/train-00000-of-00002.parquet#2"] == (0, picture(2))
  assert found["train"]["data/train-00001-of-00002.parquet#1"] == (1, picture(101))
  assert {source: label for source, (label, _) in found["val"].items()} == {f"{VAL}#0": 1, f"{VAL}#1": 0, f"{VAL}#2": 0}
  assert f"{split_set}: of its labels (column label), real: real; fake: fake" in caplog.messages


def test_records_are_made_once_and_anew_where_the_folder_has_changed(split_set, tmp_path):
  first = read(split_set, tmp_path / "records")[1].fingerprint
  assert read(f"{split_set}/", tmp_path / "records")[1].fingerprint == first
  write(split_set / TEST, [1, 0, 0], names=["fake", "real"], start=300)
  assert read(split_set, tmp_path / "records")[1].splits["test"] == 3


def test_every_door_knows_it_by_one_word(split_set, tmp_path, monkeypatch):
  records = str(tmp_path / "records")
  config = ConfigDict({"seed": 0, "data": {
      "name": "hub", "path": str(split_set), "dir": records, "train_split": "train", "val_split": "val",
      "test_split": "test"}})
  own = RunSplits(config)
  assert len(own["train"]) == 9 and what_to_score(config, None)[1:] == ("test", True)
  for word in ("hub", f"hub:{split_set}"):
    dataset, split, held_out = what_to_score(config, word)
    assert (dataset.fingerprint, split, held_out) == (own.dataset("train").fingerprint, "test", True)
  with pytest.raises(UserError, match=r"needs to know which: config\.data\.path=OWNER/NAME \(as one word: hub:OWNER"):
    open_dataset("hub", data_dir=records)
  with pytest.raises(UserError, match=r"config\.data\.real=0 is for config\.data\.name=hub; synthetic_faces says"):
    open_dataset("synthetic_faces", data_dir=records, real="0")


def test_numbers_without_names_are_asked_for(tmp_path):
  folder, records = tmp_path / "faces", tmp_path / "records"
  write(folder / "train.parquet", [0, 1, 0, 1, -1, None])
  assert message(folder, records) == (
      f"{folder}: of its labels 0 and 1, none says whether it is real or fake; say which one is real:"
      f" config.data.real=0 or 1 (where a data set is one word: hub:{folder}:real=WORD)")
  assert message(folder, records, real="2") == f"{folder}: config.data.real=2: expected one of its labels: 0 and 1"
  for spelling, kwargs in ((folder, {"real": "1"}), (f"{folder}:real=1", {})):
    found, dataset = read(spelling, records, **kwargs)
    everything = {source: label for split in found.values() for source, (label, _) in split.items()}
    assert everything == {f"train.parquet#{number}": 1 - number % 2 for number in range(4)}
    assert dataset.metadata["unreadable"] == [["train.parquet#4", "has no label"], ["train.parquet#5", "has no label"]]


def test_train_alone_is_dealt_by_content(tmp_path):
  write(tmp_path / "faces" / TRAIN, ["Human", "AI-generated"] * 30)
  write(tmp_path / "copies" / TRAIN, ["human", "ai"] * 6, pictures=[picture(0), picture(1)] * 6)
  found, dataset = read(tmp_path / "faces", tmp_path / "records")
  assert dataset.metadata["split_by_content"] and sum(dataset.splits.values()) == 60
  for split, records in found.items():
    for source, (label, image) in records.items():
      number = int(source.removeprefix(f"{TRAIN}#"))
      share = int(hashlib.sha256(image).hexdigest()[:16], 16) / 2**64
      assert (label, image) == (number % 2, picture(number))
      assert split == ("train" if share < 0.7 else "val" if share < 0.85 else "test")
  copies = read(tmp_path / "copies", tmp_path / "records")[0]
  places = collections.defaultdict(set)
  for split, records in copies.items():
    for _, image in records.values():
      places[image].add(split)
  assert [len(splits) for splits in places.values()] == [1, 1]


def test_several_kinds_of_fake_and_a_kind_of_neither(tmp_path):
  write(tmp_path / "three" / TRAIN, [0, 1, 2] * 4, names=["Real", "Deepfake", "Artificial", "never seen"])
  write(tmp_path / "odd" / TRAIN, [0, 1, 2] * 4, names=["fake", "painting", "real"])
  assert message(tmp_path / "odd", tmp_path / "records") == (
      f"{tmp_path}/odd: of its labels fake, painting and real, 'painting' means neither real nor fake; say which one is"
      f" real: config.data.real=real; all others then count as fake (where a data set is one word:"
      f" hub:{tmp_path}/odd:real=WORD)")
  for path, expected in (("three", [0, 1, 1]), ("odd:real=real", [1, 1, 0])):
    found = read(tmp_path / path, tmp_path / "records")[0]
    assert labels_of({**found["train"], **found.get("val", {}), **found.get("test", {})}) == expected * 4


def test_names_in_the_card(tmp_path):
  folder = tmp_path / "faces"
  write(folder / "part.parquet", [1, 0] * 3)
  (folder / "README.md").write_text("""---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': 1_fake
          '1': 0_real
---
# Faces
""")
  found = read(folder, tmp_path / "records")[0]
  assert labels_of({**found["train"], **found.get("val", {}), **found.get("test", {})}) == [0, 1] * 3


def test_subsets_are_asked_for(tmp_path):
  folder, records = tmp_path / "faces", tmp_path / "records"
  write(folder / "small/a.parquet", ["real", "fake"])
  write(folder / "small/b.parquet", ["fake", "real", "real"], start=50)
  write(folder / "large/a.parquet", ["real", "fake"] * 4, start=90)
  card = """---
configs:
- config_name: small
  data_files:
  - split: train
    path: small/a*
  - split: test
    path:
    - "**/b.parquet"
- config_name: large
  data_files: large/*.parquet
---
"""
  (folder / "README.md").write_text(card)
  assert message(folder, records) == (
      f"{folder}: has the subsets large and small; say which: config.data.path={folder}:large")
  assert message(f"{folder}:huge", records) == f"{folder}: has no subset 'huge'; it has large and small"
  assert read(f"{folder}:small", records)[1].splits == {"train": 2, "test": 3}
  assert sum(read(f"{folder}:large", records)[1].splits.values()) == 8
  (folder / "README.md").write_text(card.replace("name: small", "name: small\n  default: true"))
  assert read(folder, records)[1].splits == {"train": 2, "test": 3}


@pytest.mark.parametrize(("names", "expected"), [
    (["data/train-00000-of-00001-5c35.parquet", "data/dev-00000-of-00001.parquet", "other/x.parquet"],
     {"default": {"train": 1, "dev": 1}}),
    (["default/train/0000.parquet", "default/train/0001.parquet", "default/partial-test/0000.parquet"],
     {"default": {"train": 2, "partial-test": 1}}),
    (["a/train/0000.parquet", "b/train/0000.parquet"], {"a": {"train": 1}, "b": {"train": 1}}),
    (["train/0.parquet", "valid/0.parquet", "testing_1/0.parquet"], {"default": {"train": 1, "val": 1, "test": 1}}),
    (["faces_train_1.parquet", "faces.val.parquet"], {"default": {"train": 1, "val": 1}}),
    (["faces.parquet", "more/faces.parquet"], {"default": {"": 2}}), ([], {})])
def test_layouts(names, expected):
  counts = {subset: {split: len(files) for split, files in splits.items()}
            for subset, splits in subsets_of(names, {}).items()}
  assert counts == expected


def test_what_is_not_used_is_named(tmp_path):
  write(tmp_path / "faces" / TRAIN, ["real", "fake"] * 10)
  write(tmp_path / "faces" / VAL, ["fake"] * 3, start=40)
  write(tmp_path / "faces" / "data/extra-00000-of-00001.parquet", ["real", "fake"], start=60)
  dataset = read(tmp_path / "faces", tmp_path / "records")[1]
  assert sum(dataset.splits.values()) == 20 and dataset.metadata["split_by_content"]
  assert dataset.notices == [
      "hub: some images are not used: split extra (called neither train nor validation nor test);"
      " split val (only fake images)"]
  assert "has no real images, only the labels ai and fake; a detector" in message(
      write(tmp_path / "fakes" / TRAIN, ["ai", "fake"]).parents[1], tmp_path / "records")


def test_images_that_do_not_decode_are_listed_and_a_class_of_them_is_refused(tmp_path):
  pictures = [picture(0), picture(1)[:900], picture(2), b"no image", picture(4), None]
  write(tmp_path / "some" / TRAIN, ["real", "real", "fake", "fake", "real", "fake"], pictures=pictures)
  dataset = read(tmp_path / "some", tmp_path / "records")[1]
  (cut, _), (foreign, reason), (missing, empty) = sorted(dataset.metadata["unreadable"])
  assert (cut, foreign, missing) == (f"{TRAIN}#1", f"{TRAIN}#3", f"{TRAIN}#5")
  assert reason.startswith("not an image") and empty == "its row holds no bytes of an image"
  write(tmp_path / "none" / TRAIN, ["real", "fake"], pictures=[picture(0), b"no image"])
  assert f"{tmp_path}/none: none of its 1 fake images can be read; replace them (the first is {TRAIN}#1: not an" in (
      message(tmp_path / "none", tmp_path / "records"))


def test_columns_are_found_by_their_types_and_names(tmp_path):
  write(tmp_path / "bare" / TRAIN, [0, 1] * 2, image=[picture(0), picture(1)] * 2, binary_label=["real", "fake"] * 2)
  found = read(tmp_path / "bare", tmp_path / "records")[0]
  assert labels_of({**found.get("train", {}), **found.get("val", {}), **found.get("test", {})}) == [0, 1] * 2
  write(tmp_path / "two" / TRAIN, ["real", "fake"], image=[1, 2], left=[picture(0)] * 2, right=[picture(1)] * 2)
  assert "images are in the columns left and right; expected one of them to be called image" in message(
      tmp_path / "two", tmp_path / "records")
  write(tmp_path / "texts" / TRAIN, ["real", "fake"], image=["a.jpg", "b.jpg"])
  assert "no column holds images (the bytes of files); its columns are image and label" in message(
      tmp_path / "texts", tmp_path / "records")
  write(tmp_path / "unlabelled" / TRAIN, ["real", "fake"], column=None, prompt=["a", "b"])
  unlabelled = message(tmp_path / "unlabelled", tmp_path / "records")
  assert ("no column of numbers or words is called label (or labels, class, classes, target, category); its columns are"
          " image and prompt; a detector needs to know which faces are real") in unlabelled


def test_a_column_of_labels_that_could_be_another_one(tmp_path):
  numbers, words = [0, 1, 2] * 2, ["Real", "Fake", "fake"] * 2
  write(tmp_path / "ab" / TRAIN, numbers, column="Label_A", Label_B=[0, 1, 1] * 2)
  for kwargs in ({}, {"real": "0"}):
    assert "labels are in the columns Label_B and Label_A; expected one of them to be called label" in message(
        tmp_path / "ab", tmp_path / "records", **kwargs)
  write(tmp_path / "both" / TRAIN, numbers, class_name=words)  # the names decide, not the numbers
  write(tmp_path / "kinds" / TRAIN, numbers, kind_of_label=[3, 4, 5] * 2)
  write(tmp_path / "yes" / TRAIN, numbers, is_fake=[False, True, True] * 2, original=[7, 8, 9] * 2)
  write(tmp_path / "no" / TRAIN, numbers, isReal=[1, 0, 0] * 2)
  for path in ("both", "kinds:real=0", "yes", "no"):
    found = read(tmp_path / path, tmp_path / "records")[0]
    assert labels_of({**found["train"], **found.get("val", {}), **found.get("test", {})}) == [0, 1, 1] * 2


def test_a_split_without_labels_is_not_used(tmp_path):
  write(tmp_path / "faces" / TRAIN, [0, 1, -1] * 4, names=["real", "fake"])
  write(tmp_path / "faces" / VAL, [1, 0], names=["real", "fake"], start=40)
  write(tmp_path / "faces" / TEST, [-1] * 3, names=["real", "fake"], start=60)
  dataset = read(tmp_path / "faces", tmp_path / "records")[1]
  assert dataset.splits == {"train": 8, "val": 2} and dataset.metadata["not_used"] == [["split test", "(no labels)"]]
  assert len(dataset.metadata["unreadable"]) == 4
  write(tmp_path / "none" / TEST, [None, None])
  assert message(tmp_path / "none", tmp_path / "records") == (
      f"{tmp_path}/none: its labels are all empty; a detector needs to know which faces are real")


def test_a_folder_that_is_no_whole_data_set(split_set, tmp_path, monkeypatch):
  records = tmp_path / "records"
  assert message(tmp_path / "nowhere", records) == (
      f"config.data.path={tmp_path}/nowhere: expected OWNER/NAME of the hub, or a folder with its parquet files; there"
      f" is no folder '{tmp_path}/nowhere'")
  (tmp_path / "empty").mkdir()
  assert message(tmp_path / "empty", records).endswith(
      "holds no parquet file; a folder of images is read by config.data.name=folder")
  assert message("nothing", records) == (
      "config.data.path=nothing: expected OWNER/NAME of the hub, or a folder with its parquet files; there is no folder"
      " 'nothing'")
  with pytest.raises(UserError, match=r"found data/; parquet files are read by config\.data\.name=hub \(as one word:"):
    open_dataset(str(split_set), data_dir=str(records))
  (split_set / TEST).write_bytes((split_set / TEST).read_bytes()[:-9])
  assert message(split_set, records).startswith(f"{split_set / TEST}: cannot be read as a parquet file (")
  (split_set / TEST).write_text("version https://git-lfs.github.com/spec/v1\n")
  assert "only a git-lfs pointer; run `git lfs pull`" in message(split_set, records)
  (split_set / "data/train-00001-of-00002.parquet").unlink()
  assert message(split_set, records) == (
      f"{split_set}: data/train-00001-of-00002.parquet is not there, the copy is incomplete; download it again")
  monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
  assert message(split_set, records) == (
      f"{split_set}: reading parquet files needs pyarrow; `pip install 'fakeface-jax[hub]'`")
