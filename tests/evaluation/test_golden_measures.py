"""The measures of maps beside Quantus', captum's and pytorch-grad-cam's on the same arrays; see `make_golden`."""

from pathlib import Path

import numpy as np
import pytest

from fakeface_jax.evaluation.infidelity import infidelity, unexplained
from fakeface_jax.evaluation.placement import placed
from fakeface_jax.evaluation.sensitivity import max_sensitivity
from fakeface_jax.evaluation.sparseness import sparseness
from fakeface_jax.explain.noisy_linear import impute
from tests.evaluation import golden_inputs as inputs

STEP = 7  # of make_golden


@pytest.fixture(scope="module")
def golden():
  with np.load(Path(__file__).parent / "golden" / "measures.npz") as file:
    return dict(file)


def test_relevance_rank_accuracy_is_that_of_quantus(golden):
  np.testing.assert_allclose(placed(inputs.maps(), inputs.masks())["rank_accuracy"], golden["rank_accuracy"])


def test_sparseness_is_that_of_quantus(golden):
  """Which adds 1e-7 to every value."""
  np.testing.assert_allclose(sparseness(inputs.maps()), golden["sparseness"], rtol=1e-4)


def said_and_fallen():
  images, noise = inputs.images(), inputs.noise()
  said = (noise * inputs.explanation(images)).sum((2, 3, 4)).T
  fallen = np.stack([inputs.function(images) - inputs.function(images - of_draw) for of_draw in noise], axis=1)
  return said, fallen


def test_infidelity_is_that_of_captum(golden):
  said, fallen = said_and_fallen()
  np.testing.assert_allclose(infidelity(said, fallen, scaled=False), golden["infidelity"], rtol=1e-6)
  np.testing.assert_allclose(infidelity(said, fallen), golden["infidelity_scaled"], rtol=1e-6)
  np.testing.assert_allclose(unexplained(said, fallen), golden["infidelity_scaled"] / (fallen**2).mean(1), rtol=1e-6)


def test_max_sensitivity_is_that_of_captum(golden):
  images = inputs.images()
  maps, flat = inputs.explanation(images), lambda maps: maps.reshape(len(maps), 20, -1)
  disturbed = np.stack([flat(inputs.explanation(images + of_draw)) for of_draw in inputs.noise()])
  np.testing.assert_allclose(max_sensitivity(flat(maps), disturbed), golden["max_sensitivity"], rtol=1e-6)


def test_imputed_pixels_are_those_of_the_factorised_system(golden):
  """In units in which ROAD adds noise of 0.01."""
  images, keep = inputs.road()
  found = np.asarray(impute(images, keep, noise=0.0))
  np.testing.assert_array_equal(found[keep], images[keep])
  np.testing.assert_allclose(found.ravel()[::STEP], golden["road"], atol=0.004)
