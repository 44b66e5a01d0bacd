"""The Flax ResNet against an independent PyTorch ResNet (golden values, and live where torch is), cuts, max-pool."""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from seeded import STAGES, images, sample, state_dict, template

from fakeface_jax.errors import UserError
from fakeface_jax.explain.guided_backprop import guided_relu
from fakeface_jax.models.convolution import Convolution, max_pool
from fakeface_jax.models.network import normalize
from fakeface_jax.models.pretrained import from_state_dict, torchvision_key
from fakeface_jax.models.resnet import DEPTHS, resnet

# Measured: 1.1e-6 at most. Anything structural, such as a padding or an epsilon, shows from 1e-3 on.
TOLERANCE = 1e-5


def seeded_network(depth, **attributes):
  model = resnet(depth, num_classes=1000, **attributes)
  return model, from_state_dict(state_dict(depth), template(model))


@pytest.fixture(scope="module")
def resnet18():
  return seeded_network(18)


@pytest.mark.parametrize("depth", DEPTHS)
def test_what_is_known_of_the_shapes_without_tracing_is_what_tracing_finds(depth):
  model, layers = resnet(depth, num_classes=3), []

  def note(next_function, args, kwargs, context):
    if isinstance(context.module, Convolution) and context.method_name == "__call__":
      layers.append("/".join(context.module.path))
    return next_function(*args, **kwargs)

  with nn.intercept_methods(note):
    traced = jax.eval_shape(lambda key: model.init(key, jnp.zeros((1, 64, 64, 3))), jax.random.key(0))
  assert model.shapes == traced
  assert list(model.kernels) == layers


def stage_outputs(model, variables, x):
  """{stage: output}, one stage after the other."""
  outputs, last = {}, model.blocks[-1]
  starts = ["stem", "layer1_0", "layer2_0", "layer3_0", "layer4_0"]
  for name, start, stop in zip(("stem", "layer1", "layer2", "layer3"), starts, starts[1:], strict=False):
    outputs[name] = x = model.apply(variables, x, start=start, stop=stop)
  outputs["pooled"], seen = model.apply(
      variables, x, start="layer4_0", stop="head", capture_intermediates=lambda module, _: module.name == last)
  outputs["layer4"] = seen["intermediates"][last]["__call__"][0]
  outputs["logits"] = model.apply(variables, outputs["pooled"], start="head")
  return outputs


def golden(depth):
  return np.load(Path(__file__).parent / "golden" / f"resnet{depth}.npz")


def relative_error(got, expected, largest=None):
  return np.abs(np.asarray(got, np.float32) - expected).max() / (np.abs(expected).max() if largest is None else largest)


# --- parity ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", STAGES)
def test_every_stage_equals_torch(depth):
  reference = golden(depth)
  outputs = stage_outputs(*seeded_network(depth), images(depth))
  assert {name for name in reference if name + "_max" in reference} == set(outputs)
  for name, output in outputs.items():
    values = output if name == "logits" else sample(output)
    assert relative_error(values, reference[name], reference[f"{name}_max"]) < TOLERANCE, name


def test_compiled_logits_equal_torch(resnet18):
  model, variables = resnet18
  assert relative_error(jax.jit(model.apply)(variables, images(18)), golden(18)["logits"]) < TOLERANCE


def check_training_step(network, expected_logits, expected_statistics, counts):
  """Batch statistics against torch's, which records the variance over n - 1 where Flax has n."""
  model, variables = network
  logits, updates = model.apply(variables, images(18), train=True, mutable=["batch_stats"])
  assert relative_error(logits, expected_logits) < TOLERANCE
  before = state_dict(18)
  got = {torchvision_key(path): leaf for path, leaf in flatten_dict(updates, sep="/").items()}
  for key, expected in expected_statistics.items():
    if key.endswith("var"):
      assert relative_error(got[key], expected) > 1e-5, key
      n = counts[key.rpartition(".")[0]]
      expected = 0.9 * before[key] + (expected - 0.9 * before[key]) * (n - 1) / n
    assert relative_error(got[key], expected) < 1e-5, key
  return got


def test_training_step_equals_torch(resnet18):
  reference = golden(18)
  norms = [name.split("/")[1] for name in reference if name.endswith("/count")]
  assert norms == ["bn1", "layer1.0.bn1", "layer2.0.downsample.1", "layer4.1.bn2"]
  kinds = [(norm, kind) for norm in norms for kind in ("mean", "var")]
  statistics = {f"{norm}.running_{kind}": reference[f"train/{norm}/{kind}"] for norm, kind in kinds}
  counts = {norm: reference[f"train/{norm}/count"] for norm in norms}
  check_training_step(resnet18, reference["train/logits"], statistics, counts)


