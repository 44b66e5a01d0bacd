import json
import logging
import os
import re

import numpy as np
import pytest

from fakeface_jax.training.feature_file import FOLDER, FeatureFile, find_complete

KEY, SHAPE = {"weights": "abc", "views": [2, ["crop"], 0]}, (5, 3)
ROWS = np.arange(15, dtype=np.uint16).reshape(SHAPE)


def start(folder, key=KEY, done=2):
  features = FeatureFile(folder / "train.npy", key, SHAPE)
  features.append(ROWS[features.done : done])
  return features


def test_rows_are_an_npy_file_that_numpy_opens(tmp_path):
  features = start(tmp_path, done=5)
  np.testing.assert_array_equal(features.rows(), ROWS)
  np.testing.assert_array_equal(np.load(tmp_path / "train.npy"), ROWS)


def test_a_file_is_gone_on_with_where_it_stopped(tmp_path):
  start(tmp_path)
  again = FeatureFile(tmp_path / "train.npy", KEY, SHAPE)
  assert again.done == 2
  again.append(ROWS[2:])
  np.testing.assert_array_equal(again.rows(), ROWS)


def test_rows_that_were_written_but_not_noted_are_written_again(tmp_path):
  start(tmp_path)
  with (tmp_path / "train.npy").open("ab") as file:
    file.write(b"\xff" * 7)
  again = FeatureFile(tmp_path / "train.npy", KEY, SHAPE)
  again.append(ROWS[2:])
  np.testing.assert_array_equal(again.rows(), ROWS)


def test_rows_that_another_run_has_mapped_stay_when_their_file_is_replaced(tmp_path):
  start(tmp_path / "a" / FOLDER, done=5)
  found = find_complete(tmp_path / "b", "train.npy", KEY, SHAPE)
  replaced = start(tmp_path / "a" / FOLDER, key={"weights": "other"}, done=1)
  np.testing.assert_array_equal(found, ROWS)  # in place, this would be a bus error
  assert replaced.done == 1


@pytest.mark.parametrize(("spoil", "why"), [
    (lambda folder: os.truncate(folder / "train.npy", 139), r"is truncated \(139 of 140 bytes\)"),
    (lambda folder: (folder / "train.json").write_text("{"), "has no notes"),
    (lambda folder: (folder / "train.json").unlink(), "has no notes"),
    (lambda folder: (folder / "train.json").write_text(
        json.dumps({"key": KEY, "rows": 9})), "has notes of more rows than there can be"),
    (lambda folder: (folder / "train.json").write_text(
        json.dumps({"key": [], "rows": "2"})), "has no notes"),
    (lambda folder: (folder / "train.json").write_text(
        json.dumps({"key": KEY | {"weights": "abd", "views": 1}, "rows": 2})),
     "is of other weights, views"),
], ids=["truncated", "broken", "alone", "more", "types", "others"])
def test_what_cannot_be_used_is_replaced_and_the_reason_said_in_one_line(tmp_path, caplog, spoil, why):
  start(tmp_path)
  spoil(tmp_path)
  with caplog.at_level(logging.WARNING):
    features = FeatureFile(tmp_path / "train.npy", KEY, SHAPE)
  (record,) = caplog.records
  assert "train.npy" in record.getMessage() and record.getMessage().endswith("; it is computed anew.")
  assert re.search(why, record.getMessage())
  assert features.done == 0


def test_another_run_finds_what_is_complete_and_of_the_same_key_only(tmp_path):
  (tmp_path / "one" / FOLDER).mkdir(parents=True)
  (tmp_path / "two").mkdir()
  features = start(tmp_path / "one" / FOLDER)
  assert find_complete(tmp_path / "two", "train.npy", KEY, SHAPE) is None
  features.append(ROWS[2:])
  assert find_complete(tmp_path / "two", "train.npy", KEY | {"weights": "x"}, SHAPE) is None
  found = find_complete(tmp_path / "two", "train.npy", KEY, SHAPE)
  assert found.filename == tmp_path / "one" / FOLDER / "train.npy"
  np.testing.assert_array_equal(found, ROWS)
