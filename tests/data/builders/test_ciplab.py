import collections

import numpy as np
import pytest

from fakeface_jax.data.builders import ciplab
from fakeface_jax.data.builders.base import Checked
from fakeface_jax.data.builders.ciplab import Ciplab
from fakeface_jax.data.schema import DIFFICULTIES, FAKE, REAL, REGIONS
from fakeface_jax.errors import UserError
from tests.data.builders.reading_back import prepare, records
from tests.data.replicas import picture, save, write_ciplab

PEOPLE = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return write_ciplab(tmp_path_factory.mktemp("ciplab"), PEOPLE)


@pytest.fixture(scope="module")
def builder(folder, tmp_path_factory):
  return prepare(Ciplab, folder, tmp_path_factory.mktemp("records"))


def test_names_become_regions_and_difficulty(builder):
  found = {source: record for sources in records(builder).values() for source, record in sources.items()}
  assert len(found) == 20 + 48 and builder.info.metadata["unreadable"] == []
  regions_of = lambda source: [name for name, bit in zip(REGIONS, found[source]["regions"], strict=True) if bit]
  assert regions_of("ciplab/training_fake/easy_1_0100.jpg") == ["right_eye"]
  assert regions_of("ciplab/training_fake/hard_2_0010.jpg") == ["nose"]
  assert regions_of("ciplab/training_fake/hard_3_0001.jpg") == ["mouth"]
  assert regions_of("ciplab/training_fake/easy_4_1100.jpg") == ["left_eye", "right_eye"]
  assert regions_of("ciplab/training_fake/easy_11_1111.jpg") == ["left_eye", "right_eye", "nose", "mouth"]
  assert regions_of("ciplab/training_real/real_00001.jpg") == []
  for source, record in found.items():
    _, kind, file = source.split("/")
    fake = kind == "training_fake"
    assert record["label"] == (FAKE if fake else REAL)
    assert DIFFICULTIES[record["difficulty"]] == (file.split("_")[0] if fake else "none")


def test_a_person_is_in_one_split_only(builder):
  where, sizes = collections.defaultdict(set), {}
  for split, sources in records(builder).items():
    sizes[split] = len(sources)
    for source in sources:
      where[int(source.removesuffix(".jpg").split("/")[-1].split("_")[1])].add(split)
  assert len(where) == 28  # every fifteenth has no image at all
  assert all(len(splits) == 1 for splits in where.values())
  assert sizes["train"] > 34 and sizes["val"] > 0 and sizes["test"] > 0
  assert builder.info.metadata["split_by_content"] is True


def test_large_groups_are_as_likely_in_every_split_as_small_ones(monkeypatch):
  monkeypatch.setattr(ciplab, "lookalike_groups", np.array)
  shares = np.random.default_rng(0).random(4000)
  splits = Ciplab._content_splits(None, [Checked(share=share, looks=i // 4) for i, share in enumerate(shares)])
  assert all(len(set(splits[i:i + 4])) == 1 for i in range(0, 4000, 4))
  found = [splits.count(split) / 4000 for split in ("train", "val", "test")]
  assert found == pytest.approx([0.7, 0.15, 0.15], abs=0.04)
  copies = Ciplab._content_splits(None, [Checked(share=0.3, looks=0), Checked(share=0.9, looks=1), Checked(share=0.3)])
  assert copies[0] == copies[2]


def test_other_images_and_a_second_copy_of_the_folder_change_no_split(builder, folder, tmp_path):
  again = write_ciplab(tmp_path / "archive" / "real_and_fake_face_detection", PEOPLE)
  write_ciplab(tmp_path / "archive", PEOPLE)
  for i in range(10):
    save(tmp_path / "archive" / "real_and_fake_face" / "training_real" / f"real_{900 + i:05}.jpg", picture([5, i]))
  found, before = records(prepare(Ciplab, tmp_path / "archive", tmp_path / "records")), records(builder)
  assert again.exists() and sum(map(len, found.values())) == 68 + 10
  for split in before:
    assert set(before[split]) <= set(found[split])


def test_names_that_say_nothing_are_left_out_and_listed(tmp_path):
  folder = write_ciplab(tmp_path / "ciplab", 6)
  fakes = folder / "real_and_fake_face" / "training_fake"
  (fakes / "easy_1_0100.jpg").rename(fakes / "easy_1.jpg")
  (fakes / "easy_2_0010.jpg").rename(fakes / "simple_2_0010.jpg")
  (fakes / "hard_2_0010.jpg").rename(fakes / "HARD_2_0010.JPG")
  builder = prepare(Ciplab, folder, tmp_path / "records")
  assert [path for path, _ in builder.info.metadata["unreadable"]] == [
      "ciplab/training_fake/easy_1.jpg", "ciplab/training_fake/simple_2_0010.jpg"]
  assert all("expected one such as mid_12_1100.jpg" in reason for _, reason in builder.info.metadata["unreadable"])
  assert sum(map(len, records(builder).values())) == 4 + 8 - 2


def test_a_folder_without_images(tmp_path):
  folder = write_ciplab(tmp_path / "ciplab", 4)
  for path in (folder / "real_and_fake_face" / "training_real").iterdir():
    path.unlink()
  with pytest.raises(UserError, match=r"training_real: holds no image; expected real_and_fake_face/ with"):
    prepare(Ciplab, folder, tmp_path / "records")
