import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from fakeface_jax.data.batches import plan_batches, read_batches
from fakeface_jax.data.schema import FAKE, REAL
from fakeface_jax.data.splits import RunSplits, balanced_part, labels_of, split_for_testing
from fakeface_jax.errors import UserError
from tests.conftest import write_faces
from tests.data.replicas import write_hard


@pytest.fixture
def hard_config(config, tmp_path):
  """A config that is tested on another data set."""
  config = config.copy_and_resolve_references()
  config.data.test_name, config.data.test_path = "hard_fake_real", str(write_hard(tmp_path / "hard"))
  return config


def with_size(config, size, seed=0):
  config = config.copy_and_resolve_references()
  config.data.train_size, config.seed = size, seed
  return RunSplits(config, quiet=True)


def sources_of(source):
  return [source[i]["source"] for i in range(len(source))]


def test_a_part_is_balanced_seeded_and_grows():
  labels = np.random.default_rng(1).integers(0, 2, 300)
  part = balanced_part(labels, 100, seed=4)
  assert len(set(part)) == 100 and labels[part].sum() == 50 and (np.diff(part) > 0).all()
  assert balanced_part(labels, 100, seed=4).tolist() == part.tolist() != balanced_part(labels, 100, seed=5).tolist()
  assert set(balanced_part(labels, 20, seed=4)) < set(part) < set(balanced_part(labels, 200, seed=4))


@pytest.mark.parametrize(("size", "reason"), [
    (7, "train_size=7: expected an even number"), (-2, "train_size=-2: expected an even"),
    (12, r"needs 6 images of each class, and the train split has 5 real and 9 fake; use at most 10"),
])
def test_sizes_that_cannot_be(size, reason):
  with pytest.raises(UserError, match=reason):
    balanced_part(np.repeat([0, 1], [5, 9]), size, seed=0)


def test_the_train_split_alone_is_cut_and_read_like_any_other(config):
  whole, part = RunSplits(config, quiet=True), with_size(config, 10)
  assert [len(part[use]) for use in ("train", "val", "test")] == [10, 16, 34]
  labels = labels_of(part["train"]).tolist()
  assert labels.count(REAL) == labels.count(FAKE) == 5
  assert set(sources_of(part["train"])) < set(sources_of(whole["train"]))
  assert sources_of(part["train"]) == sources_of(with_size(config, 10)["train"])
  (batch,) = read_batches(part["train"], plan_batches(10, 10), resize=32, crop=32)
  assert batch["label"].tolist() == labels
  for size in (0, None):
    assert len(with_size(config, size)["train"]) == 64


def test_fingerprints_tell_apart_what_is_not_the_same_records(config):
  kinds = [with_size(config, *arguments).fingerprint("train") for arguments in ((None,), (10,), (12,), (10, 1))]
  assert len(set(kinds)) == 4
  assert with_size(config, 0, seed=1).fingerprint("train") == kinds[0]
  assert with_size(config, 10, seed=1).fingerprint("val") == with_size(config, None).fingerprint("val")


def write_pairs(folder, count=8):
  """Makes fake 000 of the training faces from real 001, 002 from 003 and so on."""
  for number in range(0, count, 2):
    frame = np.array(Image.open(folder / "train" / "real" / f"{number + 1:03}.png"))
    frame[8:16, 8:16] += 6
    Image.fromarray(frame).save(folder / "train" / "fake" / f"{number:03}.png")


def with_pairs(config, folder, count=8):
  """A config of faces with pairs, as `write_pairs` writes them."""
  write_pairs(folder, count)
  config = config.copy_and_resolve_references()
  config.data.path, config.data.pairs = str(folder), True
  return config


