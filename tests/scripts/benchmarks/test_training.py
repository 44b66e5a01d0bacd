"""The FLOPs of the steps, which do not vary: what the benchmark prints is held here."""

import pytest
from benchmarks.training import flops_ratios

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("trainable", "cached"), [("last_block", 0.95), ("last_conv", 0.67)])
def test_a_step_costs_three_tails_and_over_images_the_trunk_besides(trainable, cached):
  ratios = flops_ratios(50, 224, 32, trainable)
  # A tail needs no gradient to its own input; where one convolution trains, that is a third.
  assert ratios["cached_step_flops_ratio"] == pytest.approx(cached, abs=0.02)
  assert ratios["uncached_step_flops_ratio"] == pytest.approx(0.99, abs=0.02)
