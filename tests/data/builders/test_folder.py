"""Folders as people have them, tidy and untidy, made of 8 x 6 images (width x height)."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from ml_collections import ConfigDict
from PIL import Image

from fakeface_jax.data.builders import folder as folder_module
from fakeface_jax.data.builders.folder import folder_builder, read_mask
from fakeface_jax.data.checking.check import SHOWN, check_data, table
from fakeface_jax.data.datasets import open_dataset
from fakeface_jax.data.reading import kinds
from fakeface_jax.data.reading.records import decode_mask, record_name
from fakeface_jax.data.schema import DIFFICULTIES, FAKE, REAL
from fakeface_jax.data.splits import RunSplits
from fakeface_jax.errors import UserError
from tests.data.builders.reading_back import records

PHOTOS = Path(__file__).parents[4] / "shared" / "faces"


def write(path, pixels=None):
  """An image file; without pixels, one whose bytes depend on its path only."""
  path.parent.mkdir(parents=True, exist_ok=True)
  if pixels is None:
    pixels = np.random.default_rng(list(str(path.relative_to(path.parents[2])).encode())).integers(
        0, 256, (6, 8, 3), np.uint8)
  Image.fromarray(pixels).save(path)
  return path


@pytest.fixture
def root(tmp_path):
  """train with two images of each class, val with one."""
  root = tmp_path / "my faces"
  for name in ("train/real/a.png", "train/real/b.jpg", "train/fake/a.png", "train/fake/c.png",
               "val/real/d.png", "val/fake/e.png"):
    write(root / name)
  return root


@pytest.fixture
def flat(tmp_path):
  """real/ and fake/ of 40 images each, no splits."""
  for index in range(40):
    write(tmp_path / "flat" / "real" / f"{index}.png")
    write(tmp_path / "flat" / "fake" / f"{index}.png")
  return tmp_path / "flat"


def prepare(root, tmp_path):
  builder = folder_builder(root, data_dir=tmp_path / "records")
  builder.download_and_prepare()
  return builder


def message(root, tmp_path, *, preparing=False):
  with pytest.raises(UserError) as error:
    builder = folder_builder(root, data_dir=tmp_path / "records")
    if preparing:
      builder.download_and_prepare()
  assert "\n" not in str(error.value)
  return str(error.value)


def test_splits_are_taken_as_they_are_and_bytes_kept(root, tmp_path):
  found = records(prepare(root, tmp_path))
  assert {split: sorted(sources) for split, sources in found.items()} == {
      "train": ["train/fake/a.png", "train/fake/c.png", "train/real/a.png", "train/real/b.jpg"],
      "val": ["val/fake/e.png", "val/real/d.png"]}
  for source, record in (found["train"] | found["val"]).items():
    fake = "fake" in source
    assert record["image"] == (root / source).read_bytes()
    assert record["label"] == (FAKE if fake else REAL)
    assert decode_mask(record).tolist() == [[128 if fake else 0]]
    assert not record["regions"].any() and DIFFICULTIES[record["difficulty"]] == "none"


def test_names_of_folders_in_any_case_and_spelling(root, tmp_path):
  (root / "val").rename(root / "Validation")
  (root / "Validation" / "real").rename(root / "Validation" / "REAL")
  (root / "train" / "fake" / "c.png").rename(root / "train" / "fake" / "c.PNG")
  found = records(prepare(root, tmp_path))
  assert sorted(found["val"]) == ["Validation/REAL/d.png", "Validation/fake/e.png"]
  assert "train/fake/c.PNG" in found["train"]


def test_a_test_split_alone_will_do(root, tmp_path):
  shutil.rmtree(root / "train")
  (root / "val").rename(root / "test")
  assert list(records(prepare(root, tmp_path))) == ["test"]


def test_subfolders_with_equal_names_do_not_collide(root, tmp_path):
  for name in ("x/a.png", "y/a.png", "y/z/a.png"):
    write(root / "val" / "real" / name)
  sources = records(prepare(root, tmp_path))["val"]
  assert {"val/real/x/a.png", "val/real/y/a.png", "val/real/y/z/a.png", "val/real/d.png"} < set(sources)


def test_split_by_content(flat, tmp_path):
  found = records(prepare(flat, tmp_path))
  where = {}
  for split, sources in found.items():
    for record in sources.values():
      share = int(hashlib.sha256(record["image"]).hexdigest()[:16], 16) / 2**64
      assert split == ("train" if share < 0.7 else "val" if share < 0.85 else "test")
      where[record["image"]] = split
  assert len(where) == 80 and 40 <= len(found["train"]) <= 70
  # more images, and copies of the old ones under other names: nobody moves
  for index in range(20):
    write(flat / "real" / "more" / f"{index}.png")
    shutil.copy(flat / "real" / f"{index}.png", flat / "real" / f"copy{index}.png")
  again = records(prepare(flat, tmp_path))
  assert sum(map(len, again.values())) == 120
  for split, sources in again.items():
    assert all(where.get(record["image"], split) == split for record in sources.values())


def test_a_split_by_chance_may_leave_a_class_out_of_train(tmp_path):
  """Two images, of which the real one belongs to train by its hash and the fake one does not."""
  for folder, wanted in (("real", lambda share: share < 0.7), ("fake", lambda share: share >= 0.7)):
    for value in range(256):
      path = write(tmp_path / "few" / folder / "a.ppm", np.full((6, 8, 3), value, np.uint8))
      if wanted(int(hashlib.sha256(path.read_bytes()).hexdigest()[:16], 16) / 2**64):
        break
  builder = folder_builder(tmp_path / "few", tmp_path / "records")
  builder.download_and_prepare()
  assert builder.info.splits["train"].num_examples == 1 and builder.info.splits.total_num_examples == 2
  assert builder.info.metadata["split_by_content"] is True


def test_masks(root, tmp_path):
  grey = np.tile(np.uint8([0, 128, 255, 255, 0, 0, 128, 255]), (6, 1))
  write(root / "train" / "mask" / "a.png", grey)
  write(root / "train" / "mask" / "c.png", grey[:5])  # another size
  write(root / "train" / "mask" / "stray.png", grey)
  (root / "val" / "mask").mkdir()
  (root / "val" / "mask" / "e.png").write_bytes(b"no png")
  builder = prepare(root, tmp_path)
  found = records(builder)
  np.testing.assert_array_equal(decode_mask(found["train"]["train/fake/a.png"]), grey)
  assert decode_mask(found["train"]["train/real/a.png"]).tolist() == [[0]]  # the mask is the fake's
  assert decode_mask(found["train"]["train/fake/c.png"]).tolist() == [[128]]
  assert decode_mask(found["val"]["val/fake/e.png"]).tolist() == [[128]]
  ignored = builder.info.metadata["masks_ignored"]
  assert [path for path, _ in ignored] == ["train/mask/c.png", "train/mask/stray.png", "val/mask/e.png"]
  assert ignored[0][1] == "is 8 x 5 pixels, its image 8 x 6"
  assert ignored[1][1] == "fits 0 images in fake/" and ignored[2][1].startswith("not an image")


def test_masks_of_subfolders(root, tmp_path):
  black, white = np.zeros((6, 8), np.uint8), np.full((6, 8), 255, np.uint8)
  for name in ("x/f.png", "y/f.png", "y/g.png", "a.png"):
    write(root / "val" / "fake" / name)
  write(root / "val" / "fake" / "x" / "a.png")
  write(root / "val" / "mask" / "x" / "f.png", black)  # by path
  write(root / "val" / "mask" / "g.png", white)  # by name, as there is only one g
  write(root / "val" / "mask" / "a.png", white)  # by path: fake/a.png, not fake/x/a.png
  write(root / "val" / "mask" / "f.png", white)  # fits two
  builder = prepare(root, tmp_path)
  brightest = {source[9:]: decode_mask(record).max() for source, record in records(builder)["val"].items()}
  assert brightest == {"x/f.png": 0, "y/f.png": 128, "y/g.png": 255, "a.png": 255, "x/a.png": 128, "e.png": 128,
                       "d.png": 0}
  assert builder.info.metadata["masks_ignored"] == [["val/mask/f.png", "fits 2 images in fake/"]]


@pytest.mark.parametrize("stored, meant", [
    ([0, 128, 255], [0, 128, 255]),
    ([0, 1, 1], [0, 255, 255]),
    ([False, True, True], [0, 255, 255]),
    ([0, 0, 0], [0, 0, 0]),
    ([63, 64, 127], [0, 128, 128]),
    ([191, 192, 3], [128, 255, 0]),
])
def test_values_of_masks(stored, meant, tmp_path):
  path = write(tmp_path / "a" / "b" / "m.png", np.array([stored], bool if isinstance(stored[1], bool) else np.uint8))
  assert read_mask(path, (1, 3)).tolist() == [meant]


@pytest.mark.parametrize("pixels, reason", [
    (np.uint8([[0, 1, 2]]), "brightest value is 2"),
    (np.uint8([[[255, 0, 0]] * 3]), "coloured"),
])
def test_what_is_no_mask(pixels, reason, tmp_path):
  with pytest.raises(UserError, match=reason):
    read_mask(write(tmp_path / "a" / "b" / "m.png", pixels), (1, 3))


def test_unreadable_images_are_left_out_and_listed(root, tmp_path):
  (root / "train" / "real" / "broken.jpg").write_bytes((root / "train" / "real" / "b.jpg").read_bytes()[:-20])
  (root / "train" / "fake" / "empty.png").write_bytes(b"")
  for name in ("Thumbs.db", "notes.txt", ".DS_Store", "._a.png"):
    (root / "train" / "real" / name).write_bytes(b"?")
  prepare(root, tmp_path)
  builder = prepare(root, tmp_path)  # as opened later, from disk
  assert len(records(builder)["train"]) == 4
  metadata = builder.info.metadata
  assert [path for path, _ in metadata["unreadable"]] == ["train/fake/empty.png", "train/real/broken.jpg"]
  assert metadata["unreadable"][0][1].startswith("is empty") and "Premature end" in metadata["unreadable"][1][1]
  assert metadata["ignored_files"] == 4


def test_a_class_without_readable_images(root, tmp_path):
  (root / "val" / "real" / "d.png").write_bytes(b"")
  text = message(root, tmp_path, preparing=True)
  assert f"{root / 'val'}: none of its 1 real images can be read" in text and "val/real/d.png: is empty" in text


def test_a_changed_folder_is_prepared_anew(root, tmp_path):
  first = prepare(root, tmp_path)
  assert first.builder_config.name.startswith("my_faces-")
  assert folder_builder(root, data_dir=tmp_path / "records").data_dir == first.data_dir
  changes = [
      lambda: write(root / "val" / "real" / "new.png"),
      lambda: os.utime(root / "val" / "real" / "new.png", ns=(1, 1)),
      lambda: write(root / "val" / "mask" / "e.png", np.zeros((6, 8), np.uint8)),
      lambda: (root / "val" / "real" / "new.png").rename(root / "val" / "real" / "newer.png"),
      lambda: (root / "val" / "real" / "newer.png").unlink()]
  seen = {first.data_dir}
  for change in changes:
    change()
    seen.add(folder_builder(root, data_dir=tmp_path / "records").data_dir)
  assert len(seen) == 6
  assert "val/real/d.png" in records(first)["val"]  # the older records are untouched


def test_interrupting_leaves_nothing_that_looks_prepared(root, tmp_path, monkeypatch):
  builder = folder_builder(root, data_dir=tmp_path / "records")
  with monkeypatch.context() as patch:
    encode = folder_module.Folder._generate_examples
    def half(self, wanted):
      yield next(encode(self, wanted))
      raise KeyboardInterrupt
    patch.setattr(folder_module.Folder, "_generate_examples", half)
    with pytest.raises(KeyboardInterrupt):
      builder.download_and_prepare()
  assert not Path(builder.data_dir).exists()
  assert len(records(prepare(root, tmp_path))["train"]) == 4


def test_it_says_nothing(root, tmp_path, capfd, caplog):
  prepare(root, tmp_path)
  assert capfd.readouterr() == ("", "") and caplog.records == []


def test_a_read_only_folder(root, tmp_path):
  before = sorted(root.rglob("*"))
  for path in [root, *before]:
    path.chmod(0o555 if path.is_dir() else 0o444)
  prepare(root, tmp_path)
  for path in [root, *before]:
    path.chmod(0o755)
  assert sorted(root.rglob("*")) == before


def test_folders_that_do_not_fit(root, tmp_path):
  assert "no such folder" in message(tmp_path / "nowhere", tmp_path)
  assert "is not a folder" in message(root / "val" / "real" / "d.png", tmp_path)
  text = message(root.parent, tmp_path)
  assert "expected folders real/ and fake/" in text and "found my faces/" in text
  (tmp_path / "void").mkdir()
  assert text.endswith("found my faces/") and message(tmp_path / "void", tmp_path).endswith("found nothing")

  (root / "valid").mkdir()
  assert "val/ and valid/ mean the same" in message(root, tmp_path)
  (root / "valid").rmdir()
  shutil.move(root / "val" / "real" / "d.png", root / "d.png")
  assert f"{root / 'val' / 'real'}: holds no image" in message(root, tmp_path)
  (root / "val" / "real").rmdir()
  assert f"{root / 'val'}: has no folder real/" in message(root, tmp_path)
  (root / "real").mkdir()
  assert "holds both real/ and train/, val/" in message(root, tmp_path)


@pytest.mark.parametrize("names", [
    ("0_real", "1_fake"), ("training_real", "training_fake"), ("Real Images", "AI-generated"),
    ("authentic", "DeepFakes"), ("original", "manipulated"), ("human", "ai"), ("REAL2", "stylegan2"),
    ("pristine", "fake_faces_01")])
def test_usual_names_of_classes(names, flat, tmp_path):
  for old, new in zip(("real", "fake"), names, strict=True):
    (flat / old).rename(flat / new)
  found = records(prepare(flat, tmp_path))
  assert list(found) == ["train", "val", "test"] and sum(map(len, found.values())) == 80
  for sources in found.values():
    assert all(record["label"] == names.index(source.split("/")[0]) for source, record in sources.items())


@pytest.mark.parametrize("names", [
    ("training", "dev", "testing"), ("Train_Set", "valid", "eval"), ("train2", "validation2", "test2")])
@pytest.mark.parametrize("layout", ["{split}/{label}", "{label}/{split}", "{split}_{label}"])
def test_usual_names_of_splits_in_every_order(names, layout, tmp_path):
  root = tmp_path / "faces"
  for number, split in enumerate(names):
    for label in ("real", "fake"):
      for image in range(number + 1):
        write(root / layout.format(split=split, label=label) / f"{number}{image}.png")
    write(root / layout.format(split=split, label="masks") / f"{number}0.png", np.full((6, 8), 255, np.uint8))
  builder = prepare(root, tmp_path)
  found = records(builder)
  assert {split: len(sources) for split, sources in found.items()} == {"train": 2, "val": 4, "test": 6}
  assert builder.info.metadata["masks_ignored"] == builder.info.metadata["not_used"] == []
  assert sum(decode_mask(record).max() == 255 for sources in found.values() for record in sources.values()) == 3


def test_pictures_of_kinds_that_are_not_read_are_listed_with_what_to_do(root, tmp_path, monkeypatch):
  monkeypatch.setattr(kinds, "reads_heic", lambda: False)
  photo = (root / "train" / "real" / "b.jpg").read_bytes()
  (root / "train" / "real" / "nosuffix").write_bytes(photo)
  (root / "train" / "real" / "b.txt").write_bytes(photo[::-1])
  (root / "train" / "real" / "IMG_1.HEIC").write_bytes(b"?")
  (root / "val" / "fake" / "x.dng").write_bytes(b"?")
  builder = prepare(root, tmp_path)
  assert "train/real/nosuffix" in records(builder)["train"]
  assert builder.info.metadata["unreadable"] == [
      ["train/real/IMG_1.HEIC", "is a HEIC picture, which is read where pillow-heif is installed: pip install"
       " 'fakeface-jax[heic]', or save it as JPEG or PNG"],
      ["val/fake/x.dng", "is a camera's raw file, which is not read here; save it as JPEG or PNG"]]
  assert builder.info.metadata["ignored_files"] == 1
  for path in (root / "val" / "real").iterdir():
    path.rename(path.with_suffix(".heic"))
    path.with_suffix(".heic").write_bytes(b"?")
  assert "val/real: holds no image (1 pictures of other kinds; the first, d.heic, is a HEIC" in message(root, tmp_path)


def test_images_beside_the_classes_and_masks_that_do_not_fit_are_said(root, tmp_path, caplog):
  write(root / "train" / "more" / "deep" / "x.png")
  write(root / "extra" / "y.png")
  write(root / "loose.png")
  write(root / "train" / "mask" / "c.png", np.zeros((5, 8), np.uint8))
  (root / "papers").mkdir()
  (root / "papers" / "licence.txt").write_text("?")
  dataset = open_dataset(str(root), data_dir=tmp_path / "records")
  assert dataset.notices == [
      f"{root}: some masks are not used: train/mask/c.png is 8 x 5 pixels, its image 8 x 6",
      f"{root}: some images are not used: extra/ (images: 1), whose name means neither real nor fake; rename it, or "
      "move it away; train/more/ (images: 1), whose name means neither real nor fake; rename it, or move it away; "
      "loose.png beside the folders of the classes; put images into real/ or fake/, or move them away"]
  assert check_data(dataset)["remarks"][-2:] == dataset.notices
  data = {"name": "folder", "path": str(root), "dir": str(tmp_path / "records"), "train_split": "train",
          "val_split": "val", "test_split": "val"}
  with caplog.at_level("WARNING", "fakeface_jax"):
    assert len(RunSplits(ConfigDict({"data": data, "seed": 0}))["train"]) == 4  # as training opens it
  assert [line.getMessage().partition(": ")[2] for line in caplog.records] == [
      notice.partition(": ")[2] for notice in dataset.notices]


def test_a_class_of_another_name_is_asked_for(root, tmp_path):
  (root / "val" / "fake").rename(root / "val" / "pictures")
  assert message(root, tmp_path).endswith("found pictures/, real/")
  (root / "val" / "pictures").rename(root / "val" / "0_real")
  assert f"{root / 'val'}: 0_real/ and real/ mean the same; keep one of them" in message(root, tmp_path)


NAMES = (b"Mu\xf1oz.png", b"new\nline.png", b"tab\t.png", b"quo\"te's.png", "\U0001f600.png".encode(),
         "\u05d0\u05d1.png".encode(), "x\u202egpj.png".encode(), b"-dash.png", b"<b>&amp;.png", b"back\\slash.png",
         b" .png", b"%s{}.png", b"a" * 251 + b".png", b"\xff\xfe")


@pytest.fixture
def oddly_named(tmp_path):
  """Photographs under names of all kinds in train/ and test/, a mask for each fake."""
  root, number = tmp_path / "odd", 0
  for folder in ("train/real", "train/fake", "test/real", "test/fake"):
    (root / folder).mkdir(parents=True)
    for name in NAMES:
      number += 1
      pixels = skimage.data.astronaut()[5 * number : 5 * number + 60, number : number + 80]
      with open(os.path.join(os.fsencode(root / folder), name), "wb") as file:
        Image.fromarray(pixels).save(file, "PNG")
  (root / "train" / "mask").mkdir()
  with open(os.path.join(os.fsencode(root), b"train", b"mask", NAMES[0]), "wb") as file:
    Image.fromarray(np.full((60, 80), 255, np.uint8)).save(file, "PNG")
  return root


def test_names_of_any_bytes_are_kept(oddly_named, tmp_path):
  dataset = open_dataset(str(oddly_named), data_dir=tmp_path / "records")
  assert dataset.metadata["unreadable"] == dataset.metadata["masks_ignored"] == []
  for split in ("train", "test"):
    names = {record_name(dataset[split][i]) for i in range(len(dataset[split]))}
    assert names == {f"{split}/{label}/{os.fsdecode(name)}" for label in ("real", "fake") for name in NAMES}
    assert all((oddly_named / json.loads(json.dumps(name))).is_file() for name in names)
  report = check_data(dataset)
  table(report).encode()
  json.dumps(report).encode()
  without = table({**report, "duplicates": {}})
  assert len(table(report).splitlines()) == len(without.splitlines()) + len(report["duplicates"]) + SHOWN


def test_an_odd_name_of_a_broken_image_is_listed(oddly_named, tmp_path):
  with open(os.path.join(os.fsencode(oddly_named), b"train", b"real", NAMES[0]), "wb") as file:
    file.write(b"?")
  with open(os.path.join(os.fsencode(oddly_named), b"train", b"real", NAMES[1]), "wb") as file:
    file.write(b"")
  dataset = open_dataset(str(oddly_named), data_dir=tmp_path / "records")
  names = [name for name, _ in dataset.metadata["unreadable"]]
  assert names == ["train/real/Mu\udcf1oz.png", "train/real/new\nline.png"]
  assert [reason[:12] for _, reason in dataset.metadata["unreadable"]] == ["not an image", "is empty (0 "]


@pytest.mark.parametrize("name, counts, masks", [
    ("photoshop", {"train": (625, 552), "val": (131, 111)}, {"train": 13, "val": 12}),
    ("gan", {"train": (380, 150), "val": (70, 30)}, {"train": 0, "val": 0}),
])
def test_real_photographs(name, counts, masks, tmp_path):
  if not (PHOTOS / name).is_dir():
    pytest.skip("the photographs are not there: expected them in ../shared/faces")
  builder = prepare(PHOTOS / name, tmp_path)
  assert builder.info.metadata["unreadable"] == builder.info.metadata["masks_ignored"] == []
  for split, sources in records(builder).items():
    labels = [record["label"] for record in sources.values()]
    assert (labels.count(REAL), labels.count(FAKE)) == counts[split]
    drawn = [decode_mask(record) for record in sources.values() if decode_mask(record).size > 1]
    assert len(drawn) == masks[split] and all(mask.max() == 255 for mask in drawn)


def test_more_records_than_fit_in_memory_are_sorted_on_disk_without_tensorflow(flat, tmp_path, monkeypatch):
  in_memory = records(prepare(flat, tmp_path))
  monkeypatch.setattr("tensorflow_datasets.core.shuffle.MAX_MEM_BUFFER_SIZE", 1000)
  builder = folder_builder(flat, data_dir=tmp_path / "others")
  builder.download_and_prepare()
  on_disk = records(builder)
  assert {split: list(found) for split, found in on_disk.items()} == {
      split: list(found) for split, found in in_memory.items()}  # in the same order
  assert not list((tmp_path / "others").rglob("bucket*"))
