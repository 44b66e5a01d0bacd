import csv
import errno
import hashlib
import os

import numpy as np
import pytest
from PIL import Image

from fakeface_jax.commands import forge as forging
from fakeface_jax.commands.forge import COLUMNS, forge_folder
from fakeface_jax.data.datasets import open_dataset
from fakeface_jax.errors import UserError
from tests.data.forging.test_photographs import write


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
  root = tmp_path_factory.mktemp("photos") / "faces"
  write(root / "train" / "real", 6)
  write(root / "train" / "real" / "more", 2, seed=5)  # 00.jpg and 01.jpg again
  write(root / "val", 3, seed=6)
  return root


def read_index(out):
  with open(out / "index.csv", newline="") as file:
    return list(csv.DictReader(file))


def contents(out):
  return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_images_masks_index_and_sheet(photographs, tmp_path):
  out = tmp_path / "forged"
  account, failures = forge_folder(photographs, out, per_image=2, seed=4)
  assert failures == []
  assert account.startswith("22 fakes of 11 photographs, ") and account.endswith("/s, reading and writing included")
  rows = read_index(out)
  assert len(rows) == 22 and tuple(rows[0]) == COLUMNS
  for row in rows:
    mask = np.asarray(Image.open(out / row["file"].replace("/fake/", "/mask/").replace(".jpg", ".png")))
    fake = np.asarray(Image.open(out / row["file"]))
    assert set(np.unique(mask)) == {0, 255} and mask.shape == fake.shape[:2]
    assert (photographs / row["source"]).exists() and row["file"].split("/")[0] == row["source"].split("/")[0]
    assert bool(row["donor"]) == (row["operation"] in ("splice", "swap"))
    if row["donor"]:
      assert (photographs / row["donor"]).exists() and row["donor"] != row["source"]
      assert row["donor"].split("/")[0] == row["source"].split("/")[0]  # of the same split
    assert float(row["blend"]) > 0 and row["found_by"] in ("landmarks", "template", "blob")
  assert len({row["file"] for row in rows}) == 22
  sheet = Image.open(out / "contact_sheet.png")
  assert sheet.size == (4 * (3 * 128 + 6), 6 * (128 + 16 + 6))
  cell = np.asarray(sheet)[16:144, : 3 * 128].reshape(128, 3, 128, 3)
  line = (cell[:, 2] != cell[:, 1]).any(-1)  # the mask outlined, and nothing else
  assert 20 < line.sum() < 4000 and (cell[:, 2][line] == 255).all(-1).sum() > 10
  dataset = open_dataset(str(out), data_dir=str(tmp_path / "records"))
  assert dataset.splits == {"train": 24, "val": 9} and dataset.notices == []  # not of contact_sheet.png either


