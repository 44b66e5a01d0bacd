"""The `shap` package's own explainer on our network, for whoever knows its pictures."""

from fakeface_jax.errors import UserError

INSTALL = "the method shap needs the shap package and OpenCV: pip install 'fakeface-jax[shap]'"


def installed():
  """Whether the `shap` package and OpenCV, with which it blurs, are there."""
  from importlib.util import find_spec

  return all(find_spec(name) for name in ("shap", "cv2"))


def shap_values(logits_of, images, target, *, evaluations=500, batch_size=8):
  """Owen values of one class logit: `shap.Explainer` with an image masker that blurs what it takes away.

  Args:
    logits_of: uint8-valued float[n, H, W, 3] -> logits [n, classes].
    images, target: uint8[N, H, W, 3] and class index, int[N].
    evaluations: of the network, per image; more give finer regions.
  Returns: float32[N, H, W, 3], in logits, and float32[N], the completeness error: the sum of the map minus the logit's
    difference between the image and the blurred one.
  Raises: UserError where a package is missing.
  """
  if not installed():
    raise UserError(INSTALL)
  import numpy as np
  import shap

  side = max(1, images.shape[1] // 8)
  explainer = shap.Explainer(logits_of, shap.maskers.Image(f"blur({side},{side})", images.shape[1:]))
  explained = explainer(images, max_evals=evaluations, batch_size=batch_size, silent=True)
  rows = np.arange(len(images))
  values = np.asarray(explained.values)[rows, ..., target].astype(np.float32)
  reference = np.asarray(explained.base_values)[rows, target]
  difference = np.asarray(logits_of(images))[rows, target] - reference
  return values, (values.sum(axis=(1, 2, 3)) - difference).astype(np.float32)
