import logging
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.data.reading.images import decode_image, encode_image
from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables
from fakeface_jax.models.network import normalize
from fakeface_jax.models.resnet import resnet
from fakeface_jax.training import trunk as trunks
from fakeface_jax.training.feature_file import FOLDER, FeatureFile
from fakeface_jax.training.trunk import Trunk, TrunkPass

MODEL = resnet(18)
SIZE = 32


def record(value, label):
  pixels = np.random.default_rng(value).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
  return {"image": encode_image(pixels, "PNG"), "label": label, "source": f"{value}.png".encode()}


@pytest.fixture(scope="module")
def variables():
  return jax.tree.map(np.asarray, init_variables(MODEL, jax.random.key(0), SIZE))


@pytest.fixture(scope="module")
def source():
  return [record(i, i % 2) for i in range(10)]


def trunk_pass(variables, source, config, *, views=1, cut="layer4_1", fingerprint="data"):
  config = config.copy_and_resolve_references()
  config.data.augment = "crop,flip"
  return TrunkPass(
      Trunk(MODEL, cut, variables, SIZE), "train", source, np.arange(len(source)), config, views=views,
      data_fingerprint=fingerprint)


def read_rows(trunk, rows):
  return jax.tree.map(np.asarray, jax.jit(trunk.from_rows)(jnp.asarray(rows)))


@pytest.mark.parametrize("cut", ["layer4_1", "layer4_1/conv2", "head"])
def test_rows_hold_the_features_at_the_cut_and_the_labels(variables, source, config, tmp_path, cut):
  work = trunk_pass(variables, source, config, cut=cut)
  features, labels = read_rows(work.trunk, work.open(tmp_path / "run"))
  pixels = np.stack([decode_image(face["image"], "it") for face in source])
  expected = MODEL.apply(variables, normalize(jnp.asarray(pixels)), stop=cut)
  jax.tree.map(
      lambda ours, theirs: np.testing.assert_allclose(ours.astype(np.float32), theirs, rtol=0.01, atol=1e-4),
      features, expected)  # bfloat16 keeps eight bits
  np.testing.assert_array_equal(labels, [face["label"] for face in source])


def test_only_what_runs_before_the_cut_is_kept_and_decides_the_key(variables):
  fingerprint = lambda variables, cut="layer4_1/conv2": Trunk(MODEL, cut, variables, SIZE).fingerprint

  def changed(*path):
    copy = jax.tree.map(np.array, variables)
    node = copy
    for name in path[:-1]:
      node = node[name]
    node[path[-1]] = node[path[-1]] + 1
    return copy

  same = fingerprint(variables)
  assert fingerprint(changed("params", "head", "bias")) == same
  assert fingerprint(changed("params", "layer4_1", "conv2", "kernel")) == same
  assert fingerprint(changed("batch_stats", "layer4_1", "bn2", "mean")) == same
  assert fingerprint(changed("params", "layer4_1", "conv1", "kernel")) != same
  assert fingerprint(changed("batch_stats", "layer1_0", "bn1", "mean")) != same
  assert fingerprint(variables, "layer4_1") != same


def test_views_are_rows_of_their_own(variables, source, config, tmp_path, monkeypatch):
  monkeypatch.setattr(trunks, "CPU_BATCH", 1)  # in batches of two sizes a sum may round otherwise
  config = config.copy_and_resolve_references()
  config.data.resize = SIZE + 8
  one = trunk_pass(variables, source, config).open(tmp_path / "1" / "run")
  three = trunk_pass(variables, source, config, views=3).open(tmp_path / "3" / "run")
  assert three.shape[0] == 30
  np.testing.assert_array_equal(three[::3], one)  # view 0 is the centre
  assert len({row.tobytes() for row in three}) >= 28  # by chance two may be alike


