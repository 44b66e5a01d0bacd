"""A trained detector, ready to use: probabilities and explanations of images in memory."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fakeface_jax.data.images import resize_and_crop
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.predict import probability_of_fake
from fakeface_jax.explain.capture import resolve_layers
from fakeface_jax.explain.engine import explain_batch, last_conv_layers, pad, target_indices
from fakeface_jax.models import abstract_variables, make_model
from fakeface_jax.models.resnet import normalize
from fakeface_jax.training.checkpoints import load_best
from fakeface_jax.workdir import read_config

SCALE_FILE = "map_scale.json"


@dataclasses.dataclass(frozen=True)
class Detector:
  """A network with all it needs to judge an image.

  Attributes:
    model, variables: the Flax module and its {"params", "batch_stats"}.
    resize, crop: how an image is cut to the network's input, in pixels (see `images.resize_and_crop`).
    batch_size: images per compiled call; more images take several calls, fewer are padded.
    map_scale: {map name: value that is drawn in full colour}, measured on this run's validation images; or None.
  """

  model: Any
  variables: Any
  resize: int
  crop: int
  batch_size: int = 8
  map_scale: dict | None = None

  def prepare(self, images):
    """What the network sees: a list of uint8[h, w, 3] of any sizes, or uint8[N, h, w, 3] -> uint8[N, crop, crop, 3]."""
    for number, image in enumerate(images):
      if getattr(image, "dtype", None) != np.uint8 or np.ndim(image) != 3 or image.shape[-1] != 3:
        got = f"{getattr(image, 'dtype', type(image).__name__)}{list(np.shape(image))}"
        raise UserError(f"image {number} is {got}, not uint8[height, width, 3] RGB; read files with read_image")
    return np.stack([resize_and_crop(image, self.resize, self.crop) for image in images])

  def predict(self, images):
    """Probability of fake, float64[N], of images as `prepare` takes them."""
    if len(images) == 0:
      return np.zeros(0)
    logits = [_logits(self.model, self.variables, pixels)[:count] for pixels, count in self._batches(images)]
    return probability_of_fake(np.concatenate(jax.device_get(logits)))

  def explain(self, images, target="fake", layers=None):
    """Why: Grad-CAM, guided backprop and Guided Grad-CAM of images as `prepare` takes them.

    Args:
      target: the class whose evidence is shown: 'fake', 'real', or 'predicted'.
      layers: names such as 'layer4_2/conv3' for Grad-CAM, the last of them for Guided Grad-CAM too; by default the
        last ten convolutions.
    Returns: one dict per image: `image` uint8[crop, crop, 3], `logits` float32[2], `probability` of fake, `target` (the
      explained class: 0 real, 1 fake), `gradcam` {layer: float32[h, w] >= 0}, `guided_backprop` and `guided_gradcam`
      float32[crop, crop, 3]. Raw values, in logits.
    """
    layers = last_conv_layers(self.model) if layers is None else resolve_layers(self.model, layers)
    targets = target_indices(target, self.batch_size)
    results = []
    for pixels, count in self._batches(images):
      maps = jax.device_get(explain_batch(self.model, self.variables, pixels, targets, layers=layers))
      probabilities = probability_of_fake(maps["logits"])
      for i in range(count):
        explained = int(maps["logits"][i].argmax()) if target == "predicted" else int(targets[i])
        one = jax.tree.map(lambda values, i=i: values[i], maps)
        one["gradcam"] = {layer: one["gradcam"][layer] for layer in layers}  # JAX sorts the keys of its dicts
        results.append({"image": pixels[i], "probability": float(probabilities[i]), "target": explained, **one})
    return results

  def _batches(self, images):
    for start in range(0, len(images), self.batch_size):
      pixels = self.prepare(images[start : start + self.batch_size])
      yield pad(pixels, self.batch_size), len(pixels)


@jax.jit(static_argnames="model")
def _logits(model, variables, pixels):
  return model.apply(variables, normalize(pixels))


def load(workdir, batch_size=8):
  """The `Detector` of a run folder's best epoch.

  Raises: UserError where the folder holds no run, or no finished epoch.
  """
  config = read_config(workdir)
  model = make_model(config.model)
  variables = load_best(workdir, abstract_variables(model, config.data.crop))
  scale = Path(workdir) / SCALE_FILE
  map_scale = json.loads(scale.read_text()) if scale.exists() else None
  return Detector(model, variables, config.data.resize, config.data.crop, batch_size, map_scale)
