"""Golden values worked out by hand on a network of two 1 x 1 filters, and properties on a ResNet."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.errors import UserError
from fakeface_jax.explain.engine import explain_batch, last_conv_layers, target_indices
from fakeface_jax.explain.grad_cam import grad_cam
from fakeface_jax.explain.guided_backprop import guided_backprop, guided_relu
from fakeface_jax.explain.guided_grad_cam import guided_grad_cam, upsample
from fakeface_jax.models import abstract_variables, init_variables
from fakeface_jax.models.resnet import normalize, resnet


class TwoFilters(nn.Module):
  """a1 = x, a2 = -x; the logits are (0, 4 mean(relu(a1)) - 2 mean(relu(a2)))."""

  act: Callable = nn.relu

  @nn.compact
  def __call__(self, x):
    x = self.act(nn.Conv(2, (1, 1), use_bias=False, name="conv")(x))
    return nn.Dense(2, use_bias=False, name="head")(x.mean(axis=(1, 2)))


VARIABLES = {"params": {
    "conv": {"kernel": jnp.array([1.0, -1.0]).reshape(1, 1, 1, 2)},
    "head": {"kernel": jnp.array([[0.0, 4.0], [0.0, -2.0]])},
}}
X = jnp.array([[1.0, -2.0], [3.0, 0.5]]).reshape(1, 2, 2, 1)


def test_grad_cam_by_hand():
  cams, logits = grad_cam(TwoFilters(), VARIABLES, X, jnp.array([1]), layers=("conv",))
  # mean(relu(a1)) = (1 + 3 + 0.5) / 4, mean(relu(a2)) = 2 / 4.
  np.testing.assert_allclose(logits, [[0, 4 * 1.125 - 2 * 0.5]])
  # dy/da1 = 4 / 4 where a1 > 0: alpha1 = 3 / 4. dy/da2 = -2 / 4 where a2 > 0: alpha2 = -1 / 8.
  # relu(3/4 x + 1/8 x) = relu(7/8 x).
  np.testing.assert_allclose(cams["conv"], [[[0.875, 0], [2.625, 0.4375]]])


def test_grad_cam_is_zero_where_nothing_speaks_for_the_target():
  cams, _ = grad_cam(TwoFilters(), VARIABLES, X, jnp.array([0]), layers=("conv",))
  np.testing.assert_array_equal(cams["conv"], np.zeros((1, 2, 2)))


def test_guided_backprop_by_hand():
  gradient = guided_backprop(TwoFilters(), VARIABLES, X, jnp.array([1]))
  # The second filter's gradient, -1/2, is stopped; the first one's, 1, passes where x > 0.
  np.testing.assert_allclose(gradient[..., 0], [[[1, 0], [1, 1]]])
  plain = jax.grad(lambda x: TwoFilters().apply(VARIABLES, x)[0, 1])(X)
  np.testing.assert_allclose(plain[..., 0], [[[1, 0.5], [1, 1]]])


def test_guided_relu_passes_positive_gradients_of_positive_inputs():
  x, gradient = jnp.array([-1.0, 2.0, 3.0, 0.0]), jnp.array([5.0, 6.0, -7.0, 8.0])
  value, pullback = jax.vjp(guided_relu, x)
  np.testing.assert_array_equal(value, [0, 2, 3, 0])
  np.testing.assert_array_equal(pullback(gradient)[0], [0, 6, 0, 0])


def test_guided_grad_cam_is_the_product_with_the_enlarged_heatmap():
  cam = jnp.array([[[0.0, 4.0]]])
  # Bilinear with aligned edges: the four centres lie at -1/4, 1/4, 3/4, 5/4 of the step from the first to the second.
  np.testing.assert_allclose(upsample(cam, (1, 4)), [[[0, 1, 3, 4]]], atol=1e-6)
  guided = jnp.full((1, 1, 4, 3), -2.0)
  np.testing.assert_allclose(guided_grad_cam(guided, cam)[0, 0, :, 1], [0, -2, -6, -8], atol=1e-6)


@pytest.fixture(scope="module")
def network():
  model = resnet(18)
  pixels = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)
  return model, init_variables(model, jax.random.key(3), 96), pixels


def test_a_batch_of_three_equals_three_batches_of_one(network):
  model, variables, pixels = network
  layers = last_conv_layers(model)
  together = explain_batch(model, variables, pixels, target_indices("fake", 3), layers=layers)
  for i in range(3):
    alone = explain_batch(model, variables, pixels[i : i + 1], target_indices("fake", 1), layers=layers)
    for one, of_three in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
      np.testing.assert_allclose(one[0], of_three[i], rtol=2e-4, atol=2e-5 * np.abs(of_three[i]).max())


def test_the_compiled_call_equals_its_parts(network):
  model, variables, pixels = network
  layers = ("layer3_1/conv2", "layer4_1/conv2")
  maps = explain_batch(model, variables, pixels, target_indices("fake", 3), layers=layers)
  images, target = normalize(pixels), jnp.ones(3, jnp.int32)
  cams, logits = grad_cam(model, variables, images, target, layers=layers[-1:])
  guided = guided_backprop(model, variables, images, target)
  close = lambda got, wanted: np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
  close(maps["logits"], model.apply(variables, images))
  close(maps["logits"], logits)
  close(maps["gradcam"]["layer4_1/conv2"], cams["layer4_1/conv2"])
  close(maps["guided_backprop"], guided)
  close(maps["guided_gradcam"], guided_grad_cam(guided, cams["layer4_1/conv2"]))
  assert list(maps["gradcam"]) == list(layers)


def test_predicted_explains_the_larger_logit(network):
  model, variables, pixels = network
  layers = last_conv_layers(model, 1)
  predicted = explain_batch(model, variables, pixels, target_indices("predicted", 3), layers=layers)
  classes = np.asarray(predicted["logits"]).argmax(-1)
  for i, label in enumerate(classes):
    of_class = explain_batch(model, variables, pixels, np.full(3, label, np.int32), layers=layers)
    np.testing.assert_array_equal(predicted["guided_backprop"][i], of_class["guided_backprop"][i])


def test_unknown_target():
  with pytest.raises(UserError, match="--target='fakes' is not known; use real, fake, predicted"):
    target_indices("fakes", 1)


def test_everything_costs_little_more_than_two_forward_passes():
  model = resnet(50)
  variables = abstract_variables(model, 224)
  pixels, target = jax.ShapeDtypeStruct((1, 224, 224, 3), np.uint8), jax.ShapeDtypeStruct((1,), np.int32)
  layers = last_conv_layers(model)
  flops = lambda function, *arguments: jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]
  forward = flops(lambda variables, pixels: model.apply(variables, normalize(pixels)), variables, pixels)
  cams = flops(
      lambda variables, pixels, target: grad_cam(model, variables, normalize(pixels), target, layers=layers),
      variables, pixels, target)
  everything = explain_batch.lower(model, variables, pixels, target, layers=layers).compile().cost_analysis()["flops"]
  print(f"ResNet-50, 224 px, in forward passes: ten Grad-CAMs {cams / forward:.3f}, all {everything / forward:.3f}")
  assert cams / forward < 1.2
  assert everything / forward < 2.2
