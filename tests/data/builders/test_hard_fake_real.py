import pytest

from fakeface_jax.data.builders.hard_fake_real import HardFakeReal
from fakeface_jax.data.datasets import open_dataset
from fakeface_jax.data.schema import FAKE, REAL
from fakeface_jax.errors import UserError
from tests.data.builders.reading_back import prepare, records
from tests.data.replicas import write_hard, write_table


@pytest.fixture
def folder(tmp_path):
  return write_hard(tmp_path / "hard")


def test_there_is_a_test_split_only(folder, tmp_path):
  dataset = open_dataset("hard_fake_real", path=str(folder), data_dir=str(tmp_path / "records"))
  assert dataset.splits == {"test": 7} and dataset.metadata["unreadable"] == []
  labels = {record["source"].decode(): record["label"] for record in map(dataset["test"].__getitem__, range(7))}
  assert labels == {**{f"hard_fake_real/fake/fake_{i}.jpg": FAKE for i in range(4)},
                    **{f"hard_fake_real/real/real_{i}.jpg": REAL for i in range(3)}}
  with pytest.raises(UserError, match="hard_fake_real has no split 'train'; it has test"):
    dataset["train"]


def test_images_of_equal_name_in_both_folders(folder, tmp_path):
  for kind in ("fake", "real"):
    for path in sorted((folder / kind).iterdir()):
      path.rename(path.with_name(path.name.split("_")[1]))
  rows = [[i, "Fake"] for i in range(4)] + [[f"{i}.jpg", "REAL"] for i in range(3)]
  write_table(folder / "data.csv", ["images_id", "label"], rows)
  builder = prepare(HardFakeReal, folder, tmp_path / "records")
  assert len(records(builder)["test"]) == 7 and builder.info.metadata["unreadable"] == []


def test_rows_and_folders_that_disagree_are_listed(folder, tmp_path):
  with open(folder / "data.csv", "a", newline="") as file:
    file.write("fake_9.jpg,fake\r\nreal_1,fake\r\nreal_2,true\r\n")
  (folder / "fake" / "fake_3.jpg").write_bytes(b"")
  builder = prepare(HardFakeReal, folder, tmp_path / "records")
  assert sorted(records(builder)["test"]) == [
      *(f"hard_fake_real/fake/fake_{i}.jpg" for i in range(3)), "hard_fake_real/real/real_0.jpg"]
  assert builder.info.metadata["unreadable"] == [
      ["hard_fake_real/data.csv, line 11", "calls real_2 'true'; expected real or fake"],
      ["hard_fake_real/data.csv, line 9", "names fake_9, but there is no such fake image"],
      ["hard_fake_real/fake/fake_3.jpg", "is empty (0 bytes); replace or remove it"],
      ["hard_fake_real/real/real_1.jpg", "its folder says real, hard_fake_real/data.csv, line 10 fake"]]
