"""Writes golden/NAME.npz with captum in double precision: `python -m tests.explain.make_golden [NAME ...]`.

Each file holds the explanations of `golden_inputs.golden_inputs` as float32: `logits`, `gradcam/{layer}` of the last
ten convolutions, and `SAMPLED` values of every map that is as large as the images, with the largest magnitude of the
whole map as `{map}_max`: `guided_backprop`, `guided_gradcam` (of the last convolution), `gradient`, `occlusion`,
`integrated_gradients`, `gradient_shap`. `integrated_gradients_delta` is captum's error. `shap_indices` and
`shap_alphas` are the pairs that captum drew.

Printed is how far from it the same is in single precision, which says how well the seeds are chosen.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from benchmarks.captum_reference import CaptumReference
from benchmarks.torch_resnet import from_state_dict

from fakeface_jax.models.resnet import resnet
from tests.explain import golden_inputs as inputs
from tests.models.seeded import sample

FOLDER = Path(__file__).parent / "golden"


def explanations(given, dtype):
  """{name: whole map}."""
  captum = CaptumReference(from_state_dict(given.depth, given.weights, dtype))
  images, target = given.images, inputs.TARGET
  layers = resnet(given.depth).convolutions[-10:]
  arrays = {"logits": captum.logits(images)}
  arrays |= {f"gradcam/{layer}": cam for layer, cam in captum.grad_cam(images, target, layers).items()}
  arrays["guided_backprop"] = captum.guided_backprop(images, target)
  arrays["guided_gradcam"] = captum.guided_grad_cam(images, target, layers[-1])
  arrays["gradient"] = captum.gradient(images, target)
  arrays["occlusion"] = captum.occlusion(images, target, inputs.WINDOW, inputs.STRIDE)
  arrays["integrated_gradients"], arrays["integrated_gradients_delta"] = captum.integrated_gradients(
      images, target, inputs.STEPS)
  arrays["gradient_shap"], arrays["shap_indices"], arrays["shap_alphas"] = captum.gradient_shap(
      images, target, given.baselines, inputs.SHAP_SAMPLES, given.shap_seed)
  return arrays


def golden(arrays, size):
  stored = {}
  for name, array in arrays.items():
    if array.shape[1:3] == size:
      stored[f"{name}_max"] = np.abs(array).max()
      array = sample(array, inputs.SAMPLED)
    stored[name] = array
  return {name: array.astype(np.int32 if name == "shap_indices" else np.float32) for name, array in stored.items()}


def main(names):
  FOLDER.mkdir(exist_ok=True)
  for name in names:
    given, path = inputs.golden_inputs(name), FOLDER / f"{name}.npz"
    double, single = (explanations(given, dtype) for dtype in (torch.float64, torch.float32))
    np.savez_compressed(path, **golden(double, given.size))
    print(f"{path.name}: {path.stat().st_size} bytes; relative error of single precision:")
    for kind, array in double.items():
      print(f"  {kind}: {np.abs(single[kind] - array).max() / np.abs(array).max():.1e}")


if __name__ == "__main__":
  main(sys.argv[1:] or ("resnet18", "resnet50", "photographs"))
