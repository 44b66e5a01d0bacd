"""The explanations as captum computes them on the PyTorch network, in our layouts.

The conventions that another implementation has to share are told where they are used.
"""

import re
import warnings
from unittest import mock

import numpy as np
import torch
from captum import attr


class CaptumReference:
  """captum's explanations of one `TorchResNet`, computed in the network's dtype and on its device.

  Everywhere `images` are normalised float[N, H, W, 3], `target` is a class index, int or int[N], and layers have our
  names ('layer4_1/conv2', 'layer4_0/downsample_0'). Arrays come back as NumPy, channels last.
  """

  def __init__(self, network):
    self.network = network

  def logits(self, images):
    """float[N, classes]."""
    with torch.no_grad():
      return to_numpy(self.network(self._input(images)))

  def grad_cam(self, images, target, layers):
    """{layer: float[N, h, w]}, >= 0."""
    x, target = self._input(images), self._target(target)
    return {layer: to_numpy(self._grad_cam(x, target, layer)) for layer in layers}

  def guided_backprop(self, images, target):
    """float[N, H, W, 3]."""
    return to_numpy(self._guided_backprop(self._input(images), self._target(target)))

  def guided_grad_cam(self, images, target, layer):
    """float[N, H, W, 3]; the heatmap is enlarged by `torch.nn.functional.interpolate` with align_corners=False."""
    return to_numpy(self._guided_grad_cam(self._input(images), self._target(target), layer))

  def gradient(self, images, target):
    """float[N, H, W, 3], signed."""
    with quiet():
      return to_numpy(attr.Saliency(self.network).attribute(self._input(images), self._target(target), abs=False))

  def occlusion(self, images, target, window, stride, perturbations_per_eval=1):
    """What the logit loses when a window is set to 0: float32[N, H, W], a pixel's mean over the windows on it.

    Along a side of H pixels windows start at 0, stride, 2 stride, ... until one reaches the edge: ceil((H - window) /
    stride) + 1 of them, the last one cut off at the edge. All three channels are covered at once.

    Args:
      window, stride: pixels, or (vertical, horizontal); stride <= window <= side.
      perturbations_per_eval: windows per forward pass.
    """
    window, stride = (np.broadcast_to(sides, 2).tolist() for sides in (window, stride))
    maps = attr.Occlusion(self.network).attribute(
        self._input(images), sliding_window_shapes=(3, *window), strides=(3, *stride), baselines=0,
        target=self._target(target), perturbations_per_eval=perturbations_per_eval)
    return to_numpy(maps)[..., 0]

  def integrated_gradients(self, images, target, steps, baseline=0.0):
    """Attributions float[N, H, W, 3] and their error float[N]: their sum minus the difference of the logits.

    The gradient is taken at baseline + a (image - baseline) for the `steps` Gauss-Legendre nodes a of [0, 1].

    Args:
      baseline: a number in normalised units, or float[1 or N, H, W, 3].
    """
    baseline = float(baseline) if np.ndim(baseline) == 0 else self._input(baseline)
    maps, delta = attr.IntegratedGradients(self.network).attribute(
        self._input(images), baseline, self._target(target), n_steps=steps, method="gausslegendre",
        return_convergence_delta=True)
    return to_numpy(maps), to_numpy(delta)

  def gradient_shap(self, images, target, baselines, samples, seed=0):
    """Attributions float[N, H, W, 3] and the pairs that captum drew: indices int[N, S], alphas float32[N, S].

    Image n's attribution is the mean over its pairs s of (image - b) * gradient at (alpha image + (1 - alpha) b), with
    b = baselines[indices[n, s]] and alpha = alphas[n, s]; no noise is added. captum is handed alphas that are rounded
    to float32, so that others can be given the very same.

    Args:
      baselines: float[B, H, W, 3].
      samples: S.
    """
    random, drawn = np.random.RandomState(seed), {}

    def choice(count, size):
      drawn["indices"] = random.choice(count, size)
      return drawn["indices"]

    def uniform(low, high, size):
      drawn["alphas"] = random.uniform(low, high, size).astype(np.float32)
      return drawn["alphas"]

    with mock.patch.multiple(np.random, choice=choice, uniform=uniform):
      maps = attr.GradientShap(self.network).attribute(
          self._input(images), self._input(baselines), n_samples=samples, stdevs=0.0, target=self._target(target))
    # captum repeats each image `samples` times in a row, and draws once for all of these rows.
    return to_numpy(maps), *(drawn[name].reshape(len(images), samples) for name in ("indices", "alphas"))

  def article_set(self, images, target, layers):
    """All that the article shows of a batch, as a user of captum gets it: one call per method and layer.

    Returns: like `explain_batch`, {"logits", "gradcam": {layer: map}, "guided_backprop", "guided_gradcam"}; the last is
      of the last of the layers.
    """
    x, target = self._input(images), self._target(target)
    with torch.no_grad():
      logits = self.network(x)
    cams = {layer: self._grad_cam(x, target, layer) for layer in layers}
    guided = self._guided_backprop(x, target)
    guided_cam = self._guided_grad_cam(x, target, layers[-1])
    return {
        "logits": to_numpy(logits),
        "gradcam": {layer: to_numpy(cam) for layer, cam in cams.items()},
        "guided_backprop": to_numpy(guided),
        "guided_gradcam": to_numpy(guided_cam),
    }

  def _grad_cam(self, x, target, layer):
    return attr.LayerGradCam(self.network, self._module(layer)).attribute(x, target, relu_attributions=True)[:, 0]

  def _guided_backprop(self, x, target):
    with quiet():
      return attr.GuidedBackprop(self.network).attribute(x, target)

  def _guided_grad_cam(self, x, target, layer):
    with quiet():
      return attr.GuidedGradCam(self.network, self._module(layer)).attribute(x, target, interpolate_mode="bilinear")

  def _module(self, layer):
    return self.network.get_submodule(re.sub("[_/]", ".", layer))

  def _input(self, images):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1))).to(self.network.fc.weight)

  def _target(self, target):
    return torch.as_tensor(target, dtype=torch.int64, device=self.network.fc.weight.device)


def quiet():
  """captum warns that it sets hooks and `requires_grad`, as it always does."""
  return warnings.catch_warnings(action="ignore", category=UserWarning)


def to_numpy(tensor):
  """[N, C, H, W] -> [N, H, W, C]; other shapes stay."""
  array = tensor.detach().cpu().numpy()
  return np.moveaxis(array, 1, -1) if array.ndim == 4 else array
