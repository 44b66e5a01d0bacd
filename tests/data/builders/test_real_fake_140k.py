import csv

import pytest

from fakeface_jax.data.builders.real_fake_140k import RealFake140k
from fakeface_jax.data.schema import FAKE, REAL
from fakeface_jax.errors import UserError
from tests.data.builders.reading_back import prepare, records
from tests.data.replicas import write_140k, write_table


@pytest.fixture
def folder(tmp_path):
  return write_140k(tmp_path / "140k")


def change_rows(path, change):
  """Rewrites a table by a function of its rows."""
  with open(path, newline="") as file:
    header, *rows = csv.reader(file)
  write_table(path, header, change(rows))


def test_splits_as_published_and_fake_is_one(folder, tmp_path):
  builder = prepare(RealFake140k, folder, tmp_path / "records")
  found = records(builder)
  assert {split: len(sources) for split, sources in found.items()} == {"train": 12, "val": 4, "test": 4}
  assert builder.info.metadata["unreadable"] == [] and builder.info.metadata["split_by_content"] is False
  for split, theirs in (("train", "train"), ("val", "valid"), ("test", "test")):
    for source, record in found[split].items():
      name, split_folder, kind, file = source.split("/")
      assert (name, split_folder) == ("real_fake_140k", theirs)
      assert record["label"] == (FAKE if kind == "fake" else REAL)
      assert record["image"] == (folder / "real_vs_fake" / "real-vs-fake" / split_folder / kind / file).read_bytes()
      assert not record["regions"].any() and record["difficulty"] == 0


def test_what_is_amiss_is_left_out_and_listed(folder, tmp_path):
  images = folder / "real_vs_fake" / "real-vs-fake"
  (images / "train" / "real" / "31001.jpg").write_bytes((images / "train" / "real" / "31002.jpg").read_bytes()[:400])
  (images / "train" / "real" / "31003.jpg").unlink()
  (images / "valid" / "fake" / "NEW.jpg").write_bytes((images / "valid" / "real" / "31000.jpg").read_bytes())
  change_rows(folder / "test.csv", lambda rows: [[*rows[0][:3], "0", "fake", rows[0][5]], *rows[1:], rows[1]])
  builder = prepare(RealFake140k, folder, tmp_path / "records")
  assert {split: len(sources) for split, sources in records(builder).items()} == {"train": 10, "val": 4, "test": 3}
  left_out = dict(builder.info.metadata["unreadable"])
  damaged = left_out.pop("real_fake_140k/train/real/31001.jpg")
  assert damaged.startswith("truncated or damaged")
  assert left_out == {
      "real_fake_140k/train.csv, line 5": "names train/31003, but there is no such real image",
      "real_fake_140k/valid/fake/NEW.jpg": "has no row in real_fake_140k/valid.csv",
      "real_fake_140k/test/real/31000.jpg": "its folder says real, real_fake_140k/test.csv, line 2 fake",
      "real_fake_140k/test.csv, line 6": "names test/31001 again; its first row counts"}


def test_a_row_without_a_folder_costs_its_image_only(folder, tmp_path):
  with open(folder / "train.csv", newline="") as file:
    column = next(csv.reader(file)).index("path")
  bare = lambda row: [*row[:column], row[column].rpartition("/")[2], *row[column + 1 :]]
  change_rows(folder / "train.csv", lambda rows: [bare(rows[0]), *rows[1:], ["", *rows[0][1:column], "", "1"]])
  builder = prepare(RealFake140k, folder, tmp_path / "records")
  assert {split: len(sources) for split, sources in records(builder).items()} == {"train": 11, "val": 4, "test": 4}
  reasons = " ".join(reason for _, reason in builder.info.metadata["unreadable"])
  assert "names 31000, but there is no such real image" in reasons and "has no row in" in reasons


def test_a_table_that_says_1_for_fake_is_refused(folder, tmp_path):
  change_rows(folder / "valid.csv", lambda rows: [[*row[:3], str(1 - int(row[3])), *row[4:]] for row in rows])
  with pytest.raises(UserError, match=r"real_fake_140k/valid\.csv: none of its 4 rows agrees with the folders"):
    prepare(RealFake140k, folder, tmp_path / "records")


def test_a_split_of_unreadable_images_is_named_as_it_is_in_the_archive(folder, tmp_path):
  for path in (folder / "real_vs_fake" / "real-vs-fake" / "valid" / "fake").iterdir():
    path.write_bytes(b"")
  with pytest.raises(UserError, match=r"real-vs-fake/valid: none of its 2 fake images can be read; .* is empty"):
    prepare(RealFake140k, folder, tmp_path / "records")
