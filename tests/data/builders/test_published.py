"""Where published files are looked for, and what is said when they are not there; shown on the smallest of the sets."""

import os
import shutil
import sys
import types
import zipfile
from pathlib import Path

import pytest

from fakeface_jax.data.builders.hard_fake_real import HardFakeReal
from fakeface_jax.data.builders.published import find_layout, published_builder
from fakeface_jax.data.datasets import open_dataset
from fakeface_jax.errors import UserError
from tests.data.builders.reading_back import prepare, records
from tests.data.replicas import write_140k, write_hard


@pytest.fixture(autouse=True)
def no_kagglehub(monkeypatch):
  monkeypatch.setitem(sys.modules, "kagglehub", None)


def kagglehub(monkeypatch, download, credentials=True):
  """Puts a stand-in in the place of the package; returns the names it was asked for."""
  asked = []
  package = types.ModuleType("kagglehub")
  package.config = types.SimpleNamespace(get_kaggle_credentials=lambda: credentials or None)
  package.dataset_download = lambda name: (asked.append(name), download())[1]
  monkeypatch.setitem(sys.modules, "kagglehub", package)
  return asked


def zipped(folder, archive):
  with zipfile.ZipFile(archive, "w") as file:
    for path in sorted(folder.rglob("*")):
      file.write(path, path.relative_to(folder))
  return archive


def message(path, tmp_path):
  with pytest.raises(UserError) as error:
    prepare(HardFakeReal, path, tmp_path / "records")
  assert "\n" not in str(error.value)
  return str(error.value)


def count(builder):
  return len(records(builder)["test"])


def test_the_default_place_is_the_manual_dir_below_the_records(tmp_path):
  write_hard(tmp_path / "records" / "downloads" / "manual" / "hard_fake_real")
  assert count(prepare(HardFakeReal, None, tmp_path / "records")) == 7


def test_folders_around_the_published_ones(tmp_path):
  write_hard(tmp_path / "a" / "b" / "hard")
  (tmp_path / "a" / "__MACOSX" / "hard").mkdir(parents=True)
  assert find_layout(tmp_path / "a", HardFakeReal.parts) == tmp_path / "a" / "b" / "hard"
  assert find_layout(tmp_path, HardFakeReal.parts) is None
  assert count(prepare(HardFakeReal, tmp_path / "a", tmp_path / "records")) == 7


def test_a_zip_in_the_folder_or_named_itself_is_unpacked_for_as_long_as_it_takes(tmp_path):
  write_hard(tmp_path / "hard")
  (tmp_path / "manual").mkdir()
  archive = zipped(tmp_path / "hard", tmp_path / "manual" / "archive.zip")
  for number, path in enumerate((tmp_path / "manual", archive)):
    builder = prepare(HardFakeReal, path, tmp_path / f"records{number}")
    assert count(builder) == 7 and "hard_fake_real/fake/fake_0.jpg" in records(builder)["test"]
    assert not list((tmp_path / f"records{number}").glob("unpacked*"))
  assert [path.name for path in (tmp_path / "manual").iterdir()] == ["archive.zip"]


def test_archives_that_do_not_fit(tmp_path):
  manual = tmp_path / "manual"
  write_140k(tmp_path / "140k")
  manual.mkdir()
  archive = zipped(tmp_path / "140k", manual / "archive.zip")
  text = message(manual, tmp_path)
  assert f"{archive}: holds real_vs_fake/, test.csv, train.csv, valid.csv; expected fake/*.jpg, real/*.jpg and" in text
  archive.write_bytes(archive.read_bytes()[:-300])
  assert f"{archive}: cannot be unpacked (File is not a zip file); download it again" in message(manual, tmp_path)
  zipped(write_hard(tmp_path / "hard"), archive)
  data = bytearray(archive.read_bytes())
  data[200:260] = bytes(60)
  archive.write_bytes(data)
  assert f"{archive}: cannot be unpacked (" in message(manual, tmp_path)
  assert not list((tmp_path / "records").glob("unpacked*"))
  shutil.copy(archive, manual / "second.zip")
  assert f"{manual}: holds 2 archives (archive.zip, second.zip); keep only that of" in message(manual, tmp_path)


