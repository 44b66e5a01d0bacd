"""The engine: batches of any size through few compiled calls, within the memory there is."""

import logging
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.explain import flops_ratios

from fakeface_jax.errors import UserError
from fakeface_jax.explain import engine as engines
from fakeface_jax.explain.engine import Engine
from fakeface_jax.explain.methods import METHODS, resolve_methods
from fakeface_jax.models.network import normalize
from fakeface_jax.models.resnet import resnet
from tests.explain.tiny import QUICK, check_close, pictures, small

BUT_SHAP = {name: QUICK.get(name, {}) for name in METHODS if name != "shap"}
FAKE, PREDICTED = 1, -1
DEVICES = jax.local_device_count()


@pytest.fixture(scope="module")
def network():
  return small()


@pytest.fixture(scope="module")
def five_at_once(network):
  """All methods of five images, in one batch on one device, each by its own function."""
  model, variables = network
  methods, pixels = resolve_methods(model, BUT_SHAP), pictures(5)

  def explain(variables, pixels, background):
    given = model, variables, normalize(pixels), jnp.full(5, FAKE)
    result, errors = {"logits": model.apply(variables, given[2])}, {}
    for name, settings in methods.items():
      if METHODS[name].from_logits:
        continue
      of_engine = {"batch_size": 7} if METHODS[name].sampled else {}
      if name == "expected_gradients":
        of_engine["background"] = normalize(background)
      result[name] = METHODS[name].compute(*given, **settings, **of_engine)
      if METHODS[name].complete:
        result[name], errors[name] = result[name]
    return result | {"completeness_error": errors}

  result = jax.device_get(jax.jit(explain)(variables, pixels, pictures(3, seed=1)))
  logits_of = jax.jit(lambda pixels: model.apply(variables, normalize(jnp.rint(pixels))))
  return result | {
      name: METHODS[name].compute(logits_of, pixels, np.full(5, FAKE), batch_size=7, **settings)
      for name, settings in methods.items() if METHODS[name].from_logits}


@pytest.fixture(scope="module")
def by_twos(network):
  return Engine(*network, batch_size=2)


def compiled(engine, monkeypatch):
  """A list that grows with every compilation."""
  calls, compile = [], engine._compile
  monkeypatch.setattr(engine, "_compile", lambda methods, size, *rest: calls.append(size) or compile(
      methods, size, *rest))
  return calls


def test_tests_run_on_the_devices_that_are_forced():
  assert int(re.findall(r"device_count=(\d+)", os.environ["XLA_FLAGS"])[-1]) == DEVICES


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_any_number_of_images_gives_what_one_batch_gives(by_twos, network, five_at_once, count):
  methods = resolve_methods(network[0], BUT_SHAP)
  result = by_twos.explain(pictures(5)[:count], [FAKE] * count, methods, pictures(3, seed=1))
  assert set(result) == {"logits", "completeness_error", *methods}
  check_close(result, jax.tree.map(lambda values: values[:count], five_at_once))


def test_one_compiled_call_serves_few_images_and_one_serves_many(network, monkeypatch):
  many = 4 * DEVICES
  engine = Engine(*network, batch_size=many)
  calls = compiled(engine, monkeypatch)
  methods = resolve_methods(network[0], ["gradcam"])
  for count in (1, DEVICES, 1):
    engine.explain(pictures(count), [FAKE] * count, methods)
  assert calls == [DEVICES]
  for count in (many, many - 1, 2 * many + 1, many + DEVICES):
    assert len(engine.explain(pictures(count), [FAKE] * count, methods)["logits"]) == count
  assert calls == [DEVICES, many] and len(engine._compiled) == 2


def test_other_methods_settings_sizes_and_backgrounds_are_compiled_anew(network, monkeypatch):
  engine = Engine(*network, batch_size=2)
  calls = compiled(engine, monkeypatch)
  for samples, size, references in ((2, 16, 2), (3, 16, 2), (3, 8, 2), (3, 16, 5), (3, 16, 5), (2, 16, 2)):
    methods = resolve_methods(network[0], {"expected_gradients": {"samples": samples}})
    engine.explain(pictures(1, size), [FAKE], methods, pictures(references, size))
  assert len(engine._compiled) == 4 + 2  # and the logits of two sizes
  assert len(calls) == 4 + 2


def test_what_was_compiled_ahead_is_not_compiled_again(network, monkeypatch):
  engine, background = Engine(*network, batch_size=4), pictures(3)
  calls = compiled(engine, monkeypatch)
  for names in (["gradcam", "gradient"], ["expected_gradients"]):
    methods = resolve_methods(network[0], {name: QUICK.get(name, {}) for name in names})
    engine.compile(methods, 1, pictures(1).shape[1:], background)
    before = len(calls)
    engine.explain(pictures(1), [FAKE], methods, background)
    # Beside methods of many evaluations stand the logits, a call of their own.
    assert calls[before:] == ([] if names[0] == "gradcam" else [DEVICES])


def test_a_batch_size_is_rounded_up_to_the_devices(network):
  sizes = (1, DEVICES, DEVICES + 1, 2 * DEVICES)
  assert [Engine(*network, size).batch_size for size in sizes] == [DEVICES, DEVICES, 2 * DEVICES, 2 * DEVICES]


