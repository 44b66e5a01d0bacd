"""Class activation maps and feature maps, worked out by hand or in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.explain.eigen_cam import eigen_cam
from fakeface_jax.explain.feature_maps import feature_maps
from fakeface_jax.explain.grad_cam import grad_cam
from fakeface_jax.explain.grad_cam_plus_plus import grad_cam_plus_plus
from fakeface_jax.explain.guided_grad_cam import upsample
from fakeface_jax.explain.hires_cam import hires_cam
from fakeface_jax.explain.layer_cam import layer_cam
from fakeface_jax.explain.score_cam import score_cam
from tests.explain.tiny import FAKE, VARIABLES, Network, TwoFilters, X, cam, explain, linear

# Two channels on 1 x 3 places, and the gradient of the score there.
A = np.array([[[1, 2], [3, -1], [-2, 4]]], np.float32)
G = np.array([[[2, 1], [0, -3], [1, 0.5]]], np.float32)


def random_activations(*shape, seed=0):
  return np.random.default_rng(seed).standard_normal(shape, np.float32)


def test_grad_cam_by_hand():
  cams = grad_cam(TwoFilters(), VARIABLES, X, FAKE, layers=("conv",))
  # dy/da1 = 4 / 4 where a1 > 0: alpha1 = 3 / 4. dy/da2 = -2 / 4 where a2 > 0: alpha2 = -1 / 8.
  # relu(3/4 x + 1/8 x) = relu(7/8 x).
  np.testing.assert_allclose(cams["conv"], [[[0.875, 0], [2.625, 0.4375]]])


def test_grad_cam_weighs_channels_by_the_mean_gradient():
  # alpha = (1, -1/2): (1 - 1, 3 + 1/2, -2 - 2).
  np.testing.assert_allclose(cam(grad_cam, linear(G), A), [[[0, 3.5, 0]]], rtol=1e-6)


def test_hires_cam_by_hand():
  # g A summed: 2 + 2, 0 + 3, -2 + 2.
  np.testing.assert_allclose(cam(hires_cam, linear(G), A), [[[4, 3, 0]]], rtol=1e-6)
  np.testing.assert_allclose(cam(hires_cam, linear(-G), A), [[[0, 0, 0]]], atol=1e-6)


def test_layer_cam_by_hand():
  # relu(g) A summed: 2 + 2, 0 + 0, -2 + 2; with -g, 0 + 0, 0 - 3, 0 + 0.
  np.testing.assert_allclose(cam(layer_cam, linear(G), A), [[[4, 0, 0]]], rtol=1e-6)
  np.testing.assert_allclose(cam(layer_cam, linear(-G), A), [[[0, 0, 0]]], atol=1e-6)
  np.testing.assert_allclose(cam(layer_cam, linear(-G), -A), [[[0, 3, 0]]], rtol=1e-6)


def test_grad_cam_plus_plus_by_hand():
  # sum(A) = 2, 5; alpha relu(g) with alpha = 1 / (2 + g sum(A)):
  # channel 1: 2 / (2 + 4) + 0 + 1 / (2 + 2) = 7/12; channel 2: 1 / (2 + 5) + 0 + 0.5 / (2 + 2.5) = 16/63.
  first, second = 7 / 12, 16 / 63
  expected = [[[first + 2 * second, 3 * first - second, 0]]]
  assert -2 * first + 4 * second < 0
  np.testing.assert_allclose(cam(grad_cam_plus_plus, linear(G), A), expected, rtol=1e-5)


def test_grad_cam_plus_plus_keeps_small_gradients_and_survives_a_zero_denominator():
  # g^2 and g^3 are lost in float32: alpha is 1/2, the weights half the sums of the positive gradients.
  tiny = 1e-30
  np.testing.assert_allclose(
      cam(grad_cam_plus_plus, linear(tiny * G), A) / tiny, [[[1.5 + 1.5, 4.5 - 0.75, 0]]], rtol=1e-5)
  # sum(A) = -2, g = 1: 2 + g sum(A) = 0.
  np.testing.assert_array_equal(cam(grad_cam_plus_plus, linear(np.ones((1, 2, 1))), [[[-3.0], [1.0]]]), [[[0, 0]]])


def test_the_maps_of_two_images_are_theirs():
  images = jnp.concatenate([X, 2 * X])
  for method in (grad_cam, eigen_cam):
    maps = explain(method, TwoFilters(), images, VARIABLES, layers=("conv",))["conv"]
    alone = explain(method, TwoFilters(), 2 * X, VARIABLES, layers=("conv",))["conv"]
    np.testing.assert_allclose(maps[1], alone[0], rtol=1e-5, atol=1e-6)


# --- Eigen-CAM -------------------------------------------------------------------------------------------------------


def projection(activations):
  """On the first right singular vector, by NumPy, the sign with the larger sum."""
  places = activations.reshape(-1, activations.shape[-1]).astype(np.float64)
  _, _, directions = np.linalg.svd(places, full_matrices=False)
  projected = places @ directions[0]
  return np.maximum(projected if projected.sum() > 0 else -projected, 0).reshape(activations.shape[:2])


@pytest.mark.parametrize("shape", [(3, 3, 40), (6, 5, 4), (4, 4, 16), (1, 1, 8), (5, 5, 1)])
def test_eigen_cam_equals_the_singular_value_decomposition(shape):
  images = random_activations(6, *shape) + np.float32([-0.5, 0.5] * 3).reshape(6, 1, 1, 1)
  for activations, got in zip(images, cam(eigen_cam, linear(np.zeros(shape)), images), strict=True):
    expected = projection(activations)
    np.testing.assert_allclose(got, expected, atol=2e-4 * expected.max())


@pytest.mark.parametrize("shape", [(2, 2, 6), (4, 3, 2)])
def test_eigen_cam_tells_directions_of_nearly_equal_strength_apart(shape):
  height, width, channels = shape
  left, _ = np.linalg.qr(random_activations(height * width, 2, seed=1))
  right, _ = np.linalg.qr(random_activations(channels, 2, seed=2))
  activations = (left * [1, 0.99] @ right.T).reshape(shape).astype(np.float32)
  expected = projection(activations)
  np.testing.assert_allclose(cam(eigen_cam, linear(np.zeros(shape)), activations)[0], expected, atol=1e-3)


def test_eigen_cam_takes_the_sign_with_the_larger_sum():
  # Rank one: the projection is +-(1, -3, 1) times the channels' norm, 5; its sum is -5 or 5.
  activations = np.array([1, -3, 1], np.float32)[None, :, None] * np.array([3, 4], np.float32)
  for sign in (1, -1):
    np.testing.assert_allclose(cam(eigen_cam, linear(G), sign * activations), [[[0, 15, 0]]], atol=1e-4)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_eigen_cam_keeps_the_layers_units(scale):
  activations = np.abs(random_activations(3, 3, 8))
  got = cam(eigen_cam, linear(np.zeros((3, 3, 8))), activations * np.float32(scale))[0]
  np.testing.assert_allclose(got / scale, projection(activations), rtol=1e-4)


@pytest.mark.parametrize("shape", [(3, 3, 20), (4, 4, 3)])
def test_eigen_cam_of_nothing_is_nothing(shape):
  np.testing.assert_array_equal(cam(eigen_cam, linear(np.zeros(shape)), np.zeros(shape)), np.zeros((1, *shape[:2])))


def test_eigen_cam_of_equal_directions_is_finite():
  assert np.isfinite(cam(eigen_cam, linear(np.zeros((2, 2, 4))), np.eye(4).reshape(2, 2, 4))).all()


# --- Score-CAM -------------------------------------------------------------------------------------------------------


def bright_in_the_corner(x):
  """Not linear, and different for every mask."""
  return jnp.tanh(x[:, :1, :2].sum(axis=(1, 2, 3))) + 0.1 * (x**2).sum(axis=(1, 2, 3))


def score_cam_by_a_loop(image, stride, channels=0):
  """Wang et al.'s algorithm 1, one channel after the other."""
  activations = image[::stride, ::stride]
  tried = range(activations.shape[-1])
  if channels:
    tried = sorted(tried, key=lambda channel: -activations[..., channel].var())[:channels]
  scores, kept = [], []
  for channel in tried:
    activation = activations[..., channel]
    if activation.max() == activation.min():
      continue
    mask = np.asarray(upsample(activation[None], image.shape[:2]))[0]
    mask = (mask - activation.min()) / (activation.max() - activation.min())
    masked = image * mask[..., None]
    scores.append(float(bright_in_the_corner(jnp.asarray(masked[None, ::stride, ::stride]))[0]))
    kept.append(activation)
  weights = np.exp(np.array(scores) - max(scores))
  weights /= weights.sum()
  return np.maximum(sum(weight * activation for weight, activation in zip(weights, kept, strict=True)), 0)