def test_pairs_stand_side_by_side_and_what_is_in_none_comes_after(config, tmp_path):
  config = with_pairs(config, write_faces(tmp_path / "faces", {"train": 8, "val": 2}))
  splits = RunSplits(config, quiet=True)
  names = [source.decode() for source in sources_of(splits.for_training())]
  assert sorted(zip(names[:8:2], names[1:8:2], strict=True)) == [
      (f"train/real/{number + 1:03}.png", f"train/fake/{number:03}.png") for number in range(0, 8, 2)]
  assert len(set(names)) == 16 and sum("real" in name for name in names[8:]) == 4
  assert sources_of(splits["train"]) != sources_of(splits.for_training())  # only training needs the order
  prints = [splits.fingerprint(use) for use in ("train", "val")]
  config.data.pairs = False
  in_order = RunSplits(config, quiet=True)
  assert in_order.fingerprint("train") != prints[0] and in_order.fingerprint("val") == prints[1]
  assert sources_of(in_order["train"]) == sources_of(in_order.for_training()) == sources_of(splits["train"])


def test_few_pairs_among_many_fakes_are_chance_and_refused(config, tmp_path):
  config = with_pairs(config, write_faces(tmp_path / "faces", {"train": 32, "val": 2}), count=6)  # three
  with pytest.raises(UserError, match=r"config\.data\.pairs: 3 fakes of the train split look like a real image of it"):
    RunSplits(config, quiet=True).for_training()


def test_pairs_that_there_are_not_are_refused(config, tmp_path):
  config = config.copy_and_resolve_references()
  config.data.path, config.data.pairs = str(write_faces(tmp_path / "faces", {"train": 2, "val": 1})), True
  with pytest.raises(UserError, match=r"config\.data\.pairs: 0 fakes of the train split look like a real image of it"):
    RunSplits(config, quiet=True).for_training()


def test_another_data_set_to_test_on(hard_config):
  splits = RunSplits(hard_config, quiet=True)
  assert splits.name("test") == "test" and len(splits["test"]) == 7
  assert sources_of(splits["test"])[0].startswith(b"hard_fake_real/") and len(splits["val"]) == 16
  assert splits.fingerprint("test") != splits.fingerprint("val").replace("val", "test")
  hard_config.data.test_split = "test[:3]"
  assert len(RunSplits(hard_config)["test"]) == 3


def test_data_without_a_test_split_may_be_tested_on_another(hard_config, tmp_path, caplog):
  hard_config.data.path = str(write_faces(tmp_path / "faces", {"train": 4, "val": 2}))
  splits = RunSplits(hard_config)
  assert [splits.name(use) for use in ("train", "val", "test")] == ["train", "val", "test"] and not caplog.messages


def test_what_both_data_sets_left_out_is_told(hard_config, tmp_path):
  folder = write_faces(tmp_path / "faces", {"train": 4, "val": 2})
  (folder / "train" / "real" / "000.png").write_bytes(b"")
  (tmp_path / "hard" / "real" / "real_0.jpg").write_bytes(b"")
  hard_config.data.path = str(folder)
  names = [name for name, _ in RunSplits(hard_config).unreadable]
  assert names == ["train/real/000.png", "hard_fake_real/real/real_0.jpg"]


def test_a_path_without_a_name_is_refused(config, tmp_path):
  config = config.copy_and_resolve_references()
  config.data.test_path = str(tmp_path)
  with pytest.raises(UserError, match=r"config\.data\.test_path=.* needs config\.data\.test_name"):
    RunSplits(config)


def test_a_config_of_before_has_neither_part_nor_other_data(config):
  old = config.to_dict()
  for field in ("train_size", "test_name", "test_path", "train_crop", "pairs"):
    del old["data"][field]
  splits = RunSplits(ConfigDict(old), quiet=True)
  assert len(splits["train"]) == 64 and len(splits["test"]) == 34 and splits.name("test") == "test"


def test_which_split_other_data_are_tested_on():
  dataset = lambda splits, **metadata: type("Dataset", (), {"splits": splits, "metadata": metadata})
  assert split_for_testing(dataset({"train": 1, "test": 1})) == "test"
  assert split_for_testing(dataset({"train": 1, "val": 1})) == "all"
  assert split_for_testing(dataset({"train": 1, "test": 1}, split_by_content=True)) == "all"
