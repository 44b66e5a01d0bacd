import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fakeface_jax.devices import check_batch_size, to_devices
from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables
from fakeface_jax.models.network import normalize
from fakeface_jax.models.resnet import resnet
from fakeface_jax.training.optimizer import (
  first_trained_cut,
  make_optimizer,
  merge_params,
  split_params,
  trainable_mask,
)
from fakeface_jax.training.steps import TrainState, make_image_step, make_tail_step, zero_totals
from fakeface_jax.training.trunk import Trunk

MODEL = resnet(18)


def start(trainable, learning_rate=1e-2, ema_decay=0.0, label_smoothing=0.0):
  """(step, fresh state, frozen parameters, the variables they were made of)."""
  variables = jax.tree.map(np.asarray, init_variables(MODEL, jax.random.key(0), 32))
  mask = trainable_mask(MODEL, variables["params"], trainable)
  params, frozen = split_params(variables["params"], mask)
  tx = make_optimizer(learning_rate, mask)
  state = jax.tree.map(jnp.array, TrainState(params, variables["batch_stats"], tx.init(params), zero_totals()))
  cut = first_trained_cut(MODEL, mask)
  trunk = None if cut == "stem" else Trunk(MODEL, cut, variables, 32)
  return make_image_step(make_tail_step(MODEL, tx, mask, ema_decay, label_smoothing), trunk), state, frozen, variables


def make_batch(count, weights=None):
  random = np.random.default_rng(count)
  return {
      "image": random.integers(0, 256, (count, 32, 32, 3), np.uint8),
      "label": np.arange(count, dtype=np.int32) % 2,
      "weight": np.ones(count, np.float32) if weights is None else np.asarray(weights, np.float32),
  }


def same_leaves(left, right):
  """{path: whether the two trees agree there to the bit}."""
  equal = jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), left, right)
  return {jax.tree_util.keystr(path): same for path, same in jax.tree_util.tree_leaves_with_path(equal)}


def test_what_is_frozen_stays_to_the_bit_and_what_trains_does_not():
  step, state, frozen, variables = start("last_conv")
  for _ in range(2):
    state = step(state, frozen, to_devices(make_batch(8)))
  same = same_leaves(merge_params(state.params, frozen), variables["params"])
  moved = {path for path, equal in same.items() if not equal}
  assert moved == {f"['layer4_1']['{name}']['{leaf}']" for name, leaf in (
      ("conv2", "kernel"), ("bn2", "scale"), ("bn2", "bias"))} | {"['head']['kernel']", "['head']['bias']"}
  statistics = {path for path, equal in same_leaves(state.batch_stats, variables["batch_stats"]).items() if not equal}
  assert statistics == {"['layer4_1']['bn2']['mean']", "['layer4_1']['bn2']['var']"}


@pytest.mark.parametrize("label_smoothing", [0.0, 0.4])
def test_a_step_of_the_head_by_hand(label_smoothing):
  step, state, frozen, variables = start("head", learning_rate=1e-2, label_smoothing=label_smoothing)
  batch = make_batch(8)
  features = MODEL.apply(variables, normalize(batch["image"]), stop="head")
  features = features.astype(jnp.bfloat16).astype(np.float32)  # as the trunk hands them over
  head = variables["params"]["head"]
  logits = features @ head["kernel"] + head["bias"]
  target = (1 - label_smoothing) * np.eye(2)[batch["label"]] + label_smoothing / 2
  error = np.asarray(jax.nn.softmax(logits)) - target  # d(cross-entropy)/d(logits)
  gradient = np.asarray(features).T @ error / 8
  state = step(state, frozen, to_devices(batch))
  # The first step of Adam is -lr * g / (|g| + 1e-8).
  expected = head["kernel"] - 1e-2 * gradient / (np.abs(gradient) + 1e-8)
  solid = np.abs(gradient) > 1e-4  # elsewhere the quotient hangs on rounding
  assert solid.mean() > 0.7
  np.testing.assert_allclose(np.asarray(state.params["head"]["kernel"])[solid], expected[solid], atol=1e-5)
  loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).sum()
  np.testing.assert_allclose(state.totals["loss"], loss, rtol=1e-4)
  np.testing.assert_allclose(state.totals["correct"], np.sum(logits.argmax(-1) == batch["label"]))
  assert state.totals["count"] == 8


def test_a_filler_counts_for_nothing():
  step, state, frozen, _ = start("head")
  padded = make_batch(8, weights=[1] * 5 + [0] * 3)
  state = step(state, frozen, to_devices(padded))
  _, other, _, _ = start("head")
  changed = {**padded, "label": np.where(padded["weight"] > 0, padded["label"], 1 - padded["label"])}
  other = step(other, frozen, to_devices(changed))
  np.testing.assert_array_equal(state.params["head"]["kernel"], other.params["head"]["kernel"])
  assert state.totals["count"] == 5 and state.totals["loss"] == other.totals["loss"]


def test_a_trained_norm_averages_over_all_devices():
  step, state, frozen, variables = start("all")
  batch = make_batch(8)
  state = step(state, frozen, to_devices(batch))
  images = normalize(batch["image"])
  stem = jax.lax.conv_general_dilated(
      images, variables["params"]["conv1"]["kernel"], (2, 2), [(3, 3)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))
  # Flax: running = 0.9 * running + 0.1 * batch, from (0, 1), with the biased variance.
  np.testing.assert_allclose(
      state.batch_stats["bn1"]["mean"], 0.1 * stem.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-6)
  np.testing.assert_allclose(
      state.batch_stats["bn1"]["var"], 0.9 + 0.1 * stem.var(axis=(0, 1, 2)), rtol=1e-3)


def test_the_average_follows_the_weights_and_what_is_frozen_stays_to_the_bit():
  step, state, frozen, variables = start("last_block", ema_decay=0.75)
  average = lambda state: {"params": state.params, "batch_stats": state.batch_stats}
  state = state.replace(average=jax.tree.map(jnp.array, average(state)))
  seen = [jax.tree.map(np.array, average(state))]
  for _ in range(2):
    state = step(state, frozen, to_devices(make_batch(8)))
    seen.append(jax.tree.map(np.array, average(state)))
  expected = jax.tree.map(lambda first, second, third: 0.5625 * first + 0.1875 * second + 0.25 * third, *seen)
  jax.tree.map(lambda is_, wanted: np.testing.assert_allclose(is_, wanted, rtol=1e-5, atol=1e-6),
               state.average, expected)
  same = same_leaves(state.average["batch_stats"], variables["batch_stats"])
  assert {path for path, equal in same.items() if not equal} == {
      f"['layer4_1']['bn{i}']['{name}']" for i in (1, 2) for name in ("mean", "var")}


def test_a_batch_must_split_evenly(monkeypatch):
  monkeypatch.setattr(jax, "device_count", lambda: 2)
  with pytest.raises(UserError, match="batch_size=7 cannot be split over 2 devices; use a multiple, such as 8"):
    check_batch_size(7)
  check_batch_size(8)
