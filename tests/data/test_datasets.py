import pytest
from ml_collections import ConfigDict

from fakeface_jax.data.datasets import choose_splits, open_dataset
from fakeface_jax.errors import UserError


def test_a_folder_by_its_path(faces_folder, tmp_path):
  dataset = open_dataset(str(faces_folder), data_dir=str(tmp_path))
  assert dataset.splits == {"train": 64, "val": 16, "test": 34}
  assert (len(dataset["val"]), len(dataset["all"]), len(dataset["train[:25%]"])) == (16, 114, 16)
  with pytest.raises(UserError, match=r"has no split 'dev'; it has train, val, test \(or 'all'"):
    dataset["dev"]


def test_what_is_neither_a_data_set_nor_a_folder(tmp_path):
  with pytest.raises(UserError, match=r"no data set and no folder 'nothing'; data sets: synthetic_faces, .*, folder"):
    open_dataset("nothing", data_dir=str(tmp_path))
  with pytest.raises(UserError, match=r"needs to know which: config\.data\.path"):
    open_dataset("folder", data_dir=str(tmp_path))


def test_missing_splits_are_made_up_for_and_that_is_said(caplog):
  config = ConfigDict({"train_split": "train", "val_split": "val", "test_split": "test"})
  assert choose_splits(config, {"train": 9, "val": 9, "test": 9}) == {"train": "train", "val": "val", "test": "test"}
  assert not caplog.messages
  assert choose_splits(config, {"train": 9}) == {"train": "train[:85%]", "val": "train[85%:]", "test": "train[85%:]"}
  assert "no val split" in caplog.messages[0] and "no test split" in caplog.messages[1]
