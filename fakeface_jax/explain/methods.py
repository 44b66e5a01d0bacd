"""Every method by its name: what it computes, with which settings, and what its maps mean."""

import dataclasses
import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from fakeface_jax.errors import UserError, did_you_mean
from fakeface_jax.explain import shap_package
from fakeface_jax.explain.capture import last_conv_layers, resolve_layers, stage_outputs
from fakeface_jax.explain.eigen_cam import eigen_cam
from fakeface_jax.explain.expected_gradients import expected_gradients
from fakeface_jax.explain.feature_maps import feature_maps
from fakeface_jax.explain.grad_cam import grad_cam
from fakeface_jax.explain.grad_cam_plus_plus import grad_cam_plus_plus
from fakeface_jax.explain.gradient import gradient
from fakeface_jax.explain.guided_backprop import guided_backprop
from fakeface_jax.explain.guided_grad_cam import guided_grad_cam
from fakeface_jax.explain.hires_cam import hires_cam
from fakeface_jax.explain.integrated_gradients import integrated_gradients
from fakeface_jax.explain.layer_cam import layer_cam
from fakeface_jax.explain.lime import lime
from fakeface_jax.explain.occlusion import occlusion
from fakeface_jax.explain.rise import rise
from fakeface_jax.explain.score_cam import score_cam
from fakeface_jax.explain.signature import Layers, Methods, Model
from fakeface_jax.explain.smooth_grad import smooth_grad

log = logging.getLogger(__name__)

HEATMAP = "heatmap"  # float32[h, w] >= 0
SENSITIVITY = "sensitivity"  # float32[H, W, 3], signed: what a change of a pixel would do
ATTRIBUTION = "attribution"  # float32[H, W] or [H, W, 3], signed, in logits: what is there adds or takes away
CHANNELS = "channels"  # feature maps

GIVEN = ("batch_size", "background")  # arguments that the engine fills in


@dataclasses.dataclass(frozen=True)
class Method:
  """A method of explanation."""

  title: str
  kind: str  # HEATMAP, SENSITIVITY, ATTRIBUTION or CHANNELS
  # (model, variables, images, target, **settings) -> raw maps, and the completeness error if `complete`
  compute: Callable[..., Any]
  layers: Callable[[Any], tuple[str, ...]] | None = None  # model -> those it is shown for by default; None without any
  complete: bool = False  # whether its maps sum to a difference of logits

  @property
  def arguments(self) -> dict[str, Any]:
    """{name: default} of what `compute` takes by name."""
    return {
        name: parameter.default for name, parameter in inspect.signature(self.compute).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY}

  @property
  def sampled(self) -> bool:
    """Whether it evaluates the network many times for an image."""
    return "batch_size" in self.arguments

  @property
  def from_logits(self) -> bool:
    """Whether `compute` is no function to be jitted, but takes (logits_of, pixels, target, **settings), on the host."""
    return "logits_of" in inspect.signature(self.compute).parameters


_last_conv_layer = partial(last_conv_layers, count=1)

METHODS = {
    "gradcam": Method("Grad-CAM", HEATMAP, grad_cam, last_conv_layers),
    "gradcam_plus_plus": Method(  # after the ReLU of a block
        "Grad-CAM++", HEATMAP, grad_cam_plus_plus, lambda model: model.blocks[-5:]),
    "hirescam": Method("HiResCAM", HEATMAP, hires_cam, last_conv_layers),
    "layercam": Method("LayerCAM", HEATMAP, layer_cam, last_conv_layers),
    "eigencam": Method("Eigen-CAM", HEATMAP, eigen_cam, last_conv_layers),
    "scorecam": Method("Score-CAM", HEATMAP, score_cam, _last_conv_layer),
    "guided_backprop": Method("guided backprop", SENSITIVITY, guided_backprop),
    "guided_gradcam": Method("Guided Grad-CAM", SENSITIVITY, guided_grad_cam, _last_conv_layer),
    "gradient": Method("gradient", SENSITIVITY, gradient),
    "smoothgrad": Method("SmoothGrad", SENSITIVITY, smooth_grad),
    "integrated_gradients": Method("integrated gradients", ATTRIBUTION, integrated_gradients, complete=True),
    "occlusion": Method("occlusion", ATTRIBUTION, occlusion),
    "rise": Method("RISE", ATTRIBUTION, rise),
    "lime": Method("LIME", ATTRIBUTION, lime),
    "expected_gradients": Method("SHAP (expected gradients)", ATTRIBUTION, expected_gradients, complete=True),
    "shap": Method("SHAP (shap package)", ATTRIBUTION, shap_package.shap_values, complete=True),
    "feature_maps": Method("feature maps", CHANNELS, feature_maps, stage_outputs),
}
DEFAULT_METHODS = ("gradcam", "guided_backprop", "guided_gradcam")


