"""What holds for every image, drawn by hypothesis: completeness, equality, silence, independence, scaling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakeface_jax.explain.eigen_cam import eigen_cam
from fakeface_jax.explain.engine import Engine
from fakeface_jax.explain.expected_gradients import expected_gradients
from fakeface_jax.explain.grad_cam import grad_cam
from fakeface_jax.explain.grad_cam_plus_plus import grad_cam_plus_plus
from fakeface_jax.explain.hires_cam import hires_cam
from fakeface_jax.explain.integrated_gradients import integrated_gradients
from fakeface_jax.explain.layer_cam import layer_cam
from fakeface_jax.explain.methods import METHODS, resolve_methods
from fakeface_jax.explain.score_cam import score_cam
from fakeface_jax.models import init_variables
from fakeface_jax.models.network import normalize
from fakeface_jax.models.resnet import resnet
from tests.explain.tiny import QUICK, SIZE, check_close, pictures, small

# The same examples on every machine: on which side of a ReLU a rounding falls is no property.
few = settings(max_examples=6, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 10_000)
BUT_SHAP = {name: QUICK.get(name, {}) for name in METHODS if name != "shap"}
CAMS = {cam.__name__: cam for cam in (grad_cam, grad_cam_plus_plus, hires_cam, layer_cam, eigen_cam, score_cam)}
BY_GRADIENT = tuple(CAMS)[:4]
SIGNED = ("gradient", "smoothgrad", "integrated_gradients", "expected_gradients", "occlusion", "rise", "lime")


@pytest.fixture(scope="module")
def network():
  return small()


@pytest.fixture(scope="module")
def engine(network):
  return Engine(*network, batch_size=4)


def explain(engine, network, pixels, targets):
  return engine.explain(pixels, targets, resolve_methods(network[0], BUT_SHAP), pictures(3, seed=1))


def normalized(seed, count, size=SIZE):
  return normalize(pictures(count, size, seed))


# --- completeness ----------------------------------------------------------------------------------------------------

COUNT = 6


@pytest.fixture(scope="module")
def complete(network):
  """(method, images, target, references) -> {evaluations: (maps, errors)}, and the differences of the logits."""
  model, variables = network

  def call(method, images, target, references):
    given = model, variables, images, target
    if method is integrated_gradients:
      by_evaluations = {steps: method(*given, steps=steps, baseline="black") for steps in (4, 64)}
      references = jnp.broadcast_to(normalize(jnp.zeros(3)), images[:1].shape)
    else:
      by_evaluations = {samples: method(*given, background=references, samples=samples) for samples in (4, 64)}
    difference = model.apply(variables, images) - model.apply(variables, references).mean(axis=0)
    return by_evaluations, difference[jnp.arange(COUNT), target]

  return jax.jit(call, static_argnums=0)


@pytest.mark.parametrize("method, most, times_less", [(integrated_gradients, 0.03, 2), (expected_gradients, 0.5, 1)])
@few
@given(seed=seeds, target=st.lists(st.integers(0, 1), min_size=COUNT, max_size=COUNT))
def test_attributions_add_up_to_a_difference_of_logits(complete, method, most, times_less, seed, target):
  by_evaluations, difference = complete(
      method, normalized(seed, COUNT), jnp.array(target), normalized(seed + 1, 4))
  for maps, errors in by_evaluations.values():
    np.testing.assert_allclose(errors, maps.sum(axis=(1, 2, 3)) - difference, atol=1e-5)
  of_few, of_many = (np.abs(by_evaluations[number][1]).sum() / np.abs(difference).sum() for number in (4, 64))
  assert of_many < most
  assert of_many < of_few / times_less


# --- equality --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def before_pooling():
  """images -> HiResCAM and Grad-CAM of the last layer before global pooling, and of one further in front."""
  model = resnet(18)
  variables = init_variables(model, jax.random.key(0), 32)
  target, layers = jnp.array([0, 1]), ("layer4_1", "layer4_1/conv1")
  return jax.jit(lambda images: [cam(model, variables, images, target, layers=layers) for cam in (hires_cam, grad_cam)])


@few
@given(seed=seeds)
def test_hires_cam_is_grad_cam_before_global_pooling(before_pooling, seed):
  fine, mean = before_pooling(normalized(seed, 2, 96))
  assert fine["layer4_1"].shape == (2, 3, 3) and mean["layer4_1"].max() > 0
  check_close(fine["layer4_1"], mean["layer4_1"], 1e-5)
  difference = np.abs(fine["layer4_1/conv1"] - mean["layer4_1/conv1"]).max()
  assert difference > 0.01 * fine["layer4_1/conv1"].max()


# --- silence ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cams_of():
  """(variables, images) -> {name: maps of both layers}."""
  model, _ = small()
  layers = resolve_methods(model)["gradcam"]["layers"]
  return jax.jit(lambda variables, images: {
      name: cam(model, variables, images, jnp.ones(len(images), jnp.int32), layers=layers)
      for name, cam in CAMS.items()})


def check_zero(maps):
  jax.tree.map(lambda values: np.testing.assert_array_equal(values, np.zeros(values.shape)), maps)


@few
@given(seed=seeds)
def test_where_nothing_speaks_for_the_target_maps_are_zero(network, cams_of, seed):
  params = network[1]["params"]
  deaf = {"params": params | {"head": jax.tree.map(lambda leaf: leaf.at[..., 1].set(0), params["head"])}}
  maps = cams_of(deaf, normalized(seed, 2))
  assert all(np.isfinite(values).all() for values in jax.tree.leaves(maps))
  check_zero({name: maps[name] for name in BY_GRADIENT})


@few
@given(seed=seeds, layer=st.sampled_from(["conv1", "conv2"]))
def test_where_a_layer_puts_nothing_out_all_maps_are_zero(network, cams_of, seed, layer):
  params = network[1]["params"]
  dead = {"params": params | {layer: jax.tree.map(jnp.zeros_like, params[layer])}}
  maps = cams_of(dead, normalized(seed, 2))
  assert set(maps) == set(CAMS)
  assert all(np.isfinite(values).all() for values in jax.tree.leaves(maps))
  check_zero({name: of_layers[layer] for name, of_layers in maps.items()})


@few
@given(level=st.integers(0, 255))
def test_an_image_of_one_colour_gives_finite_maps(engine, network, level):
  pixels = np.full((2, SIZE, SIZE, 3), level, np.uint8)
  maps = explain(engine, network, pixels, [0, 1])
  assert all(np.isfinite(values).all() for values in jax.tree.leaves(maps))
  for name in ("occlusion", "lime"):  # its mean colour is its own
    assert np.abs(maps[name]).max() < 1e-5 * np.abs(maps["logits"]).max()


# --- independence ----------------------------------------------------------------------------------------------------


@few
@given(order=st.permutations(range(5)), place=st.integers(0, 4))
def test_the_maps_of_an_image_do_not_depend_on_its_company(engine, network, order, place):
  pixels, targets = pictures(5), np.array([0, 1, 1, 0, -1])
  together = explain(engine, network, pixels[order], targets[order])
  image = order[place]
  alone = explain(engine, network, pixels[image : image + 1], targets[image : image + 1])
  check_close(jax.tree.map(lambda values: values[place], together), jax.tree.map(lambda values: values[0], alone))


# --- scaling ---------------------------------------------------------------------------------------------------------


@few
@given(factor=st.floats(0.25, 4), constant=st.floats(-3, 3), sign=st.sampled_from([1, -1]))
def test_maps_scale_with_the_logits_and_ignore_a_constant(engine, network, factor, constant, sign):
  _, variables = network
  before = explain(engine, network, pictures(4), [0, 1, 0, 1])
  params, by = variables["params"], factor * sign
  head = {"kernel": by * params["head"]["kernel"], "bias": by * params["head"]["bias"] + constant}
  engine.use({"params": params | {"head": head}})
  try:
    after = explain(engine, network, pictures(4), [0, 1, 0, 1])
  finally:
    engine.use(variables)
  for name in SIGNED:
    check_close(after[name], by * before[name], 1e-3)
  for name in ("eigencam", "feature_maps"):
    check_close(after[name], before[name])
  if sign > 0:
    check_close(after["guided_backprop"], factor * before["guided_backprop"])
    check_close(after["guided_gradcam"], factor**2 * before["guided_gradcam"])
    for name in ("gradcam", "hirescam", "layercam"):
      check_close(after[name], jax.tree.map(lambda values: factor * values, before[name]))