def test_a_photograph_and_its_fake_lie_in_one_split_by_its_bytes_and_are_encoded_alike(tmp_path):
  faces, out = write(tmp_path / "faces", 24), tmp_path / "out"
  forge_folder(faces, out)
  rows = read_index(out)
  assert len(rows) == 24 and {row["file"].split("/")[0] for row in rows} <= {"train", "val", "test"}
  for row in rows:
    share = int(hashlib.sha256((faces / row["source"]).read_bytes()).hexdigest()[:16], 16) / 2**64
    assert row["file"].split("/")[0] == ("train" if share < 0.7 else "val" if share < 0.85 else "test")
    real, fake = (Image.open(out / row["file"].replace("/fake/", f"/{kind}/")) for kind in ("real", "fake"))
    assert real.quantization == fake.quantization and real.info["jfif"] == fake.info["jfif"]
    # after the common encoding, whole 16-pixel blocks without a changed pixel (or one beside them) are equal
    mask = np.asarray(Image.open(out / row["file"].replace("/fake/", "/mask/").replace(".jpg", ".png")))
    apart = mask.reshape(4, 16, 4, 16).max((1, 3)) == 0
    neighbours = np.pad(apart, 1, constant_values=True)
    apart &= np.all([neighbours[1 + i : 5 + i, 1 + j : 5 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], 0)
    equal = (np.asarray(real) == np.asarray(fake)).reshape(4, 16, 4, 16, 3).all((1, 3, 4))
    assert equal[apart].all() and not equal.all()


def test_fakes_beside_real_photographs_are_left_alone(tmp_path):
  root = tmp_path / "faces"
  write(root / "train" / "real", 3, seed=1)
  write(root / "train" / "fake", 5, seed=2)
  write(root / "Validation", 2, seed=3)
  forge_folder(root, tmp_path / "out")
  assert sorted(row["source"] for row in read_index(tmp_path / "out")) == [
      "Validation/00.jpg", "Validation/01.jpg", *(f"train/real/0{i}.jpg" for i in range(3))]


def test_photographs_under_odd_names(photographs, tmp_path):
  root = tmp_path / "odd"
  root.mkdir()
  names = (b"Mu\xf1oz.jpg", b"new\nline.jpg", b"-dash, comma.jpg", "\u05d0\U0001f600.jpg".encode(), b"nosuffix")
  for name, photograph in zip(names, sorted(photographs.rglob("*.jpg")), strict=False):
    with open(os.path.join(os.fsencode(root), name), "wb") as file:
      file.write(photograph.read_bytes())
  (root / "IMG.HEIC").write_bytes(b"?")
  account, failures = forge_folder(root, tmp_path / "out")
  assert account.startswith("5 fakes of 5 photographs") and [name for name, _ in failures] == ["IMG.HEIC"]
  rows = [row["source"].encode().decode("unicode_escape") if "\\u" in row["source"] else row["source"]
          for row in read_index(tmp_path / "out")]
  assert sorted(map(os.fsencode, rows)) == sorted(names)


def test_a_name_that_cannot_be_written_costs_its_image_only(photographs, tmp_path, monkeypatch):
  write_bytes = type(tmp_path).write_bytes

  def refuse(path, data):
    if path.stem == "02":
      raise OSError(errno.EILSEQ, os.strerror(errno.EILSEQ), str(path))
    return write_bytes(path, data)

  monkeypatch.setattr(type(tmp_path), "write_bytes", refuse)
  account, failures = forge_folder(photographs / "train" / "real", tmp_path / "out")
  assert account.startswith("7 fakes of 8") and [name for name, _ in failures] == ["02.jpg"]
  assert "its name cannot be written" in failures[0][1]


def test_the_same_again_gives_the_same_files(photographs, tmp_path):
  for name, seed in (("a", 0), ("b", 0), ("c", 1)):
    forge_folder(photographs, tmp_path / name, seed=seed)
  first, again, other = (contents(tmp_path / name) for name in "abc")
  assert first == again and first.keys() == other.keys()
  fakes = [name for name in first if "/fake/" in name]
  assert len(fakes) == 11 and all(first[name] != other[name] for name in fakes)


def test_unreadable_photographs_are_listed_and_the_rest_done(tmp_path):
  root = write(tmp_path / "faces", 5)
  (root / "02.jpg").write_bytes(b"\xff\xd8\xff broken")
  account, failures = forge_folder(root, tmp_path / "out")
  assert account.startswith("4 fakes of 4 photographs")
  assert len(failures) == 1 and failures[0][0] == "02.jpg" and len(read_index(tmp_path / "out")) == 4


def test_where_no_photograph_can_be_read(tmp_path):
  (tmp_path / "faces").mkdir()
  (tmp_path / "faces" / "a.jpg").write_bytes(b"no image")
  with pytest.raises(UserError, match="none of its 1 images can be read; replace them"):
    forge_folder(tmp_path / "faces", tmp_path / "out")


def test_one_photograph(tmp_path):
  root = write(tmp_path / "faces", 1)
  account, failures = forge_folder(root, tmp_path / "out", per_image=3)
  assert account.startswith("3 fakes of 1 photographs") and failures == []
  assert {row["donor"] for row in read_index(tmp_path / "out")} == {""}


def test_a_folder_that_cannot_be_written_or_holds_something(photographs, tmp_path):
  (tmp_path / "file").write_text("mine")
  with pytest.raises(UserError, match="file: is there and not an empty folder"):
    forge_folder(photographs, tmp_path / "file")
  with pytest.raises(UserError, match=r"file/out cannot be written: Not a directory"):
    forge_folder(photographs, tmp_path / "file" / "out")
  (tmp_path / "full").mkdir()
  (tmp_path / "full" / "mine.jpg").write_text("mine")
  with pytest.raises(UserError, match="full: is there and not an empty folder; choose another one"):
    forge_folder(photographs, tmp_path / "full")
  assert contents(tmp_path / "full") == {"mine.jpg": b"mine"}


@pytest.mark.parametrize(("error", "reason"), [
    (OSError(28, "No space left on device"), "cannot be written: No space left on device"),
    (KeyboardInterrupt(), "is not finished"),
])
def test_a_disk_that_fills_up_or_ctrl_c_loses_nothing(photographs, tmp_path, monkeypatch, error, reason):
  original, written = forging._write, []

  def limited(*arguments):
    if len(written) == 3:
      raise error
    written.append(arguments)
    return original(*arguments)

  monkeypatch.setattr(forging, "_write", limited)
  with pytest.raises(UserError, match=f"out {reason}; 3 fakes are there and listed"):
    forge_folder(photographs, tmp_path / "out")
  rows = read_index(tmp_path / "out")
  assert len(rows) == 3 and all((tmp_path / "out" / row["file"]).exists() for row in rows)
