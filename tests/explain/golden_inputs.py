"""What the golden explanations are of, made without torch.

* `resnet18`, `resnet50`: two images of noise on networks with seeded weights.
* `photographs`: a photograph as people have them, on the bundled ResNet-18: as it is, with white bars above and below,
  with black bars at the sides, overexposed, and half of it flat. Not square. Flat areas make the max-pool's inputs tie.

Where a ReLU input is as near to zero as float32 rounds, a gradient may take either side. The seeds were chosen to have
none such; ResNet-50, with many times the ReLU inputs, has little room for it over the many points of
`integrated_gradients` and `gradient_shap`, which float64 alone compares safely.
"""

import dataclasses

import jax
import numpy as np
from PIL import Image
from skimage import data

from fakeface_jax.models.network import MEAN_RGB, STD_RGB
from fakeface_jax.models.pretrained import load_pretrained, to_state_dict
from fakeface_jax.models.resnet import resnet
from tests.models.seeded import state_dict, template

TARGET = 1
WINDOW, STRIDE = 40, 24
STEPS, SHAP_SAMPLES = 8, 5
SAMPLED = 1024  # values kept of a map: `seeded.sample(map, SAMPLED)`
PHOTOGRAPHS = ("as it is", "white bars above and below", "black bars at the sides", "overexposed", "half of it flat")


@dataclasses.dataclass(frozen=True)
class Inputs:
  """Attributes:
    weights: a state dict of two classes.
    images: float32[N, H, W, 3], normalised. baselines: of GradientShap, float32[3, H, W, 3]. shap_seed: of its draws.
  """

  depth: int
  weights: dict
  images: np.ndarray
  baselines: np.ndarray
  shap_seed: int

  @property
  def size(self):
    return self.images.shape[1:3]


def golden_inputs(name):
  """`Inputs` of one of the sets above."""
  return {"resnet18": lambda: _noise(18, 0, (170, 220), 529), "resnet50": lambda: _noise(50, 4, (2871, 53), 4),
          "photographs": _photographs}[name]()


def noise(seed, *count):
  return np.random.default_rng(seed).standard_normal((*count, 96, 96, 3), np.float32)


def _noise(depth, first, image_seeds, shap_seed):
  """`first`: row of the seeded head; ResNet-50's first rows leave most Grad-CAMs empty."""
  tensors = state_dict(depth, first + 2)
  tensors |= {key: tensors[key][first:] for key in ("fc.weight", "fc.bias")}
  return Inputs(depth, tensors, np.stack([noise(seed) for seed in image_seeds]), noise(0, 3), shap_seed)


def _photographs():
  tensors = to_state_dict(load_pretrained("bundled", jax.tree.map(np.asarray, template(resnet(18)))))
  random = np.random.default_rng(1)  # of the first seeds, one that leaves no Grad-CAM empty everywhere
  tensors |= {"fc.weight": random.standard_normal((2, 512), np.float32) / 16, "fc.bias": np.zeros(2, np.float32)}
  mean, std = (np.float32(255) * np.asarray(statistic, np.float32) for statistic in (MEAN_RGB, STD_RGB))
  # by NumPy: versions of XLA round the last bit differently
  normalized = lambda pixels: (np.stack(pixels) - mean) / std
  return Inputs(18, tensors, normalized(list(photographs().values())), normalized(
      [np.full((96, 128, 3), grey, np.uint8) for grey in (40, 120, 250)]), 0)


def photographs():
  """{one of PHOTOGRAPHS: uint8[96, 128, 3]} of NASA's portrait of Eileen Collins, in the public domain."""
  face = Image.fromarray(data.astronaut()[:300, 40:440])
  plain = np.asarray(face.resize((128, 96), Image.Resampling.BICUBIC))
  above_and_below, sides, flat = plain.copy(), plain.copy(), plain.copy()
  above_and_below[:16] = above_and_below[-16:] = 255
  sides[:, :21] = sides[:, -21:] = 0
  flat[48:] = 130
  overexposed = np.clip(2 * plain.astype(int) + 60, 0, 255).astype(np.uint8)
  return dict(zip(PHOTOGRAPHS, (plain, above_and_below, sides, overexposed, flat), strict=True))


LIME_PHOTOGRAPHS = ("as it is", "half of it flat")


def brightness_of_face(images):
  """Logits (-s, s) of any pixels [n, 96, 128, 3]: what grows with the face's brightness, and less with the sky's."""
  images = np.asarray(images, np.float64) / 255
  face, above = (images[:, rows, 40:90].mean(axis=(1, 2, 3)) for rows in (slice(20, 60), slice(0, 16)))
  score = 3 * face**2 - face * above - above
  return np.stack([-score, score], axis=-1)
