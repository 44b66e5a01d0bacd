"""What the golden explanations are of: two images of noise on networks with seeded weights, made without torch.

Where a ReLU input or a tie in the max-pool is as near to zero as float32 rounds, a gradient may take either side. The
seeds were chosen to have none such; ResNet-50, with many times the ReLU inputs, has little room for it over the many
points of `integrated_gradients` and `gradient_shap`, which float64 alone compares safely.
"""

import numpy as np

from tests.models.seeded import state_dict

SIZE, TARGET = 96, 1
HEAD = {18: 0, 50: 4}  # the first of two rows of the seeded head; ResNet-50's first rows leave most Grad-CAMs empty
IMAGE_SEEDS = {18: (170, 220), 50: (2871, 53)}
SHAP_SEED = {18: 529, 50: 4}
WINDOW, STRIDE = 40, 24
STEPS, SHAP_SAMPLES, BASELINES = 8, 5, 3
SAMPLED = 1024  # values kept of a map: `seeded.sample(map, SAMPLED)`


def weights(depth):
  """A state dict of two classes."""
  first = HEAD[depth]
  tensors = state_dict(depth, first + 2)
  return tensors | {key: tensors[key][first:] for key in ("fc.weight", "fc.bias")}


def images(depth):
  """float32[2, 96, 96, 3]."""
  return np.stack([noise(seed) for seed in IMAGE_SEEDS[depth]])


def baselines():
  """Of GradientShap, float32[3, 96, 96, 3]."""
  return noise(0, BASELINES)


def noise(seed, *count):
  return np.random.default_rng(seed).standard_normal((*count, SIZE, SIZE, 3), np.float32)