@pytest.mark.parametrize("stride, channels, batch_size", [(1, 0, 1), (1, 2, 32), (2, 0, 3), (2, 2, 3), (2, 9, 4)])
def test_score_cam_equals_a_loop_over_channels(stride, channels, batch_size):
  images = random_activations(2, 4, 6, 5)
  maps = cam(score_cam, Network(bright_in_the_corner, stride), images, channels=channels, batch_size=batch_size)
  for image, got in zip(images, maps, strict=True):
    np.testing.assert_allclose(got, score_cam_by_a_loop(image, stride, channels), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [0, 3])
def test_score_cam_gives_a_flat_channel_no_weight(channels):
  image = random_activations(4, 4, 4)
  image[..., 1] = 0.5
  got = cam(score_cam, Network(bright_in_the_corner), image, channels=channels)[0]
  np.testing.assert_allclose(got, score_cam_by_a_loop(image, 1, channels), rtol=1e-5, atol=1e-6)


def test_score_cam_of_flat_channels_alone_is_nothing():
  np.testing.assert_array_equal(
      cam(score_cam, Network(bright_in_the_corner), np.ones((4, 4, 3))), np.zeros((1, 4, 4)))


# --- feature maps ----------------------------------------------------------------------------------------------------


def test_feature_maps_are_the_channels_with_the_largest_magnitude_strongest_first():
  images = np.zeros((2, 2, 2, 4), np.float32)
  images[0, 0, 1] = [1, -5, 3, 0]
  images[0, 1, 0] = [2, 1, 0, 0.5]
  images[1, 1, 1] = [-7, 0, 8, 9]
  found = cam(feature_maps, linear(np.zeros((2, 2, 4))), images, count=3)
  np.testing.assert_array_equal(found["channels"], [[1, 2, 0], [3, 2, 0]])
  np.testing.assert_array_equal(found["maps"], np.stack([images[0][..., [1, 2, 0]], images[1][..., [3, 2, 0]]]))