def test_training_step_equals_torch_live(resnet18):
  pytest.importorskip("torch")
  from torch_resnet import reference, train_step

  logits, statistics, counts = train_step(reference(18), images(18))
  got = check_training_step(resnet18, logits, statistics, counts)
  assert set(got) == set(statistics)


def test_every_value_equals_torch_live():
  pytest.importorskip("torch")
  from torch_resnet import outputs, reference

  expected = outputs(reference(50), images(50))
  for name, output in stage_outputs(*seeded_network(50), images(50)).items():
    assert relative_error(output, expected[name]) < TOLERANCE, name


def test_parameter_counts_are_torchvisions():
  published = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
  for depth, count in published.items():
    params = template(resnet(depth, num_classes=1000))["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


# --- precision, mapped axes ------------------------------------------------------------------------------------------


def test_bfloat16_computes_near_float32_and_keeps_float32_parameters(resnet18):
  half, variables = resnet(18, num_classes=1000, dtype=jnp.bfloat16), resnet18[1]
  assert {leaf.dtype for leaf in jax.tree.leaves(template(half))} == {np.dtype("float32")}
  assert half.apply(variables, images(18), stop="layer2_0").dtype == jnp.bfloat16
  logits = half.apply(variables, images(18))
  assert logits.dtype == jnp.float32
  assert 1e-4 < relative_error(logits, golden(18)["logits"]) < 0.015  # measured: 0.005


def test_axis_name_gives_the_statistics_of_the_whole_batch(resnet18):
  model, variables = resnet18
  batch = images(18)
  stem = {"stop": "layer1_0", "train": True, "mutable": ["batch_stats"]}
  mapped = jax.vmap(lambda x: model.clone(axis_name="device").apply(variables, x, **stem), axis_name="device")
  _, halves = mapped(batch.reshape(2, 1, *batch.shape[1:]))
  _, whole = model.apply(variables, batch, **stem)
  for kind in ("mean", "var"):
    got, expected = halves["batch_stats"]["bn1"][kind], whole["batch_stats"]["bn1"][kind]
    np.testing.assert_allclose(got, [expected, expected], rtol=1e-5, atol=1e-6)
    assert relative_error(expected, variables["batch_stats"]["bn1"][kind]) > 1e-3


# --- cuts ------------------------------------------------------------------------------------------------------------


def check_cuts(model, variables, x, parts):
  whole = model.apply(variables, x)
  for part in parts:
    features = model.apply(variables, x, stop=part)
    np.testing.assert_allclose(model.apply(variables, features, start=part), whole, rtol=1e-6, atol=1e-6)


def test_the_network_can_be_cut_before_every_part(resnet18):
  model, variables = resnet18
  check_cuts(model, variables, images(18), model.cuts)
  assert model.apply(variables, images(18), stop="stem").shape == (2, 97, 75, 3)
  assert model.apply(variables, images(18), stop="layer2_0").shape == (2, 25, 19, 64)
  assert model.apply(variables, images(18), stop="head").shape == (2, 512)


def test_a_bottleneck_network_can_be_cut():
  model, variables = seeded_network(50)
  check_cuts(model, variables, images(50), ("layer1_0", "layer3_0/conv2", "layer4_2", "layer4_2/conv3", "head"))


def test_parts_and_blocks_are_torchvisions_names():
  model = resnet(18)
  assert model.blocks == (
      "layer1_0", "layer1_1", "layer2_0", "layer2_1", "layer3_0", "layer3_1", "layer4_0", "layer4_1")
  assert model.parts == ("stem", *model.blocks, "head")
  assert resnet(152).blocks[10] == "layer2_7" and resnet(152).blocks[-4] == "layer3_35"


@pytest.mark.parametrize(
    ("cut", "message"), [
        ({"stop": "layer5_0"}, r"no part 'layer5_0' to cut at; there are: stem, layer1_0, .*, head"),
        ({"start": "conv1"}, "no part 'conv1'"),
        ({"start": "layer2_0", "stop": "layer1_1"}, "cannot stop at 'layer1_1'.*before the start at 'layer2_0'")])
def test_impossible_cuts_are_refused(resnet18, cut, message):
  with pytest.raises(UserError, match=message):
    resnet18[0].apply(resnet18[1], images(18), **cut)


def test_unknown_depths_are_refused():
  with pytest.raises(UserError, match="no ResNet of depth 20; depths are 18, 34, 50, 101, 152"):
    resnet(20)


# --- pooling, normalisation ------------------------------------------------------------------------------------------


def flax_max_pool(x):
  return nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 2), (7, 9), (8, 8), (49, 38)])