def test_missing_files_are_answered_with_where_to_get_them_and_where_to_put_them(tmp_path):
  manual = tmp_path / "records" / "downloads" / "manual" / "hard_fake_real"
  text = message(None, tmp_path)
  assert text.startswith(f"hard_fake_real: {manual} is not there; expected fake/*.jpg, real/*.jpg and data.csv: ")
  assert "'Hard Fake vs Real Faces' from kaggle.com/datasets/hamzaboulahia/hardfakevsrealfaces" in text
  assert f"into {manual}," in text and "config.data.path" in text and "pip install '.[kaggle]'" in text
  write_hard(manual)
  (manual / "data.csv").unlink()
  assert f"{manual} holds fake/, real/; expected" in message(None, tmp_path)
  (tmp_path / "file").write_text("")
  assert f"{tmp_path / 'file'} is no folder" in message(tmp_path / "file", tmp_path)


def test_kagglehub_downloads_where_it_has_credentials(tmp_path, monkeypatch):
  write_hard(tmp_path / "cache")
  asked = kagglehub(monkeypatch, lambda: str(tmp_path / "cache"), credentials=False)
  text = message(None, tmp_path)
  assert "or set KAGGLE_API_TOKEN" in text and asked == []
  asked = kagglehub(monkeypatch, lambda: str(tmp_path / "cache"))
  assert "is not there" in message(tmp_path / "mistyped", tmp_path) and asked == []
  assert count(prepare(HardFakeReal, None, tmp_path / "records")) == 7
  assert asked == ["hamzaboulahia/hardfakevsrealfaces"]
  shutil.rmtree(tmp_path / "cache")
  assert count(prepare(HardFakeReal, None, tmp_path / "records")) == 7 and len(asked) == 1


def test_a_download_that_fails_or_brings_something_else(tmp_path, monkeypatch):
  def fail():
    raise ConnectionError("401 Client\nError")

  kagglehub(monkeypatch, fail)
  assert message(None, tmp_path).endswith("kagglehub could not download them: 401 Client Error")
  write_140k(tmp_path / "cache")
  kagglehub(monkeypatch, lambda: tmp_path / "cache")
  assert "kagglehub has downloaded real_vs_fake/, test.csv," in message(None, tmp_path)


def test_the_real_kagglehub_without_credentials(tmp_path, monkeypatch):
  monkeypatch.delitem(sys.modules, "kagglehub")
  pytest.importorskip("kagglehub")
  for name in [name for name in os.environ if name.startswith("KAGGLE")]:
    monkeypatch.delenv(name)
  monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "nothing"))
  assert "or set KAGGLE_API_TOKEN" in message(None, tmp_path)


def test_changed_files_are_prepared_anew_and_gone_ones_are_not_missed(tmp_path):
  folder = write_hard(tmp_path / "hard")
  first = prepare(HardFakeReal, folder, tmp_path / "records")
  (folder / "fake" / "fake_0.jpg").write_bytes(b"")
  second = prepare(HardFakeReal, folder, tmp_path / "records")
  assert (count(first), count(second)) == (7, 6)
  later = Path(second.data_dir, "dataset_info.json").stat().st_mtime + 1
  os.utime(Path(second.data_dir, "dataset_info.json"), (later, later))
  shutil.rmtree(folder)
  again = published_builder(HardFakeReal, folder, tmp_path / "records")
  again.download_and_prepare()
  assert again.data_dir == second.data_dir and again.info.metadata["unreadable"][0][0].endswith("fake_0.jpg")
  assert "is not there" in message(tmp_path / "another", tmp_path)


def test_a_full_disk_is_an_error_that_leaves_nothing_behind(tmp_path, monkeypatch):
  archive = zipped(write_hard(tmp_path / "hard"), tmp_path / "archive.zip")

  def full(self, folder):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
  with pytest.raises(UserError, match=r"records of hard_fake_real could not be written .*No space left"):
    open_dataset("hard_fake_real", path=str(archive), data_dir=str(tmp_path / "records"))
  assert not list((tmp_path / "records").rglob("*hard_fake_real_*"))
  monkeypatch.undo()
  assert open_dataset("hard_fake_real", path=str(archive), data_dir=str(tmp_path / "records")).splits == {"test": 7}
