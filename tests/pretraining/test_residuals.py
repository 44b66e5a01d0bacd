import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.pretraining import residuals
from fakeface_jax.pretraining.backbone import high_pass

pytestmark = pytest.mark.slow


def test_a_flat_picture_has_a_colour_and_no_residual():
  found = np.array(residuals.statistics(jnp.full((1, 64, 64, 3), 1.0) * jnp.array([200.0, 100.0, 40.0])))
  assert found.shape == (1, 2, 2, 354)
  np.testing.assert_allclose(found[0, 1, 0, :3], [0.299 * 200 + 0.587 * 100 + 0.114 * 40, 100, -60], rtol=1e-5)
  for scale in range(3):
    of_scale = found[0, 0, 0, 3 + 117 * scale :][:117].reshape(13, 9)
    np.testing.assert_allclose(of_scale[:2], np.log(0.02), rtol=1e-4)
    np.testing.assert_array_equal(of_scale[2:6], 1)
    np.testing.assert_allclose(of_scale[6:], 0, atol=1e-6)


def test_statistics_of_noise_are_those_of_its_second_differences():
  random = np.random.default_rng(0)
  image = random.normal(128, 10, (96, 96, 3)).round().astype(np.float32)
  found = np.array(residuals.statistics(image[None]))[0, 1, 1, 3:].reshape(3, 13, 9)
  for scale, factor in enumerate((1, 2, 4)):
    small = image.reshape(96 // factor, factor, 96 // factor, factor, 3).mean((1, 3)).astype(np.float64)
    planes = [small @ [0.299, 0.587, 0.114], small[..., 0] - small[..., 1], small[..., 2] - small[..., 1]]
    across = [(p[1:-1, :-2] - 2 * p[1:-1, 1:-1] + p[1:-1, 2:]) / 2 for p in planes]
    first, last = 32 // factor - 1, 64 // factor - 1  # of the middle cell, without the border left out above
    cell = lambda r: r[first:last, first:last]  # noqa: B023
    beside = lambda r, lag: r[first:last, first + lag : last + lag]  # noqa: B023
    for channel, r in enumerate(across):
      square = np.mean(cell(r) ** 2) + 0.02
      assert found[scale, 0, channel] == pytest.approx(np.log(np.mean(np.abs(cell(r))) + 0.02), abs=1e-4)
      assert found[scale, 1, channel] == pytest.approx(np.log(square), abs=1e-4)
      for i, step in enumerate((0.5, 1, 2, 4)):
        assert found[scale, 2 + i, channel] == pytest.approx(np.mean(np.abs(cell(r)) < step), abs=2e-3)
      for lag in (1, 2, 3):
        expected = np.mean(cell(r) * beside(r, lag)) / square
        assert found[scale, 8 + lag, channel] == pytest.approx(expected, abs=1e-4), (scale, lag)
    both = [np.mean(cell(r) ** 2) + 0.02 for r in across[:2]]
    expected = np.mean(cell(across[0]) * cell(across[1])) / np.sqrt(both[0] * both[1])
    assert found[scale, 12, 0] == pytest.approx(expected, abs=1e-4)


def test_whitened_statistics_are_uncorrelated_and_the_strong_ones_lead():
  random = np.random.default_rng(0)
  found = random.standard_normal((4000, 40)) @ random.standard_normal((40, 354)) + 7
  found += 0.1 * random.standard_normal(found.shape)
  mean, matrix = residuals.whitening(found)
  covariance = np.cov((found - mean) @ matrix, rowvar=False)
  variances = np.diag(covariance)
  assert len(variances) == residuals.COMPONENTS
  np.testing.assert_allclose(covariance - np.diag(variances), 0, atol=1e-2)
  assert variances.mean() == pytest.approx(1, rel=1e-2)
  assert (np.diff(variances) < 1e-3).all() and variances[39] > 3 * variances[40]
  correlation = np.linalg.eigvalsh(np.corrcoef(found, rowvar=False))[::-1]
  assert variances[0] / variances[20] == pytest.approx(np.sqrt(correlation[0] / correlation[20]), rel=1e-2)


def test_a_high_pass_filter_does_not_answer_to_smooth_pictures():
  kernels = np.random.default_rng(0).standard_normal((7, 7, 3, 4)).astype(np.float32)
  passed = np.array(high_pass(kernels))
  y, x = np.mgrid[:7, :7].astype(np.float32)
  for smooth in (np.ones_like(x), 3 * x - y, x * x + 2 * x * y - y * y):
    np.testing.assert_allclose(np.einsum("yx,yxcd->cd", smooth, passed), 0, atol=2e-3)
  np.testing.assert_allclose(high_pass(passed), passed, atol=1e-5)  # what is left passes
  assert np.abs(passed - kernels).max() > 0.1
