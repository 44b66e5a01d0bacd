"""Training over the trunk's features and over images is the same training."""

import re

import jax
import numpy as np
import pytest

from fakeface_jax.data.splits import RunSplits
from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables
from fakeface_jax.models.pretrained import load_pretrained, save_safetensors
from fakeface_jax.models.resnet import resnet
from fakeface_jax.training import epochs, fine_tuning, tables, trunk
from fakeface_jax.training.loop import Loop
from fakeface_jax.training.optimizer import first_trained_cut, make_optimizer, split_params, trainable_mask
from fakeface_jax.training.steps import TrainState, make_feature_steps, make_image_step, make_tail_step, zero_totals
from fakeface_jax.training.trunk import Trunk, TrunkPass
from tests.conftest import write_faces
from tests.data.test_splits import with_pairs
from tests.training.test_loop import finish, kill_after, latest_variables, read_history, start_training, start_two

MODEL = resnet(18)
DEVICES = jax.local_device_count()
BATCH = 3 * max(4, DEVICES)


@pytest.fixture(autouse=True)
def batches_of_one_size(monkeypatch):
  """Features come from batches as large as a step's: in others their last bit may round otherwise."""
  monkeypatch.setattr(trunk, "CPU_BATCH", BATCH // DEVICES)


@pytest.fixture(scope="module")
def recipe(config, tmp_path_factory):
  """The frozen recipe: 64 training images in batches that do not divide them, so that the last one is partial."""
  config = config.copy_and_resolve_references()
  weights = tmp_path_factory.mktemp("weights") / "trunk.safetensors"
  save_safetensors(weights, init_variables(MODEL, jax.random.key(3), 32))
  config.pretrained, config.trainable, config.data.views, config.batch_size = str(weights), "last_block", 1, BATCH
  config.data.augment, config.epochs = "crop,flip,jpeg,blur", 3
  return config


def run(config, workdir, **changes):
  config = config.copy_and_resolve_references()
  for name, value in changes.items():
    node, _, leaf = name.rpartition("__")
    setattr(config[node] if node else config, leaf, value)
  scores, unreadable = fine_tuning.train(config, str(workdir))
  assert unreadable == []
  return scores, read_history(workdir), latest_variables(workdir)


def _difference(ours, theirs):
  """Root mean square, as a share of what is let pass: 0.005 of the values', and 0.0005."""
  size = lambda values: float(np.sqrt(np.mean(np.square(np.asarray(values, np.float64)))))
  return size(np.asarray(ours) - np.asarray(theirs)) / (5e-3 * size(theirs) + 5e-4)


def assert_same(ours, theirs):
  """Scores and losses agree to float tolerance; so do parameters on average, as Adam moves single ones by a sign."""
  for row, other in zip(ours[1], theirs[1], strict=True):
    for name in ("train_loss", "val_loss"):
      assert row[name] == pytest.approx(other[name], rel=1e-4, abs=None if DEVICES == 2 else 1e-5), name
    assert row["train_accuracy"] == pytest.approx(other["train_accuracy"])
  if DEVICES == 2:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=5e-3, atol=5e-4), ours[2], theirs[2])
  for path, leaf in jax.tree_util.tree_leaves_with_path(jax.tree.map(_difference, ours[2], theirs[2])):
    assert leaf <= 1, path
  assert ours[0]["roc_auc"] == pytest.approx(theirs[0]["roc_auc"], abs=0.01)
  assert ours[0]["f1_macro"] == pytest.approx(theirs[0]["f1_macro"], abs=0.03)


@pytest.mark.parametrize(("trainable", "views"), [
    ("last_block", 1), *(pytest.param(*case, marks=pytest.mark.slow) for case in (
        ("last_conv", 1), ("head", 1), ("last_block", 3)))])
def test_with_features_and_without_it_is_the_same_training(recipe, tmp_path, trainable, views):
  changes = {"trainable": trainable, "data__views": views}
  with_images = run(recipe, tmp_path / "images", trunk="none", **changes)
  with_features = run(recipe, tmp_path / "features", **changes)
  assert (tmp_path / "features" / "trunk" / "train.npy").exists() and not (tmp_path / "images" / "trunk").exists()
  assert_same(with_features, with_images)
  moved = with_features[2]["params"]["head"]["bias"]
  assert np.abs(moved).max() > 1e-4


@pytest.fixture
def paired(recipe, tmp_path):
  """The frozen recipe on as many images, half of them in pairs; training sees 24 px."""
  config = with_pairs(recipe, write_faces(tmp_path / "faces", {"train": 32, "val": 8, "test": 8}), count=32)
  config.data.train_crop = 24
  return config


