"""What a picture is like to a network, for networks of any kind."""

import jax
import numpy as np

from fakeface_jax.explain.capture import activations_of
from fakeface_jax.explain.engine import Engine
from fakeface_jax.explain.pooled_features import pooled_layers
from fakeface_jax.models import init_variables
from fakeface_jax.models.network import normalize
from fakeface_jax.models.resnet import resnet
from tests.models.tiny_network import tiny_network


def test_the_middle_stage_is_pooled():
  assert pooled_layers(resnet(18)) == ("layer2_1",) and pooled_layers(resnet(50)) == ("layer2_3",)
  assert pooled_layers(tiny_network(0)) == ("middle",)


def test_features_are_means_of_cells_and_deviations_of_the_same_pass_as_the_logits():
  model = tiny_network(0)
  variables = init_variables(model, jax.random.key(0), 24)
  pixels = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), np.uint8)
  engine = Engine(model, variables, 2)
  said = engine.explain(pixels, np.zeros(3), {}, pooled=("middle",))
  np.testing.assert_allclose(said["logits"], engine.logits(pixels), rtol=1e-5, atol=1e-6)
  maps = np.asarray(activations_of(model, variables, normalize(pixels), ("middle",))["middle"])
  assert maps.shape == (3, 12, 12, 12)
  cells = maps.reshape(3, 3, 4, 3, 4, 12).mean((2, 4)).reshape(3, 9 * 12)  # 12 places are 3 cells of 4
  expected = [values / np.abs(values).mean(1, keepdims=True) for values in (cells, maps.std((1, 2)))]
  expected = np.concatenate(expected, 1)
  np.testing.assert_allclose(said["features"], np.sign(expected) * np.abs(expected) ** 0.5, rtol=1e-3, atol=1e-3)
