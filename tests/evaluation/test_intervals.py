"""Numbers worked out by hand, agreement with other ways to the same interval, and whether intervals keep their word."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from fakeface_jax.evaluation.intervals import mean_interval, mean_intervals, wilson


def test_wilson_by_hand():
  # z^2 = 3.8415; of 0 in 10 the upper end is z^2 / (10 + z^2), of 5 in 10 the reach is z / 2 / sqrt(10 + z^2)
  assert wilson(0, 10) == pytest.approx([0, 0, 3.8415 / 13.8415], abs=1e-5)
  reach = 1.95996 / 2 / math.sqrt(13.8415)
  assert wilson(5, 10) == pytest.approx([0.5, 0.5 - reach, 0.5 + reach], abs=1e-5)


@settings(deadline=None, derandomize=True, database=None)
@given(st.integers(1, 500).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_wilson_is_that_of_scipy(counts):
  part, whole = counts
  interval = binomtest(part, whole).proportion_ci(method="wilson")
  value, low, high = wilson(part, whole)
  assert (value, low, high) == pytest.approx((part / whole, *interval), abs=1e-9)
  assert 0 <= low <= value <= high <= 1


def test_of_nothing_there_is_no_interval():
  assert wilson(0, 0) == mean_interval([]) == [None, None, None]
  assert mean_intervals(np.zeros((0, 2))) == [[None, None, None]] * 2


def test_more_than_all_of_it_is_a_mistake():
  for part, whole in ((3, 2), (-1, 2)):
    with pytest.raises(ValueError, match="0 <= part <= whole"):
      wilson(part, whole)


def test_the_mean_of_equal_values_is_sure():
  assert mean_interval([0.25] * 7) == [0.25] * 3
  assert mean_interval([3]) == [3.0] * 3


def test_mean_interval_is_that_of_the_normal_distribution_where_there_are_many():
  values = np.random.default_rng(1).exponential(size=900)
  reach = 1.96 * values.std() / math.sqrt(900)
  assert mean_interval(values, bootstrap=4000) == pytest.approx(
      [values.mean(), values.mean() - reach, values.mean() + reach], abs=0.08 * reach)


def test_columns_share_their_resamples():
  values = np.random.default_rng(2).random((40, 1)) * (1, 2, 0) + (0, 0, 1)
  first, twice, constant = mean_intervals(values)
  assert twice == pytest.approx([2 * one for one in first]) and constant == [1.0] * 3
  assert first == mean_interval(values[:, 0]) != mean_interval(values[:, 0], seed=1)


def test_many_images_are_resampled_in_parts():
  values = np.random.default_rng(3).random(300_000)
  mean, low, high = mean_interval(values, bootstrap=60)
  assert low < mean < high < low + 0.004


def test_an_interval_holds_the_true_mean_19_times_in_20():
  rng = np.random.default_rng(4)
  intervals = [mean_interval(rng.gamma(4, 0.25, 60), bootstrap=200) for _ in range(300)]
  held = [low <= 1 <= high for _, low, high in intervals]
  assert 0.9 < np.mean(held) < 0.98