@pytest.mark.parametrize("views", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_smaller_training_images_in_pairs_are_the_same_training_either_way(paired, tmp_path, views):
  changes = {"data__views": views, "epochs": 1}
  with_images = run(paired, tmp_path / "images", trunk="none", **changes)
  with_features = run(paired, tmp_path / "features", **changes)
  for name in ("train_loss", "val_loss"):  # features may round to another bfloat16 in a batch of another size
    assert with_features[1][0][name] == pytest.approx(with_images[1][0][name], rel=5e-3), name
  run(paired, tmp_path / "larger", data__train_crop=None, **changes)
  small, large = (np.load(tmp_path / of / "trunk" / "train.npy") for of in ("features", "larger"))
  assert small.shape == large.shape and np.mean(small[:, :512] == large[:, :512]) < 0.5
  assert not (tmp_path / "larger" / "trunk" / "val.npy").exists()  # it uses that of the run beside it: the same


def test_training_sees_pairs_in_small_and_validation_all_in_full(paired, monkeypatch):
  config, asked = paired.copy_and_resolve_references(), []
  config.data.views = 0
  splits = RunSplits(config, quiet=True)
  sources = {"train": splits.for_training(), "val": splits["val"]}
  step = lambda state, frozen, batch: asked.append(jax.tree.map(np.asarray, batch))
  monkeypatch.setattr(epochs, "make_image_step", lambda *_: step)
  images = epochs.ImageEpochs(config, MODEL, sources, None, None)
  list(images.run(None, None, 1, 0))
  names, pairs = [], []
  for batch in asked:
    assert batch["image"].shape[2:] == (24, 24, 3)
    index, counts = batch["index"].ravel(), batch["weight"].ravel() > 0
    of_batch = [sources["train"][int(i)]["source"].decode() for i in index]
    names += [name for name, counted in zip(of_batch, counts, strict=True) if counted]
    pairs += list(zip(of_batch[::2], of_batch[1::2], strict=True))
  assert len(names) == len(set(names)) == 64
  together = {(f"train/real/{number + 1:03}.png", f"train/fake/{number:03}.png") for number in range(0, 32, 2)}
  assert together <= set(pairs) and BATCH < 64
  logits, labels = images.validate(init_variables(MODEL, jax.random.key(0), 32))
  assert len(logits) == len(labels) == 16


@pytest.mark.slow
def test_every_home_gives_the_same_bits_whatever_its_pieces(recipe, tmp_path, monkeypatch):
  on_device = run(recipe, tmp_path / "device", trunk="device")
  monkeypatch.setattr(tables, "PIECE_STEPS", 2)
  for home in ("host", "file"):
    other = run(recipe, tmp_path / home, trunk=home)
    assert other[0] == on_device[0]
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, other[2], on_device[2])))


@pytest.mark.slow
def test_another_learning_rate_skips_the_pass(recipe, tmp_path, monkeypatch, caplog):
  run(recipe, tmp_path / "one", epochs=1)
  monkeypatch.setattr(TrunkPass, "compute", lambda self, rows: pytest.fail("computed again"))
  with caplog.at_level("INFO"):
    run(recipe, tmp_path / "two", epochs=1, learning_rate=1e-4)
  assert "Features of the train images are there" in caplog.text
  assert not (tmp_path / "two" / "trunk").exists()


@pytest.mark.slow
def test_a_part_of_the_data_trains_alike_over_features_and_another_part_is_not_mistaken_for_it(
    recipe, tmp_path, monkeypatch):
  changes = {"epochs": 1, "data__train_size": 28}
  with_images = run(recipe, tmp_path / "images", trunk="none", **changes)
  with_features = run(recipe, tmp_path / "features", **changes)
  assert np.load(tmp_path / "features" / "trunk" / "train.npy", mmap_mode="r").shape[0] == 28
  assert_same(with_features, with_images)
  passes, compute = [], TrunkPass.compute
  monkeypatch.setattr(TrunkPass, "compute", lambda self, rows: (passes.append(self.name), compute(self, rows)))
  run(recipe, tmp_path / "other", **changes, seed=1)
  assert passes == ["train"]


@pytest.mark.slow
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_killed_within_an_epoch_it_ends_with_the_same_bits(recipe, tmp_path, monkeypatch, ema_decay):
  monkeypatch.setattr(tables, "PIECE_STEPS", 2)
  whole = run(recipe, tmp_path / "whole", ema_decay=ema_decay)
  saved, save = [], Loop._save

  def killed(self, *arguments):
    save(self, *arguments)
    saved.append(self.position["step"])
    if len(saved) == 5:
      self.checkpoints.wait(self.arrays())
      raise KeyboardInterrupt

  monkeypatch.setattr(Loop, "_save", killed)
  # A checkpoint after every piece: the fifth comes within the second epoch.
  often = {"checkpoint_minutes": 0.0, "ema_decay": ema_decay}
  with pytest.raises(KeyboardInterrupt):
    run(recipe, tmp_path / "killed", **often)
  assert saved == [2, 4, 0, 2, 4]
  again = run(recipe, tmp_path / "killed", **often)
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, again[2], whole[2])))
  ignore_speed = lambda rows: [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]
  assert ignore_speed(again[1]) == ignore_speed(whole[1])