def test_interrupted_it_goes_on_to_the_same_bits(variables, config, tmp_path, monkeypatch):
  monkeypatch.setattr(trunks, "CPU_BATCH", 2)  # images at once on every device
  devices = jax.local_device_count()
  source = [record(i, i % 2) for i in range(5 * devices)]
  whole = np.array(trunk_pass(variables, source, config).open(tmp_path / "whole" / "run"))
  append, calls = FeatureFile.append, []

  def interrupted(self, *arguments):
    append(self, *arguments)
    calls.append(self.done)
    if len(calls) == 2:
      raise KeyboardInterrupt

  monkeypatch.setattr(FeatureFile, "append", interrupted)
  with pytest.raises(KeyboardInterrupt):
    trunk_pass(variables, source, config).open(tmp_path / "killed" / "run")
  rows = trunk_pass(variables, source, config).open(tmp_path / "killed" / "run")
  assert calls == [2 * devices, 4 * devices, 5 * devices]
  np.testing.assert_array_equal(rows, whole)


def test_what_is_complete_is_used_again_and_a_stale_file_never(
    variables, source, config, tmp_path, monkeypatch, caplog):
  rows = np.array(trunk_pass(variables, source, config).open(tmp_path / "a"))
  computed, compute = [], TrunkPass.compute
  monkeypatch.setattr(TrunkPass, "compute", lambda self, rows: (computed.append(1), compute(self, rows)))
  np.testing.assert_array_equal(trunk_pass(variables, source, config).open(tmp_path / "b"), rows)
  assert not computed and not (tmp_path / "b").exists()

  other = config.copy_and_resolve_references()
  other.data.resize = SIZE + 8
  other_weights = jax.tree.map(lambda leaf: leaf * 1.5, variables)
  older = trunk_pass(variables, source, config)
  older.key["format"] -= 1
  for number, (change, name) in enumerate([
      (trunk_pass(other_weights, source, config), "weights"),
      (trunk_pass(variables, source, config, fingerprint="new"), "data"),
      (trunk_pass(variables, source[:9], config), "images"),
      (trunk_pass(variables, source, other), "pixels"),
      (trunk_pass(variables, source, config, views=2), "views"),
      (older, "format")], start=1):
    shutil.copytree(tmp_path / "a", tmp_path / f"c{number}" / "run")
    caplog.clear()
    with caplog.at_level(logging.WARNING):
      change.open(tmp_path / f"c{number}" / "run")
    assert f"train.npy is of other {name}; it is computed anew." in caplog.text
    assert len(computed) == number

  truncated = tmp_path / "d" / "run" / FOLDER
  shutil.copytree(tmp_path / "a" / FOLDER, truncated)
  (truncated / "train.npy").write_bytes((truncated / "train.npy").read_bytes()[:-100])
  with caplog.at_level(logging.WARNING):
    again = trunk_pass(variables, source, config).open(tmp_path / "d" / "run")
  assert "is truncated" in caplog.text
  np.testing.assert_array_equal(again, rows)


def limited(monkeypatch, disk, memory):
  monkeypatch.setattr(trunks, "free_space", lambda folder: disk)
  monkeypatch.setattr(trunks.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=memory))


def test_too_small_a_disk_leaves_them_in_memory_and_too_small_a_memory_is_one_line(
    variables, source, config, tmp_path, monkeypatch, caplog):
  expected = np.array(trunk_pass(variables, source, config).open(tmp_path / "disk"))
  limited(monkeypatch, disk=2**30, memory=2**30)
  with caplog.at_level(logging.WARNING):
    features = trunk_pass(variables, source, config).open(tmp_path / "elsewhere" / "run")
  assert not isinstance(features, np.memmap) and "they are not kept on disk" in caplog.text
  np.testing.assert_array_equal(features, expected)
  limited(monkeypatch, disk=2**30, memory=10)
  message = r"of the train images take 0 MiB; 1\.0 GiB are free on the disk of .* and 0 MiB in memory; make room"
  with pytest.raises(UserError, match=message):
    trunk_pass(variables, source, config).open(tmp_path / "nowhere" / "run")


def test_a_disk_that_fills_up_is_one_line(variables, source, config, tmp_path, monkeypatch):
  def full(self, *_):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(FeatureFile, "append", full)
  with pytest.raises(UserError, match=r"train\.npy \(0 MiB\) cannot be written: .*No space left.*config\.trunk=none"):
    trunk_pass(variables, source, config).open(tmp_path / "run")
