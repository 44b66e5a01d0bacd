"""Writes golden/lime.npz with the `lime` package: `pip install lime`, `python -m tests.explain.make_golden_lime`.

For each of `LIME_PHOTOGRAPHS` the superpixels (uint8[H, W]), what every sample shows (bool[samples, superpixels]), and
the package's coefficients of the logit of fake (float64[superpixels]), with black in the place of what is covered.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from lime.lime_image import LimeImageExplainer

from fakeface_jax.explain.lime import random_choices, superpixels
from tests.explain.golden_inputs import LIME_PHOTOGRAPHS, brightness_of_face, photographs

SAMPLES, SEGMENTS = 120, 30


def explained(image):
  regions = superpixels(image, SEGMENTS)
  shown = random_choices(SAMPLES, regions.max() + 1)
  explainer = LimeImageExplainer(random_state=0)
  explainer.random_state = SimpleNamespace(randint=lambda *_, **__: shown.astype(int).ravel())
  found = explainer.explain_instance(
      image, brightness_of_face, labels=(1,), top_labels=None, hide_color=0, num_samples=SAMPLES, random_seed=0,
      segmentation_fn=lambda _: regions)
  return regions.astype(np.uint8), shown, np.array([value for _, value in sorted(found.local_exp[1])])


if __name__ == "__main__":
  arrays = {}
  for number, name in enumerate(LIME_PHOTOGRAPHS):
    made = zip(("regions", "shown", "coefficients"), explained(photographs()[name]), strict=True)
    arrays |= {f"{kind}_{number}": array for kind, array in made}
  path = Path(__file__).parent / "golden" / "lime.npz"
  np.savez_compressed(path, **arrays)
  print(f"{path.name}: {path.stat().st_size} bytes")