def test_max_pool_and_its_gradient_equal_flax(size):
  rng = np.random.default_rng(0)
  shape = (2, *size, 3)
  x = jnp.asarray(rng.permutation(np.prod(shape)).reshape(shape) - 1e3, jnp.float32)  # no ties; mostly negative
  np.testing.assert_array_equal(max_pool(x, x), flax_max_pool(x))
  weights = jnp.asarray(rng.standard_normal(max_pool(x, x).shape), jnp.float32)
  got, expected = (
      jax.grad(lambda x, pool=pool: (weights * pool(x)).sum())(x)
      for pool in (lambda x: max_pool(x, jax.lax.stop_gradient(x)), flax_max_pool))
  np.testing.assert_allclose(got, expected, atol=1e-6)  # up to four windows' shares are added in another order


@pytest.mark.parametrize("size", [(7, 9), (8, 8), (49, 38)])
def test_the_gradient_of_a_tie_goes_to_the_first_pixel(size):
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.integers(0, 3, (2, *size, 3)), jnp.float32)
  weights = rng.standard_normal(max_pool(x, x).shape).astype(np.float32)
  expected = np.zeros(x.shape, np.float32)
  for n, i, j, c in np.ndindex(weights.shape):
    rows, columns = (slice(max(2 * at - 1, 0), 2 * at + 2) for at in (i, j))
    window = np.asarray(x[n, rows, columns, c])
    row, column = np.unravel_index(window.argmax(), window.shape)  # argmax: the first of equals
    expected[n, rows.start + row, columns.start + column, c] += weights[n, i, j, c]
  np.testing.assert_allclose(jax.grad(lambda x: (weights * max_pool(x, x)).sum())(x), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(7, 9), (8, 8), (49, 38)])
def test_max_pool_equals_torch_live(size):
  torch = pytest.importorskip("torch")
  x = np.random.default_rng(0).standard_normal((2, *size, 3), np.float32) - 5
  expected = torch.nn.functional.max_pool2d(torch.from_numpy(x.transpose(0, 3, 1, 2)), 3, 2, 1)
  np.testing.assert_array_equal(max_pool(*[jnp.asarray(x)] * 2), expected.permute(0, 2, 3, 1))


@pytest.mark.parametrize("relu", [jax.nn.relu, guided_relu])
@pytest.mark.parametrize("size", [(7, 9), (49, 38)])
def test_accelerators_may_keep_what_comes_before_the_relu(size, relu, monkeypatch):
  rng = np.random.default_rng(0)
  before = jnp.asarray(rng.integers(-4, 3, (2, *size, 3)), jnp.float32)  # windows without a positive pixel, and ties
  weights = rng.standard_normal(max_pool(before, before).shape).astype(np.float32)
  gradient = lambda: jax.grad(lambda x: (weights * max_pool(relu(x), x)).sum())(before)
  expected = gradient()
  monkeypatch.setattr(jax.lax, "platform_dependent", lambda *given, default, **_: default(*given))
  np.testing.assert_allclose(gradient(), expected, atol=1e-6)
  assert np.count_nonzero(expected) > weights.size / 8


def test_max_pool_passes_nan_on():
  x = jnp.zeros((1, 6, 6, 1)).at[0, 2, 3, 0].set(jnp.nan)
  np.testing.assert_array_equal(np.isnan(max_pool(x, x))[0, :, :, 0], [[0, 0, 0], [0, 1, 1], [0, 0, 0]])


def test_max_pool_by_hand():
  x = jnp.arange(16.0).reshape(1, 4, 4, 1) - 20
  np.testing.assert_array_equal(max_pool(x, x)[0, :, :, 0], [[-15, -13], [-7, -5]])


def test_normalize_by_hand():
  pixels = np.array([[0, 0, 0], [255, 255, 255], [124, 116, 104]], np.uint8)
  expected = [[-2.117904, -2.035714, -1.804444], [2.248908, 2.428571, 2.64], [0.005564, -0.004902, 0.008192]]
  for dtype in (np.uint8, np.float32):
    normalized = normalize(jnp.asarray(pixels.astype(dtype)))
    assert normalized.dtype == jnp.float32
    np.testing.assert_allclose(normalized, expected, atol=2e-6)
