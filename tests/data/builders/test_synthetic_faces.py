import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from fakeface_jax.data.builders import synthetic_faces
from fakeface_jax.data.builders.synthetic_faces import SyntheticFaces, SyntheticFacesConfig
from fakeface_jax.data.drawn import examples
from fakeface_jax.errors import UserError

TINY = {"size": 32, "num_train": 12, "num_val": 4, "num_test": 6, "seed": 2}
RAW = {"image": tfds.decode.SkipDecoding(), "mask": tfds.decode.SkipDecoding()}


def _builder(folder, **changes):
  return SyntheticFaces(config=SyntheticFacesConfig(**{**TINY, **changes}), data_dir=folder)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
  builder = _builder(tmp_path_factory.mktemp("tfds"))
  builder.download_and_prepare()
  return {split: list(builder.as_data_source(split, decoders=RAW)) for split in ("train", "val", "test")}


def test_records_hold_the_drawn_examples_unchanged(records):
  for number, (split, count) in enumerate({"train": 12, "val": 4, "test": 6}.items()):
    by_source = {record["source"].decode(): record for record in records[split]}
    assert sorted(by_source) == [f"synthetic_faces/{split}/{index:06d}" for index in range(count)]
    for index in range(count):
      record = by_source[f"synthetic_faces/{split}/{index:06d}"]
      drawn = examples.render_example(3 * 2 + number, index, size=32)
      assert record["image"] == drawn["image"]
      assert (np.asarray(Image.open(io.BytesIO(record["mask"]))) == drawn["mask"]).all()
      assert (record["regions"] == drawn["regions"]).all()
      assert (record["label"], record["difficulty"]) == (drawn["label"], drawn["difficulty"])


def test_every_split_is_half_real_and_shares_no_picture(records):
  for split in records.values():
    assert np.mean([record["label"] for record in split]) == 0.5
  pictures = [record["image"] for split in records.values() for record in split]
  assert len(set(pictures)) == 12 + 4 + 6


def test_no_tensorflow_and_no_jax_is_loaded():
  code = ("import sys; from fakeface_jax.data.builders import synthetic_faces;"
          "print([m for m in ('tensorflow', 'jax') if m in sys.modules])")  # fmt: skip
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert done.stdout == "[]\n" and done.stderr == ""


def test_other_settings_never_share_a_folder(tmp_path):
  folders = {_builder(tmp_path).data_dir}
  for field, value in {"size": 40, "num_train": 14, "num_val": 6, "num_test": 8, "seed": 3}.items():
    folders.add(_builder(tmp_path, **{field: value}).data_dir)
  assert len(folders) == 6


def test_a_config_equal_to_the_default_is_the_default(tmp_path):
  plain = SyntheticFaces(data_dir=tmp_path)
  spelt_out = SyntheticFaces(config=SyntheticFacesConfig(), data_dir=tmp_path)
  assert plain.data_dir == spelt_out.data_dir


@pytest.mark.parametrize(("changes", "word"), [
  ({"num_val": 5}, "num_val must be even.*try 6"),
  ({"num_test": 0}, "num_test must be a whole number of at least 2, not 0"),
  ({"size": 8}, "size must be .* at least 32"),
  ({"seed": -1}, "seed must be .* at least 0"),
  ({"num_train": 2.5}, "num_train must be a whole number"),
  ({"size": True}, "size must be a whole number"),
])  # fmt: skip
def test_impossible_settings_are_named(changes, word):
  with pytest.raises(UserError, match=word):
    SyntheticFacesConfig(**changes)


def test_helpers_draw_what_one_process_draws(monkeypatch):
  monkeypatch.setattr(os, "cpu_count", lambda: 1)
  monkeypatch.setattr(synthetic_faces, "_PER_WORKER", 3)
  alone = list(synthetic_faces._drawn(5, 7, 32))
  monkeypatch.setattr(os, "cpu_count", lambda: 2)
  helped = list(synthetic_faces._drawn(5, 7, 32))
  assert [e["image"] for e in helped] == [e["image"] for e in alone]
  assert all((a["mask"] == b["mask"]).all() for a, b in zip(alone, helped, strict=True))


def test_one_cpu_or_few_pictures_start_no_helper(monkeypatch):
  monkeypatch.setattr(subprocess, "Popen", None)
  assert len(list(synthetic_faces._drawn(5, 3, 32))) == 3
  monkeypatch.setattr(os, "cpu_count", lambda: None)
  monkeypatch.setattr(synthetic_faces, "_PER_WORKER", 1)
  assert len(list(synthetic_faces._drawn(5, 3, 32))) == 3


def test_a_helper_that_ends_early_is_an_error_and_the_others_are_ended(monkeypatch):
  started = []

  class Recorded(subprocess.Popen):
    def __init__(self, *args, **kwargs):
      super().__init__(*args, **kwargs)
      started.append(self)

  monkeypatch.setattr(subprocess, "Popen", Recorded)
  monkeypatch.setattr(os, "cpu_count", lambda: 2)
  monkeypatch.setattr(synthetic_faces, "_PER_WORKER", 1)
  monkeypatch.setattr(synthetic_faces, "_WORKER", "import time; {first} and time.sleep(60)")
  with pytest.raises(RuntimeError, match="ended before picture 0 of 4"):
    list(synthetic_faces._drawn(5, 4, 32))
  assert len(started) == 2 and all(helper.poll() is not None for helper in started)


def test_an_interrupted_preparation_is_not_taken_for_whole(tmp_path, monkeypatch):
  def interrupted(seed, index, *, size):
    if index == 5:
      raise KeyboardInterrupt
    return draw(seed, index, size=size)

  draw = examples.render_example
  monkeypatch.setattr(examples, "render_example", interrupted)
  with pytest.raises(KeyboardInterrupt):
    _builder(tmp_path).download_and_prepare()
  monkeypatch.setattr(examples, "render_example", draw)
  builder = _builder(tmp_path)
  builder.download_and_prepare()
  assert len(builder.as_data_source("train", decoders=RAW)) == 12