class Resolved(dict):
  """{name: settings}, complete, as `resolve_methods` returns them and leaves them."""


def resolve_methods(model: Model, methods: Methods = DEFAULT_METHODS, layers: Layers | None = None) -> Resolved:
  """What to compute, as the engine takes it.

  Args:
    methods: names of `METHODS`, 'all' (without shap where its packages are missing, which is said), or {name: {setting:
      value}}; values may be strings. What this function has returned before is returned as it is.
    layers: names of layers for all methods that have them (Guided Grad-CAM takes the last one); None for the defaults.
  Returns: `Resolved` {name: settings}, complete and hashable settings {setting: value}.
  Raises: UserError that lists what there is for an unknown method, setting, value or layer.
  """
  if isinstance(methods, Resolved) and layers is None:
    return methods
  methods = [methods] if isinstance(methods, str) else methods
  wanted = _with_all(methods if isinstance(methods, Mapping) else {name: {} for name in methods})
  if not wanted:
    raise UserError(f"no method is named; methods: {', '.join(METHODS)}, or all")
  layers = None if layers is None else resolve_layers(model, layers)
  if layers == ():
    raise UserError("no layer is named; leave layers out for the usual ones")
  resolved = Resolved()
  for name, settings in wanted.items():
    if name not in METHODS:
      raise UserError(
          f"there is no method {name!r}; methods: {', '.join(METHODS)}, or all{did_you_mean(name, METHODS)}")
    resolved[name] = _settings(model, name, settings, layers)
  return resolved


def maps_of(result: Mapping[str, Any], methods: Mapping) -> Iterator[tuple[str, str | None, Any]]:
  """Yields (method, its layer or None, values) of every map, layers in the order asked for (JAX sorts its dicts' keys).

  Args: `result`: {method: array, or {layer: array}}, of one image or many. methods: {name: settings}, resolved.
  """
  for name, settings in methods.items():
    if "layers" in settings:
      for layer in settings["layers"]:
        yield name, layer, result[name][layer]
    else:
      yield name, settings.get("layer"), result[name]


def _with_all(wanted):
  """{name: settings} with every method there is in the place of 'all'; it is said where shap is not installed."""
  if "all" not in wanted:
    return wanted
  for key in wanted["all"]:
    raise UserError(f"all has no setting {key!r}; name the method, such as occlusion.{key}")
  expanded = {name: {} for name in METHODS if name != "shap" or shap_package.installed()} | wanted
  del expanded["all"]
  if "shap" not in expanded:
    log.warning("all methods but shap: %s", shap_package.INSTALL)
  return expanded


def _settings(model, name, given, layers):
  method = METHODS[name]
  defaults = {key: value for key, value in method.arguments.items() if key not in GIVEN}
  own = {key: value for key, value in defaults.items() if key not in ("layer", "layers")}
  for key in given:
    if key not in own:
      there_are = f"its settings: {', '.join(own)}" if own else "it has none"
      raise UserError(f"{name} has no setting {key!r}; {there_are}{did_you_mean(key, own)}")
  settings = {key: _converted(f"{name}.{key}", given.get(key, value), value) for key, value in own.items()}
  if method.layers:
    chosen = layers or method.layers(model)
    settings |= {"layer": chosen[-1]} if "layer" in defaults else {"layers": chosen}
  return settings


def _converted(name, value, default):
  """A setting's value, in the type of its default."""
  if isinstance(default, str):
    return str(value)
  kind = "a whole number of 1 or more" if isinstance(default, int) else "a number above 0"
  try:
    number = type(default)(value)
    if number != float(value) or (number <= 0 and number != default) or number == float("inf"):
      raise ValueError
  except (TypeError, ValueError, OverflowError):
    raise UserError(f"{name}={value!r} is not {kind}") from None
  return number


def parse_methods(names: Sequence[str] | None, assignments: Iterable[str]) -> dict[str, dict[str, str]]:
  """{name: {setting: text}} from a command line: names, and settings such as 'occlusion.window=24'.

  Args: `names`: list, or None for DEFAULT_METHODS; a method whose setting is given need not be named.
  """
  methods = {name: {} for name in (DEFAULT_METHODS if names is None else names)}
  for assignment in assignments:
    left, equals, value = assignment.partition("=")
    name, dot, setting = left.partition(".")
    if not (equals and dot):
      raise UserError(f"set={assignment} is not of the form METHOD.SETTING=VALUE, such as occlusion.window=24")
    methods.setdefault(name, {})[setting] = value
  return _with_all(methods)
