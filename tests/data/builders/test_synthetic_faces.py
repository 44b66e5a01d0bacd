import io
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
          "print([m for m in ('tensorflow', 'jax') if m in sys.modules])")
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
])
def test_impossible_settings_are_named(changes, word):
  with pytest.raises(UserError, match=word):
    SyntheticFacesConfig(**changes)


def test_helpers_draw_what_one_process_draws(monkeypatch):
  monkeypatch.setattr(synthetic_faces, "usable_cores", lambda: 1)
  monkeypatch.setattr(synthetic_faces, "_PER_WORKER", 3)
  alone = list(synthetic_faces._drawn(5, 7, 32))
  monkeypatch.setattr(synthetic_faces, "usable_cores", lambda: 2)
  helped = list(synthetic_faces._drawn(5, 7, 32))
  assert [e["image"] for e in helped] == [e["image"] for e in alone]
  assert all((a["mask"] == b["mask"]).all() for a, b in zip(alone, helped, strict=True))


def test_one_cpu_or_few_pictures_start_no_helper(monkeypatch):
  monkeypatch.setattr(subprocess, "Popen", None)
  assert len(list(synthetic_faces._drawn(5, 3, 32))) == 3
  monkeypatch.setattr(synthetic_faces, "usable_cores", lambda: 1)
  monkeypatch.setattr(synthetic_faces, "_PER_WORKER", 1)
  assert len(list(synthetic_faces._drawn(5, 3, 32))) == 3


def test_a_helper_that_ends_early_is_an_error_and_the_others_are_ended(monkeypatch):
  started = []

  class Recorded(subprocess.Popen):
    def __init__(self, *args, **kwargs):
      super().__init__(*args, **kwargs)
      started.append(self)

  monkeypatch.setattr(subprocess, "Popen", Recorded)
  monkeypatch.setattr(synthetic_faces, "usable_cores", lambda: 2)
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


DRAWN = 0, [  # examples.CONTENT, and the mean brightness of 4 x 4 blocks of the first pictures
    [0.2737, 0.4153, 0.4096, 0.5094, 0.3436, 0.7652, 0.6406, 0.4678, 0.4119, 0.7438, 0.8057, 0.4875, 0.3979,
     0.4758, 0.5932, 0.3784],
    [0.5346, 0.2786, 0.3231, 0.2573, 0.5650, 0.3264, 0.4368, 0.3041, 0.5611, 0.3043, 0.3573, 0.2586, 0.5273,
     0.4059, 0.2537, 0.2757],
    [0.6307, 0.3554, 0.3540, 0.6269, 0.6539, 0.8387, 0.6543, 0.6180, 0.7037, 0.8608, 0.7819, 0.6421, 0.6373,
     0.6760, 0.6274, 0.5893],
    [0.6073, 0.6343, 0.5794, 0.6015, 0.6070, 0.6531, 0.7371, 0.6038, 0.6572, 0.7117, 0.7051, 0.6178, 0.6207,
     0.5812, 0.5602, 0.5810],
]


def blocks(image):
  side = len(image) // 4
  return np.float64(image).mean(-1).reshape(4, side, 4, side).mean((1, 3)).ravel()


def test_the_version_moves_when_the_drawing_does():
  content, brightness = DRAWN
  assert content == examples.CONTENT and str(SyntheticFaces.VERSION) == f"1.{content}.0"
  drawn = [blocks(examples.compose(0, index, 80)["image"]) for index in range(len(brightness))]
  np.testing.assert_allclose(
      drawn, brightness, atol=2e-4, err_msg="other pictures: move examples.CONTENT, and pin both here")