def test_an_average_is_judged_and_kept_but_not_what_goes_on_training(recipe, tmp_path):
  _, rows, weights = run(recipe, tmp_path / "weights")
  _, of_average, average = run(recipe, tmp_path / "average", ema_decay=0.9)
  for row, other in zip(rows, of_average, strict=True):
    assert row["train_loss"] == other["train_loss"] and row["val_loss"] != other["val_loss"]
  before = load_pretrained(recipe.pretrained, weights)["params"]
  moved = lambda variables: np.linalg.norm(
      variables["params"]["layer4_1"]["conv2"]["kernel"] - before["layer4_1"]["conv2"]["kernel"])
  assert 0 < moved(average) < moved(weights)


@pytest.mark.slow
def test_devices_and_processes_give_the_same_losses(recipe, tmp_path):
  _, two, _ = run(recipe, tmp_path / "two", epochs=1)
  config = recipe.copy_and_resolve_references()
  config.epochs = 1
  # Each run makes its own features: in a folder of its own it finds no other's.
  finish(start_training(config, tmp_path / "b" / "four", devices=4))
  for process in start_two(config, tmp_path / "c" / "together"):
    finish(process)
  assert (tmp_path / "c" / "together" / "trunk" / "train_1.npy").exists()
  for folder in ("b/four", "c/together"):
    (row,) = read_history(tmp_path / folder)
    assert row["train_loss"] == pytest.approx(two[0]["train_loss"], rel=1e-4), folder
    assert row["val_loss"] == pytest.approx(two[0]["val_loss"], rel=1e-3), folder


@pytest.mark.slow
def test_killed_in_the_pass_it_goes_on_and_ends_with_the_same_bits(recipe, tmp_path):
  changes = {"epochs": 1, "data__views": 30}  # 1,920 rows, 32 at once
  _, _, whole = run(recipe, tmp_path / "whole" / "run", **changes)
  config = recipe.copy_and_resolve_references()
  config.epochs, config.data.views = 1, 30
  workdir = tmp_path / "killed" / "run"
  kill_after(start_training(config, workdir, devices=2), (workdir / "trunk" / "train.json").exists)
  output = finish(start_training(config, workdir, devices=2))
  assert re.search(r"Features of the train images: going on after \d+ of 1920\.?\n", output), output
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, latest_variables(workdir), whole)))


def test_an_unknown_home_is_refused_before_anything_is_computed(recipe, tmp_path, monkeypatch):
  monkeypatch.setattr(TrunkPass, "compute", lambda self, rows: pytest.fail("computed"))
  with pytest.raises(UserError, match=r"config\.trunk='disk': expected auto, device, host, file or none"):
    run(recipe, tmp_path / "run", trunk="disk")


def shapes_of(trainable, batch_size=8):
  """(steps' arguments over features, over images, number of trainable parameters, channels of trained norms)."""
  variables = MODEL.shapes
  mask = trainable_mask(MODEL, variables["params"], trainable)
  params, frozen = split_params(variables["params"], mask)
  tx = make_optimizer(1e-3, mask)
  trunk, tail = Trunk(MODEL, first_trained_cut(MODEL, mask), variables, 32), make_tail_step(MODEL, tx, mask)
  state = jax.eval_shape(
      lambda params, stats: TrainState(params, stats, tx.init(params), zero_totals()), params, variables["batch_stats"])
  shape = lambda dtype, *dimensions: jax.ShapeDtypeStruct(dimensions, dtype)
  share = batch_size // DEVICES
  features = (
      state, frozen, shape(np.uint16, DEVICES, 16, trunk.width), shape(np.int32, DEVICES, 3, share),
      shape(np.float32, DEVICES, 3, share),
      shape(np.int32), shape(np.int32))
  images = state, frozen, {
      "image": shape(np.uint8, DEVICES, share, 32, 32, 3), "label": shape(np.int32, DEVICES, share),
      "weight": shape(np.float32, DEVICES, share)}
  count = sum(leaf.size for leaf in jax.tree.leaves(params))
  return (make_feature_steps(tail, trunk), features), (make_image_step(tail, trunk), images), count


def reduced(step, arguments):
  """Number of values that all-reduces of one step exchange."""
  text = step.lower(*arguments).compile().as_text()
  total = 0
  for line in text.splitlines():
    if re.search(r"= .* all-reduce(-start)?\(", line):
      shapes = re.findall(r"f32\[([\d,]*)\]", line.split(" all-reduce")[0])
      total += sum(int(np.prod([int(n) for n in shape.split(",") if n])) for shape in shapes)
  return total


@pytest.mark.parametrize(("trainable", "norm_channels"), [("head", 0), ("last_conv", 512), ("last_block", 1024)])
def test_devices_exchange_what_trains_and_nothing_else(trainable, norm_channels):
  over_features, over_images, parameters = shapes_of(trainable)
  # Besides gradients: loss, correct and count, and a trained norm's mean and mean of squares, there and back.
  expected = {parameters + 3 + 4 * norm_channels}
  if DEVICES == 1:  # some versions of JAX let one exchange with itself
    expected.add(0)
  assert reduced(*over_features) in expected
  assert reduced(*over_images) in expected
