"""Our explanations against captum's: golden values in double precision, and live on other images where captum is.

`pytest -n 0 -s` prints the errors: the largest difference over the largest value of the whole map, or over the largest
logit where the value is itself a small difference of logits. Ours are in single precision, but for ResNet-50 and
photographs on paths: among the many ReLU inputs at many points there is always one as near to zero as single precision
rounds.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.explain.capture import last_conv_layers
from fakeface_jax.explain.grad_cam import grad_cam
from fakeface_jax.explain.gradient import gradient
from fakeface_jax.explain.guided_backprop import guided_backprop
from fakeface_jax.explain.guided_grad_cam import guided_grad_cam
from fakeface_jax.explain.integrated_gradients import integrated_gradients
from fakeface_jax.explain.occlusion import occlusion
from fakeface_jax.explain.path_gradients import path_gradients
from fakeface_jax.models.pretrained import from_state_dict
from fakeface_jax.models.resnet import resnet
from tests.explain import golden_inputs as inputs
from tests.models.seeded import sample, template

TOLERANCE = 1e-4
PRECISION_OF_PATHS = {"resnet18": jnp.float32, "resnet50": jnp.float64, "photographs": jnp.float64}
LIVE_SEEDS, LIVE_SHAP_SEED = (1, 2), 0


class Ours:
  """All methods on one network, each compiled once."""

  def __init__(self, name):
    self.given = inputs.golden_inputs(name)
    self.model = resnet(self.given.depth)
    self.variables = from_state_dict(self.given.weights, template(self.model))
    self.layers = last_conv_layers(self.model)
    self._precision = PRECISION_OF_PATHS[name]
    self._at_images, self._on_paths = jax.jit(self._maps_at_images), jax.jit(self._maps_on_paths)

  def maps(self, images, indices, alphas):
    """{name as in the golden files: whole array}."""
    maps = jax.device_get(self._at_images(self.variables, images))
    jax.config.update("jax_enable_x64", self._precision == jnp.float64)
    try:
      arrays = self.variables, images, self.given.baselines, alphas
      arrays = jax.tree.map(lambda array: np.asarray(array, self._precision), arrays)
      return maps | jax.device_get(self._on_paths(*arrays, indices))
    finally:
      jax.config.update("jax_enable_x64", False)

  def _maps_at_images(self, variables, images):
    given = self.model, variables, images, jnp.full(len(images), inputs.TARGET)
    maps = {f"gradcam/{layer}": cam for layer, cam in grad_cam(*given, layers=self.layers).items()}
    return maps | {
        "logits": self.model.apply(variables, images),
        "gradient": gradient(*given),
        "guided_backprop": guided_backprop(*given),
        "guided_gradcam": guided_grad_cam(*given, layer=self.layers[-1]),
        "occlusion": occlusion(*given, window=inputs.WINDOW, stride=inputs.STRIDE, fill="grey", batch_size=5)}

  def _maps_on_paths(self, variables, images, baselines, alphas, indices):
    given = self.model.clone(dtype=self._precision), variables, images, jnp.full(len(images), inputs.TARGET)
    maps, delta = integrated_gradients(*given, steps=inputs.STEPS, baseline="grey", batch_size=5)
    weights = jnp.full(indices.shape, 1 / inputs.SHAP_SAMPLES)
    shap = path_gradients(*given, baselines, indices, alphas, weights, batch_size=5)
    return {"integrated_gradients": maps, "integrated_gradients_delta": delta, "gradient_shap": shap}


@pytest.fixture(scope="module")
def ours():
  """name of the inputs -> `Ours`, made once."""
  made = {}
  return lambda name: made.get(name) or made.setdefault(name, Ours(name))


def errors_of(got, expected, largest):
  """{method: relative error}; that of Grad-CAM is the largest of its layers', each relative to its own map."""
  largest = {**largest, "integrated_gradients_delta": largest["logits"]}
  errors = {}
  for name, values in expected.items():
    method = name.partition("/")[0]
    error = float(np.abs(got[name] - values).max() / largest[name])
    errors[method] = max(errors.get(method, 0), error)
  return errors


def check(network, errors):
  for method, error in errors.items():
    print(f"{network:<34}{method:<28}{error:.1e}")
  assert max(errors.values()) <= TOLERANCE, errors


@pytest.mark.parametrize("name", ["resnet18", pytest.param("resnet50", marks=pytest.mark.slow), "photographs"])
def test_explanations_equal_captums(ours, name):
  with np.load(Path(__file__).parent / "golden" / f"{name}.npz") as file:
    golden = dict(file)
  network = ours(name)
  indices, alphas = golden.pop("shap_indices"), golden.pop("shap_alphas")
  sampled = {kind.removesuffix("_max") for kind in golden if kind.endswith("_max")}
  expected = {kind: values for kind, values in golden.items() if not kind.endswith("_max")}
  largest = {kind: golden.get(f"{kind}_max", np.abs(values).max()) for kind, values in expected.items()}
  images = network.given.images
  got = network.maps(images, indices, alphas)
  assert set(got) == set(expected) and sum(kind.startswith("gradcam/") for kind in got) == 10
  assert got["gradient"].shape == images.shape
  assert got["occlusion"].shape == images.shape[:-1]
  got = {kind: sample(values, inputs.SAMPLED) if kind in sampled else values for kind, values in got.items()}
  check(f"{name}, golden", errors_of(got, expected, largest))


@pytest.mark.slow
def test_explanations_equal_captums_live(ours):
  pytest.importorskip("captum")
  import torch
  from benchmarks.captum_reference import CaptumReference
  from benchmarks.torch_resnet import from_state_dict as torch_network

  network = ours("resnet18")
  captum = CaptumReference(torch_network(18, network.given.weights, torch.float64))
  images = np.stack([inputs.noise(seed) for seed in LIVE_SEEDS])
  expected = {f"gradcam/{layer}": cam for layer, cam in captum.grad_cam(images, inputs.TARGET, network.layers).items()}
  expected["logits"] = captum.logits(images)
  expected["guided_backprop"] = captum.guided_backprop(images, inputs.TARGET)
  expected["guided_gradcam"] = captum.guided_grad_cam(images, inputs.TARGET, network.layers[-1])
  expected["gradient"] = captum.gradient(images, inputs.TARGET)
  expected["occlusion"] = captum.occlusion(images, inputs.TARGET, inputs.WINDOW, inputs.STRIDE)
  expected["integrated_gradients"], expected["integrated_gradients_delta"] = captum.integrated_gradients(
      images, inputs.TARGET, inputs.STEPS)
  expected["gradient_shap"], *pairs = captum.gradient_shap(
      images, inputs.TARGET, network.given.baselines, inputs.SHAP_SAMPLES, LIVE_SHAP_SEED)
  got = network.maps(images, *pairs)
  assert set(got) == set(expected)
  largest = {name: np.abs(values).max() for name, values in expected.items()}
  check("resnet18, live", errors_of(got, expected, largest))
