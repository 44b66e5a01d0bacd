"""Gradients to the pixels, and attributions made of them, where the answer is known."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.errors import UserError
from fakeface_jax.explain.expected_gradients import expected_gradients
from fakeface_jax.explain.fill import fill_images
from fakeface_jax.explain.grad_cam import grad_cam
from fakeface_jax.explain.gradient import gradient
from fakeface_jax.explain.guided_backprop import guided_backprop, guided_relu
from fakeface_jax.explain.guided_grad_cam import guided_grad_cam
from fakeface_jax.explain.integrated_gradients import integrated_gradients
from fakeface_jax.explain.path_gradients import path_gradients
from fakeface_jax.explain.smooth_grad import smooth_grad
from tests.explain.tiny import FAKE, VARIABLES, Network, TwoFilters, X, explain, linear

WEIGHTS = np.random.default_rng(0).integers(-9, 10, (4, 5, 3)).astype(np.float32)


def squares(x):
  return 0.5 * (x**2).sum(axis=(1, 2, 3))


def noise(*shape, seed=1):
  return np.random.default_rng(seed).standard_normal(shape, np.float32)


# --- gradient, guided backprop, Guided Grad-CAM ----------------------------------------------------------------------


def test_gradient_by_hand():
  # 4 / 4 where x > 0, and 2 / 4 by the second filter where x < 0.
  np.testing.assert_allclose(gradient(TwoFilters(), VARIABLES, X, FAKE)[..., 0], [[[1, 0.5], [1, 1]]])
  np.testing.assert_array_equal(gradient(TwoFilters(), VARIABLES, X, jnp.array([0])), np.zeros((1, 2, 2, 1)))


def test_guided_backprop_by_hand():
  # The second filter's gradient, -1/2, is stopped; the first one's, 1, passes where x > 0.
  guided = guided_backprop(TwoFilters(), VARIABLES, X, FAKE)
  np.testing.assert_allclose(guided[..., 0], [[[1, 0], [1, 1]]])


def test_guided_relu_passes_positive_gradients_of_positive_inputs():
  x, incoming = jnp.array([-1.0, 2.0, 3.0, 0.0]), jnp.array([5.0, 6.0, -7.0, 8.0])
  value, pullback = jax.vjp(guided_relu, x)
  np.testing.assert_array_equal(value, [0, 2, 3, 0])
  np.testing.assert_array_equal(pullback(incoming)[0], [0, 6, 0, 0])


class Pairs(nn.Module):
  """The sum of relu(mean of each pair of neighbours)."""

  act: Callable = nn.relu

  @nn.compact
  def __call__(self, x):
    pairs = nn.Conv(1, (1, 2), (1, 2), use_bias=False, name="conv")(x)
    score = self.act(pairs).sum(axis=(1, 2, 3))
    return jnp.stack([-score, score], axis=-1)


def test_guided_grad_cam_is_guided_backprop_times_the_enlarged_heatmap():
  variables = {"params": {"conv": {"kernel": jnp.full((1, 2, 1, 1), 0.5)}}}
  x = np.array([4, -2, 3, 5], np.float32).reshape(1, 4, 1)
  # Both pairs, 1 and 4, are positive: alpha = 1 and guided backprop is 1/2 everywhere. The heatmap (1, 4) is enlarged
  # to (1, 1.75, 3.25, 4): the four centres lie at -1/4, 1/4, 3/4, 5/4 of the step from the first to the second.
  guided = explain(guided_grad_cam, Pairs(), x, variables, layer="conv")
  np.testing.assert_allclose(guided[0, 0, :, 0], [0.5, 0.875, 1.625, 2], rtol=1e-6)


def test_guided_grad_cam_is_empty_where_only_negative_paths_lead():
  against = {"params": VARIABLES["params"] | {"head": {"kernel": jnp.array([[0.0, -8.0], [0.0, -2.0]])}}}
  # alpha1 = -8/4 * 3/4, alpha2 = -2/4 * 1/4: the heatmap is relu(-11/8 x), where x = -2 the plain gradient is 1/2.
  cam = explain(grad_cam, TwoFilters(), X, against, layers=("conv",))["conv"]
  np.testing.assert_allclose(cam, [[[0, 2.75], [0, 0]]])
  assert explain(gradient, TwoFilters(), X, against)[0, 0, 1, 0] == 0.5
  guided = explain(guided_grad_cam, TwoFilters(), X, against, layer="conv")
  np.testing.assert_array_equal(guided, np.zeros(X.shape))


# --- SmoothGrad ------------------------------------------------------------------------------------------------------


def test_smooth_grad_of_a_linear_network_is_its_gradient():
  # Exactly: 8 equal whole numbers are added and divided by 8.
  smooth = explain(smooth_grad, linear(WEIGHTS), noise(2, 4, 5, 3), samples=8, batch_size=3)
  np.testing.assert_array_equal(smooth, np.stack([WEIGHTS] * 2))


def test_smooth_grad_averages_noise_of_the_asked_strength():
  # The gradient of half the square is the noisy image itself: what is left is the mean of the noise.
  image = noise(16, 16, 3)
  images = np.stack([image, 3 * image + 1, 0 * image + 2])
  left = explain(smooth_grad, Network(squares), images, samples=50, noise=0.4, batch_size=16) - images
  expected = 0.4 * np.ptp(image) / np.sqrt(50)
  assert abs(left[0].std() / expected - 1) < 0.1 and abs(left[0].mean()) < expected / 5
  # The same noise for every image, as strong as its own range of values.
  np.testing.assert_allclose(left[1], 3 * left[0], atol=1e-5)
  np.testing.assert_array_equal(left[2], 0 * image)


def test_smooth_grad_draws_other_noise_for_every_copy_and_the_same_in_every_call():
  images = noise(2, 6, 6, 3)
  one, two, again = (
      explain(smooth_grad, Network(squares), images, samples=samples, batch_size=batch_size)
      for samples, batch_size in ((1, 1), (2, 1), (2, 3)))
  np.testing.assert_allclose(two, again, rtol=1e-5, atol=1e-6)
  first, second = one - images, 2 * two - images - one
  assert abs(np.corrcoef(first[0].ravel(), second[0].ravel())[0, 1]) < 0.3


# --- integrated gradients --------------------------------------------------------------------------------------------


def cubic(x):
  red, green, blue = (x[:, 0, 0, channel] for channel in range(3))
  return red**2 * green + 3 * blue


def test_integrated_gradients_by_hand():
  # From 0 to (r, g, b), with the integral over a from 0 to 1: r * int 2 (a r)(a g) = 2/3 r^2 g, g * int (a r)^2 =
  # 1/3 r^2 g, 3 b. Two Gauss-Legendre points integrate a^2 exactly.
  images = np.array([[2, -1.5, 0.5], [1, 3, -2]], np.float32).reshape(2, 1, 1, 3)
  maps, error = explain(integrated_gradients, Network(cubic), images, steps=2, baseline="grey", batch_size=3)
  np.testing.assert_allclose(maps[:, 0, 0], [[-4, -2, 1.5], [2, 1, -6]], rtol=1e-5)
  np.testing.assert_allclose(error, [0, 0], atol=1e-5)


def test_integrated_gradients_tell_the_error_of_too_few_steps():
  # One point, a = 1/2: 2 (r/2)(g/2) r = r^2 g / 2 and r^2 g / 4, 3/4 of r^2 g instead of all.
  image = np.array([2, -1.5, 0.5], np.float32).reshape(1, 1, 3)
  maps, error = explain(integrated_gradients, Network(cubic), image, steps=1, baseline="grey")
  np.testing.assert_allclose(maps[0, 0, 0], [-3, -1.5, 1.5], rtol=1e-5)
  np.testing.assert_allclose(error, [-4.5 + 6], rtol=1e-5)


@pytest.mark.parametrize("baseline", ["black", "mean", "blur", 100])
def test_integrated_gradients_start_at_the_baseline(baseline):
  # Of half the square: (x - x') (x + x') / 2.
  images = noise(2, 6, 6, 3)
  maps, error = explain(integrated_gradients, Network(squares), images, steps=3, baseline=baseline)
  np.testing.assert_allclose(maps, (images**2 - fill_images(jnp.asarray(images), baseline) ** 2) / 2, atol=1e-4)
  np.testing.assert_allclose(error, [0, 0], atol=1e-3)


# --- expected gradients ----------------------------------------------------------------------------------------------


def test_expected_gradients_of_a_linear_network_are_the_distance_from_the_mean_reference():
  images, background = noise(2, 4, 5, 3), noise(3, 4, 5, 3, seed=2)
  maps, error = explain(
      expected_gradients, linear(WEIGHTS), images, background=jnp.asarray(background), samples=6, batch_size=5)
  np.testing.assert_allclose(maps, WEIGHTS * (images - background.mean(axis=0)), rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(error, [0, 0], atol=1e-4)


def test_expected_gradients_take_the_references_in_turn():
  images, background = noise(1, 4, 5, 3), noise(3, 4, 5, 3, seed=2)
  maps, error = explain(
      expected_gradients, linear(WEIGHTS), images, background=jnp.asarray(background), samples=5)
  used = (2 * background[0] + 2 * background[1] + background[2]) / 5
  np.testing.assert_allclose(maps[0], WEIGHTS * (images[0] - used), rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(error, [0], atol=1e-4)


def test_expected_gradients_are_taken_evenly_on_the_way():
  # Of half the square from one reference: (x - x') times the mean of x' + f (x - x'), f = 1/2 in the mean.
  images, background = noise(2, 4, 5, 3), noise(1, 4, 5, 3, seed=2)
  maps, error = explain(
      expected_gradients, Network(squares), images, background=jnp.asarray(background), samples=7)
  np.testing.assert_allclose(maps, (images**2 - background**2) / 2, atol=1e-4)
  np.testing.assert_allclose(error, [0, 0], atol=1e-4)


def test_expected_gradients_tell_their_error():
  # One sample goes halfway from the first reference, from which r^2 g of `cubic` is 3/4 as large (see above).
  images, background = np.array([2, -1.5, 0.5], np.float32).reshape(1, 1, 1, 3), jnp.zeros((2, 1, 1, 3))
  maps, error = explain(expected_gradients, Network(cubic), images, background=background, samples=1)
  np.testing.assert_allclose(maps[0, 0, 0], [-3, -1.5, 1.5], rtol=1e-5)
  np.testing.assert_allclose(error, [1.5], rtol=1e-5)


@pytest.mark.parametrize("background", [None, np.zeros((0, 4, 5, 3))])
def test_expected_gradients_without_references_say_what_to_give(background):
  with pytest.raises(UserError, match=r"^expected_gradients compares with other photographs; give it some"):
    explain(expected_gradients, linear(WEIGHTS), noise(1, 4, 5, 3), background=background)


def test_path_gradients_by_hand():
  # Of half the square: sum of w (x - x') (x' + f (x - x')), image by image.
  images, references = jnp.array([[2.0], [6.0]]).reshape(2, 1, 1, 1), jnp.array([0.0, 4.0]).reshape(2, 1, 1, 1)
  maps = explain(
      path_gradients, Network(squares), images, references=references, reference_of=jnp.array([[0, 1], [1, 1]]),
      fractions=jnp.array([[0.5, 1], [0, 0.5]]), weights=jnp.array([[1.0, 2], [3, 1]]), batch_size=3)
  # 1 * 2 * 1 + 2 * -2 * 2; 3 * 2 * 4 + 1 * 2 * 5.
  np.testing.assert_allclose(maps.ravel(), [-6, 34], rtol=1e-6)
