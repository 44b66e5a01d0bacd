"""Prepared records: damaged ones are made again, and one process prepares while the others wait."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from fakeface_jax.data.builders.prepared import INFO_FILE
from fakeface_jax.data.builders.synthetic_faces import SyntheticFaces, SyntheticFacesConfig
from fakeface_jax.data.datasets import Dataset, open_dataset
from fakeface_jax.errors import UserError
from fakeface_jax.locks import locked
from tests.conftest import ROOT
from tests.data.replicas import write_hard


def drawn(data_dir):
  config = SyntheticFacesConfig(size=32, num_train=4, num_val=2, num_test=2)
  builder = SyntheticFaces(config=config, data_dir=data_dir)
  builder.download_and_prepare()
  return Dataset("synthetic_faces", builder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  folder = tmp_path_factory.mktemp("prepared")
  return folder, [drawn(folder)["all"][i]["image"] for i in range(8)]


@pytest.fixture
def data_dir(prepared, tmp_path):
  return shutil.copytree(prepared[0], tmp_path / "records")


def shard(data_dir, split="train"):
  return next(data_dir.glob(f"*/*/*/*{split}.array_record*"))


def info(data_dir):
  return next(data_dir.glob(f"*/*/*/{INFO_FILE}"))


@pytest.mark.parametrize("damage", [
    lambda folder: shard(folder).unlink(),
    lambda folder: os.truncate(shard(folder, "test"), 0),
    lambda folder: os.truncate(shard(folder), shard(folder).stat().st_size - 100),
    lambda folder: shutil.copy(shard(folder), shard(folder, "val")),
    lambda folder: info(folder).unlink(),
    lambda folder: os.truncate(info(folder), 50),
    lambda folder: info(folder).write_text("{}"),
    lambda folder: info(folder).write_text(info(folder).read_text().replace("splits", "parts")),
])
def test_damaged_records_are_made_again_with_a_word(prepared, data_dir, damage, caplog):
  damage(data_dir)
  source = drawn(data_dir)["all"]
  assert [source[i]["image"] for i in range(8)] == prepared[1]
  assert "the prepared records are damaged (" in caplog.text and "and are made again" in caplog.text
  caplog.clear()
  drawn(data_dir)
  assert "damaged" not in caplog.text


@pytest.mark.parametrize("damage", [
    lambda path: path.unlink(), lambda path: os.truncate(path, 20), lambda path: path.write_bytes(b"\xff"),
    lambda path: path.write_text("{}"), lambda path: path.write_text("[]")])
def test_what_was_noted_of_the_files_is_made_again_with_the_records(tmp_path, damage):
  faces = write_hard(tmp_path / "faces")
  (faces / "fake" / "fake_3.jpg").write_bytes(b"")
  opened = [open_dataset("hard_fake_real", path=faces, data_dir=tmp_path / "records")]
  damage(info(tmp_path / "records").with_name("metadata.json"))
  opened.append(open_dataset("hard_fake_real", path=faces, data_dir=tmp_path / "records"))
  assert [dataset.metadata["unreadable"][0][0] for dataset in opened] == ["hard_fake_real/fake/fake_3.jpg"] * 2


def test_damage_within_a_file_is_one_line_and_the_next_command_makes_them_again(prepared, data_dir):
  data = bytearray(shard(data_dir).read_bytes())
  data[2000:4000] = bytes(2000)
  shard(data_dir).write_bytes(data)
  source = drawn(data_dir)["all"]
  with pytest.raises(UserError, match=r"record \d of the prepared records is damaged .*; give the same"):
    [source[i] for i in range(8)]
  source = drawn(data_dir)["all"]
  assert [source[i]["image"] for i in range(8)] == prepared[1]


def test_what_a_killed_preparation_left_is_removed(data_dir):
  folder = info(data_dir).parent
  folder.rename(folder.with_name("incomplete.ABCDEF_1.0.0"))
  drawn(data_dir)
  assert [path.name for path in folder.parent.iterdir() if path.name != ".lock"] == ["1.0.0"]


WAITER = """
import logging, sys
logging.getLogger("fakeface_jax").addHandler(logging.StreamHandler(sys.stdout))
logging.getLogger("fakeface_jax").setLevel(logging.INFO)
from tests.data.builders.test_prepared import drawn
print(drawn(sys.argv[1]).splits, flush=True)
"""


def test_of_two_processes_the_second_waits_and_uses_what_the_first_has_prepared(prepared, data_dir):
  folder = info(data_dir).parent
  ready = folder.rename(data_dir / "ready")
  with locked(folder.parent, busy="free"):
    waiter = subprocess.Popen([sys.executable, "-c", WAITER, data_dir], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    line = waiter.stdout.readline()
    assert f"are being prepared by process {os.getpid()} on" in line and "waiting" in line
    stamp = info(prepared[0]).stat().st_mtime_ns
    os.utime(ready / INFO_FILE, ns=(stamp, stamp))
    ready.rename(folder)
  assert waiter.communicate(timeout=100)[0] == "{'train': 4, 'val': 2, 'test': 2}\n"
  assert info(data_dir).stat().st_mtime_ns == stamp


def test_prepared_records_are_read_where_nothing_may_be_written(data_dir):
  folder = info(data_dir).parent.parent
  (folder / ".lock").unlink(missing_ok=True)
  drawn(data_dir)
  assert not (folder / ".lock").exists()


def zipped(folder, archive):
  with zipfile.ZipFile(archive, "w") as file:
    for path in sorted(folder.rglob("*.*")):
      file.write(path, path.relative_to(folder))


def test_what_a_killed_unpacking_left_goes_with_the_next_one_but_not_what_is_in_use(tmp_path):
  faces = write_hard(tmp_path / "faces")
  (tmp_path / "zips").mkdir()
  zipped(faces, tmp_path / "zips" / "archive.zip")
  records = tmp_path / "records"
  left, used = (records / f"unpacked_hard_fake_real_{name}" for name in ("left", "used"))
  for folder in (left, used):
    (folder / "files").mkdir(parents=True)
  with locked(used, busy="in use"):
    open_dataset("hard_fake_real", path=tmp_path / "zips", data_dir=records)
  assert [path.name for path in records.glob("unpacked*")] == [used.name]


def test_damaged_records_of_files_that_are_gone_are_named(tmp_path):
  faces = write_hard(tmp_path / "faces")
  open_dataset("hard_fake_real", path=faces, data_dir=tmp_path / "records")
  shutil.rmtree(faces)
  assert len(open_dataset("hard_fake_real", path=faces, data_dir=tmp_path / "records")["test"]) == 7
  os.truncate(shard(tmp_path / "records", "test"), 10)
  with pytest.raises(UserError, match=r"records are damaged \(.*cut or garbled\), and the files .* are gone; put"):
    open_dataset("hard_fake_real", path=faces, data_dir=tmp_path / "records")
