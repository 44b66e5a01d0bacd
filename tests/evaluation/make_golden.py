"""Writes golden/measures.npz with Quantus, captum and pytorch-grad-cam: `python -m tests.evaluation.make_golden`.

In an environment of its own: `pip install quantus captum grad-cam torch scikit-image pillow`. float64 where they can.

* `rank_accuracy`, `sparseness`: Quantus' metrics, of `maps` and `masks`.
* `infidelity`, `infidelity_scaled`, `max_sensitivity`: captum's, of `explanation` under `noise`.
* `road`: pytorch-grad-cam's `NoisyLinearImputer` without noise, of `road`; every `STEP`th value.
"""

from pathlib import Path

import numpy as np
import quantus
import torch
from captum.metrics import infidelity, sensitivity_max
from pytorch_grad_cam.metrics.road import NoisyLinearImputer

from tests.evaluation import golden_inputs as inputs

FILE = Path(__file__).parent / "golden" / "measures.npz"
STEP = 7


def of_quantus(metric, **settings):
  maps, masks = inputs.maps()[:, None], (inputs.masks() == 255)[:, None]
  kwargs = {"s_batch": masks} if metric is quantus.RelevanceRankAccuracy else {}
  return metric(disable_warnings=True, **settings)(
      model=torch.nn.Identity(), x_batch=np.repeat(maps, 3, 1), y_batch=np.zeros(len(maps), int), a_batch=maps,
      **kwargs)


def of_captum():
  images, noise = torch.tensor(inputs.images()), torch.tensor(inputs.noise())
  inward, outward = map(torch.tensor, inputs.weights())
  function = lambda images: torch.tanh(images.reshape(len(images), -1) @ inward) @ outward
  explained = lambda images: torch.tensor(inputs.explanation(images.numpy()))
  repeated = noise.transpose(0, 1).reshape(-1, *images.shape[1:])  # captum asks for all draws of an image at a time
  disturb = lambda given: (repeated, given - repeated)
  result = {
      name: infidelity(
          function, disturb, images, explained(images), n_perturb_samples=inputs.DRAWS, normalize=scaled)
      for name, scaled in (("infidelity", False), ("infidelity_scaled", True))}
  result["max_sensitivity"] = sensitivity_max(
      lambda given: (explained(given[0]),), (images,), lambda given: (given + repeated,),
      n_perturb_samples=inputs.DRAWS)
  return {name: values.numpy() for name, values in result.items()}


def imputed():
  images, keep = inputs.road()
  return np.stack([
      NoisyLinearImputer(noise=0)(torch.tensor(image.transpose(2, 0, 1)), torch.tensor(mask, dtype=torch.float))
      .numpy().transpose(1, 2, 0) for image, mask in zip(images, keep, strict=True)])


if __name__ == "__main__":
  golden = {
      "rank_accuracy": of_quantus(quantus.RelevanceRankAccuracy, abs=False, normalise=False),
      "sparseness": of_quantus(quantus.Sparseness, abs=True, normalise=False), **of_captum(),
      "road": imputed().ravel()[::STEP].astype(np.float32)}
  FILE.parent.mkdir(exist_ok=True)
  np.savez_compressed(FILE, **golden)
  print({name: np.shape(values) for name, values in golden.items()}, FILE.stat().st_size, "bytes")
