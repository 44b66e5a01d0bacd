import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.errors import UserError
from fakeface_jax.explain.capture import apply_with_taps, layer_shapes, resolve_layers
from fakeface_jax.models import init_variables
from fakeface_jax.models.resnet import resnet


@pytest.fixture(scope="module")
def network():
  model = resnet(18)
  images = jax.random.normal(jax.random.key(1), (2, 96, 96, 3))
  return model, init_variables(model, jax.random.key(0), 96), images


def test_a_tap_gives_what_cutting_the_network_there_gives(network):
  model, variables, images = network
  taps = {"layer4_0": jnp.zeros(layer_shapes(model, variables, images)["layer4_0"].shape)}
  _, pullback, activations = jax.vjp(
      lambda taps: apply_with_taps(model, variables, images, taps), taps, has_aux=True)
  (gradients,) = pullback(jnp.array([[0.0, 1.0]] * 2))
  features = model.apply(variables, images, stop="layer4_1")
  expected = jax.grad(lambda features: model.apply(variables, features, start="layer4_1")[:, 1].sum())(features)
  np.testing.assert_allclose(activations["layer4_0"], features, rtol=1e-6, atol=1e-6)
  assert np.abs(expected).max() > 1e-3
  np.testing.assert_allclose(gradients["layer4_0"], expected, rtol=1e-5, atol=1e-7)


def test_taps_leave_the_logits_alone_until_they_hold_something(network):
  model, variables, images = network
  logits = model.apply(variables, images)
  shape = layer_shapes(model, variables, images)["layer4_1/conv2"].shape
  same, _ = apply_with_taps(model, variables, images, {"layer4_1/conv2": jnp.zeros(shape)})
  np.testing.assert_allclose(same, logits, rtol=1e-6)
  other, _ = apply_with_taps(model, variables, images, {"layer4_1/conv2": jnp.ones(shape)})
  assert np.abs(other - logits).max() > 1e-2


def test_conv_layers_come_in_the_order_of_the_pass():
  assert resnet(50).convolutions[-10:] == (
      "layer4_0/conv1", "layer4_0/conv2", "layer4_0/conv3", "layer4_0/downsample_0", "layer4_1/conv1",
      "layer4_1/conv2", "layer4_1/conv3", "layer4_2/conv1", "layer4_2/conv2", "layer4_2/conv3")
  assert resnet(18).convolutions[:3] == ("conv1", "layer1_0/conv1", "layer1_0/conv2")
  assert [len(resnet(depth).convolutions) for depth in (18, 34, 50, 101, 152)] == [20, 36, 53, 104, 155]


def test_layers_may_be_named_as_torchvision_does():
  names = ["layer4.1.conv2", "layer4_0/downsample_0", "layer4.0.downsample.0", "layer3.1", "conv1"]
  # One layer under two names comes once.
  assert resolve_layers(resnet(18), names) == ("layer4_1/conv2", "layer4_0/downsample_0", "layer3_1", "conv1")
  with pytest.raises(UserError, match=r"no layer 'layer4_9/conv1'; layers: conv1, layer1_0/conv1"):
    resolve_layers(resnet(18), ["layer4_9/conv1"])