def test_logits_are_the_networks(by_twos, network):
  model, variables = network
  np.testing.assert_allclose(
      by_twos.logits(pictures(3)), jax.jit(model.apply)(variables, normalize(pictures(3))), rtol=1e-5, atol=1e-6)
  assert by_twos.logits(pictures(0)).shape == (0, 2)


def test_other_variables_are_taken_without_compiling(network, monkeypatch):
  model, variables = network
  engine = Engine(model, variables, 2)
  methods = resolve_methods(model, ["gradcam", "gradient"])
  before = engine.explain(pictures(2), [FAKE] * 2, methods)
  calls = compiled(engine, monkeypatch)
  engine.use(jax.tree.map(lambda leaf: 0.5 * leaf, variables))
  check_close(engine.explain(pictures(2), [FAKE] * 2, methods)["gradient"], before["gradient"] / 8)
  engine.use(variables)
  check_close(engine.explain(pictures(2), [FAKE] * 2, methods), before)
  assert calls == []


# --- targets ---------------------------------------------------------------------------------------------------------


def test_every_image_has_its_own_target_and_predicted_is_the_larger_logit(by_twos, network):
  model, variables = network
  methods = resolve_methods(model, {"gradient": {}, "hirescam": {}, "occlusion": {"window": 8}})
  # A bias at the median of the logits' difference makes some images one class and some the other.
  logits = by_twos.logits(pictures(5))
  head = variables["params"]["head"]
  bias = head["bias"] - np.median(logits[:, 1] - logits[:, 0]) * np.array([0, 1]) + np.array([0, 1e-4])
  torn = Engine(model, {"params": variables["params"] | {"head": head | {"bias": bias}}}, 2)
  real, fake, predicted = (torn.explain(pictures(5), [target] * 5, methods) for target in (0, 1, PREDICTED))
  classes = predicted["logits"].argmax(-1)
  assert {*classes} == {0, 1}
  mixed = torn.explain(pictures(5), classes, methods)
  of_class = lambda a, b: np.stack([(a, b)[c][i] for i, c in enumerate(classes)])
  for name in methods:
    expected = jax.tree.map(of_class, real[name], fake[name])
    check_close(predicted[name], expected)
    check_close(mixed[name], expected)


# --- memory ----------------------------------------------------------------------------------------------------------


def memory_of(network, methods, batch_size, count):
  engine = Engine(*network, batch_size)
  engine.explain(pictures(count), [FAKE] * count, methods)
  (call,) = (call for key, call in engine._compiled.items() if repr(methods) in key)
  return engines._memory_of(call)


@pytest.mark.parametrize("methods, count", [
    (("gradcam", "guided_backprop"), 4 * DEVICES + 1),
    ({"occlusion": {"window": 4}}, 1)])  # one image, but many covered ones at a time
def test_the_batch_is_lowered_to_what_the_memory_holds_and_that_is_said(network, monkeypatch, caplog, methods, count):
  names, methods = ", ".join(methods), resolve_methods(network[0], methods)
  whole, half = (memory_of(network, methods, size, min(size, count)) for size in (4 * DEVICES, 2 * DEVICES))
  assert half < whole
  expected = Engine(*network, 4 * DEVICES).explain(pictures(count), [FAKE] * count, methods)
  monkeypatch.setattr(engines, "available_memory", lambda: (whole + half) // 2)
  engine = Engine(*network, 4 * DEVICES)
  with caplog.at_level(logging.WARNING):
    got = engine.explain(pictures(count), [FAKE] * count, methods)
  assert engine.batch_size == 2 * DEVICES
  (message,) = caplog.messages
  assert message.startswith(f"{names} needs ")
  assert message.endswith(f" GiB are free at batch size {4 * DEVICES}: going on with {2 * DEVICES}")
  check_close(got, expected)


def test_too_little_memory_for_one_image_is_an_error(network, monkeypatch):
  monkeypatch.setattr(engines, "available_memory", lambda: 10)
  with pytest.raises(UserError, match=r"^gradcam needs 0\.0 GiB, 0\.0 GiB are free, at one image at a time; use"):
    Engine(*network, 4).explain(pictures(4), [FAKE] * 4, resolve_methods(network[0], ["gradcam"]))


# --- precision, cost -------------------------------------------------------------------------------------------------


def test_bfloat16_is_near_float32(network, by_twos):
  model, variables = small(dtype=jnp.bfloat16)
  methods = resolve_methods(model, BUT_SHAP)
  half, full = (
      engine.explain(pictures(2), [FAKE] * 2, methods, pictures(3, seed=1))
      for engine in (Engine(model, variables, 2), by_twos))
  assert jax.tree.map(lambda values: values.dtype, half) == jax.tree.map(lambda values: values.dtype, full)
  assert np.abs(half["logits"] - full["logits"]).max() > 1e-6
  for name in ("logits", *methods):
    if name != "feature_maps":  # whose channels may change places
      for a, b in zip(jax.tree.leaves(half[name]), jax.tree.leaves(full[name]), strict=True):
        assert np.linalg.norm(a - b) < 0.1 * np.linalg.norm(b), name


def test_everything_costs_little_more_than_two_forward_passes():
  ratios = flops_ratios(resnet(50), 224)
  cams, article = ratios["flops_ratio_ten_cams"], ratios["flops_ratio_article_set"]
  print(f"ResNet-50, 224 px, in forward passes: ten Grad-CAMs {cams:.3f}, the article's set {article:.3f}")
  assert cams <= 1.20
  assert article <= 2.20
