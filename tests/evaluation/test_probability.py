import numpy as np
import pytest

from fakeface_jax.evaluation.probability import cross_entropy, probability_of_fake


def test_probability_is_the_softmax_and_does_not_overflow():
  logits = np.array([[0, 0], [0, np.log(3)], [1000, 0], [0, 1000], [-5, -5 + np.log(9)]])
  np.testing.assert_allclose(probability_of_fake(logits), [0.5, 0.75, 0, 1, 0.9], atol=1e-12)


def test_cross_entropy_by_hand():
  logits, labels = np.array([[0, 0], [0, np.log(3)], [2000, 0]]), np.array([1, 0, 0])
  # -log(1/2), -log(1/4), -log(1)
  assert cross_entropy(logits, labels) == pytest.approx((np.log(2) + np.log(4)) / 3)
