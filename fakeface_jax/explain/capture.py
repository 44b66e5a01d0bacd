"""Looking inside an unchanged model: the output of any layer, and the gradient that arrives there.

`nn.intercept_methods` adds a tap, an array of zeros, to the output of each layer asked for. The derivative with respect
to a tap is the derivative with respect to that layer's output, so one backward pass yields it for all layers at once.

Functions that several methods call on the same images are jitted: within one compiled call they are traced once, and
XLA merges their equal passes.
"""

import re
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from fakeface_jax.errors import UserError, did_you_mean
from fakeface_jax.models.network import Network


def apply_with_taps(model, variables, images, taps):
  """The model's logits, and what left the tapped layers.

  Args:
    images: normalised, float32[N, H, W, 3].
    taps: {layer: array that is added to that layer's output, or None}; a layer is a path such as 'layer4_2/conv3'.
  Returns: logits float32[N, classes], activations {layer: float[N, h, w, C]}.
  """
  activations = {}

  def interceptor(next_function, args, kwargs, context):
    output = next_function(*args, **kwargs)
    layer = "/".join(context.module.path)
    if context.method_name != "__call__" or layer not in taps:
      return output
    tap = taps[layer]
    activations[layer] = output if tap is None else output + tap.astype(output.dtype)
    return activations[layer]

  with nn.intercept_methods(interceptor):
    logits = model.apply(variables, images)
  return logits, activations


def check_call(model, images, target=None, layers=()):
  """Raises UserError where a method was given what it does not take (see `grad_cam`); outside jit, also for NaN."""
  shape, dtype = np.shape(images), getattr(images, "dtype", type(images).__name__)
  got = f"{dtype}{list(shape)}"
  of_colours = not isinstance(model, Network) or shape[-1:] == (3,)
  known = isinstance(images, np.ndarray | jax.Array) and jnp.issubdtype(dtype, jnp.floating)
  if not known or len(shape) != 4 or 0 in shape or not of_colours:
    raise UserError(f"images: expected normalised RGB, float32[N, H, W, 3], as network.normalize makes it, got {got}")
  if not isinstance(images, jax.core.Tracer) and not np.isfinite(np.asarray(images, np.float32)).all():
    raise UserError(f"images: {got} holds NaN or infinity; expected normalised RGB, as network.normalize makes it")
  if target is not None:
    kind = getattr(target, "dtype", None) or np.asarray(target).dtype
    if np.shape(target) != shape[:1] or not jnp.issubdtype(kind, jnp.integer):
      raise UserError(f"target: expected the index of a class for each image, int32[{shape[0]}], got "
                      f"{kind}{list(np.shape(target))}")
  if isinstance(layers, str):
    raise UserError(f"layers: expected a tuple of layers, got {layers!r}; write ({layers!r},)")


def activations_of(model, variables, images, layers):
  """{layer: its output float32[N, h, w, C]}."""
  check_call(model, images, layers=layers)
  return _activations_of(model, variables, images, tuple(layers))


@partial(jax.jit, static_argnames=("model", "layers"))
def _activations_of(model, variables, images, layers):
  _, activations = apply_with_taps(model, variables, images, dict.fromkeys(layers))
  return {layer: activations[layer].astype(jnp.float32) for layer in layers}


def activations_and_gradients(model, variables, images, target, layers):
  """What class activation maps are made of, from one forward and one backward pass.

  Args:
    images: normalised, float32[N, H, W, 3].
    target: class index, int32[N].
    layers: tuple of module paths.
  Returns: {layer: output float32[N, h, w, C]}, {layer: gradient of the target's logit to it, the same shape}.
  Raises: UserError for images, targets or layers of another kind.
  """
  check_call(model, images, target, layers)
  return _activations_and_gradients(model, variables, images, target, tuple(layers))


@partial(jax.jit, static_argnames=("model", "layers"))
def _activations_and_gradients(model, variables, images, target, layers):
  shapes = layer_shapes(model, variables, images)
  taps = {layer: jnp.zeros(shapes[layer].shape, jnp.float32) for layer in layers}
  logits, pullback, activations = jax.vjp(
      lambda taps: apply_with_taps(model, variables, images, taps), taps, has_aux=True)
  (gradients,) = pullback(jax.nn.one_hot(target, logits.shape[-1], dtype=logits.dtype))
  return {layer: activations[layer].astype(jnp.float32) for layer in layers}, gradients


def layer_shapes(model, variables, images):
  """{layer: jax.ShapeDtypeStruct of its output} of every layer and block."""
  run = partial(model.apply, capture_intermediates=True, mutable="intermediates")
  _, found = jax.eval_shape(run, variables, images)
  return {"/".join(path[:-1]): outputs[-1] for path, outputs in flatten_dict(found["intermediates"]).items()}


def last_conv_layers(model, count=10):
  """The last `count` convolutions in the order in which they run."""
  return model.convolutions[-count:]


def stage_outputs(model):
  """The first convolution and the last block of each stage: 'conv1', 'layer1_2', ..., 'layer4_2'."""
  lasts = {stage[-1] for stage in model.stages}
  return tuple(dict.fromkeys([model.convolutions[0], *(block for block in model.blocks if block in lasts)]))


def resolve_layers(model, names):
  """Layer paths for names as users write them; torchvision's dots ('layer4.2.conv3') are understood.

  Raises: UserError that names an unknown layer, or one that has no map, and lists those there are.
  """
  names = [names] if isinstance(names, str) else names
  plain = lambda name: re.sub(r"[/_.]", ".", name)
  known = {plain(layer): layer for layer in (*model.convolutions, *model.blocks, *model.layers)}
  layers = []
  for name in names:
    if plain(name) not in known:
      pooled = name in ("head", "fc", "avgpool")
      problem = f"{name!r} comes after global pooling and has no map" if pooled else f"there is no layer {name!r}"
      near = "" if pooled else did_you_mean(name, known.values())
      raise UserError(f"{problem}; layers: {', '.join(known.values())}{near}")
    layers.append(known[plain(name)])
  return tuple(dict.fromkeys(layers))