def test_feature_maps_of_a_layer_with_fewer_channels_are_all():
  found = cam(feature_maps, linear(np.zeros((1, 3, 2))), A)
  np.testing.assert_array_equal(found["channels"], [[1, 0]])
  np.testing.assert_array_equal(found["maps"][0], A[..., ::-1])


def test_feature_maps_do_not_depend_on_the_target():
  maps = [feature_maps(TwoFilters(), VARIABLES, X, jnp.array([target]), layers=("conv",)) for target in (0, 1)]
  jax.tree.map(np.testing.assert_array_equal, *maps)


def test_enlarging_lines_up_the_edges():
  # The four centres lie at -1/4, 1/4, 3/4, 5/4 of the step from the first to the second.
  np.testing.assert_allclose(upsample(jnp.array([[[0.0, 4.0]]]), (1, 4)), [[[0, 1, 3, 4]]], atol=1e-6)


def test_explanations_are_of_the_target_asked_for():
  maps = explain(hires_cam, linear(G), np.stack([A, A]), layers=("layer",))["layer"]
  mixed = hires_cam(linear(G), {}, jnp.stack([A, A]), jnp.array([0, 1]), layers=("layer",))["layer"]
  np.testing.assert_array_equal(mixed, [np.zeros((1, 3)), maps[1]])
