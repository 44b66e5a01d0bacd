"""Looking inside an unchanged model: the output of any layer, and the gradient that arrives there.

`nn.intercept_methods` adds a tap, an array of zeros, to the output of each layer asked for. The derivative with respect
to a tap is the derivative with respect to that layer's output, so one backward pass yields it for all layers at once.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakeface_jax.errors import UserError
from fakeface_jax.models.convolution import Convolution


def apply_with_taps(model, variables, images, taps):
  """The model's logits, and what left the tapped layers.

  Args:
    images: normalised, float32[N, H, W, 3].
    taps: {layer: array that is added to that layer's output}; a layer is a module path such as 'layer4_2/conv3'.
  Returns: logits float32[N, classes], activations {layer: float[N, h, w, C]}.
  """
  activations = {}

  def interceptor(next_function, args, kwargs, context):
    output = next_function(*args, **kwargs)
    layer = "/".join(context.module.path)
    if context.method_name == "__call__" and layer in taps:
      activations[layer] = output + taps[layer].astype(output.dtype)
      return activations[layer]
    return output

  with nn.intercept_methods(interceptor):
    logits = model.apply(variables, images)
  return logits, activations


def layer_shapes(model, variables, images):
  """{layer: jax.ShapeDtypeStruct of its output} of every layer and block."""
  outputs = {}

  def interceptor(next_function, args, kwargs, context):
    output = next_function(*args, **kwargs)
    if context.method_name == "__call__" and context.module.path:
      outputs["/".join(context.module.path)] = output
    return output

  def forward(variables, images):
    with nn.intercept_methods(interceptor):
      model.apply(variables, images)
    return outputs

  return jax.eval_shape(forward, variables, images)


def conv_layers(model):
  """Paths of all convolutions in the order in which they run: 'conv1', 'layer1_0/conv1', ..., 'layer4_2/conv3'."""
  layers = []

  def interceptor(next_function, args, kwargs, context):
    if isinstance(context.module, Convolution) and context.method_name == "__call__":
      layers.append("/".join(context.module.path))
    return next_function(*args, **kwargs)

  def forward(key):
    with nn.intercept_methods(interceptor):
      return model.init(key, jnp.zeros((1, 64, 64, 3)))

  jax.eval_shape(forward, jax.random.key(0))
  return tuple(layers)


def resolve_layers(model, names):
  """Layer paths for names as users write them; torchvision's dots ('layer4.2.conv3') are understood.

  Raises: UserError that names an unknown layer and lists those there are.
  """
  known = conv_layers(model)
  blocks = set(model.blocks)
  layers = []
  for name in names:
    parts = name.replace("/", ".").split(".")
    if len(parts) > 1 and parts[0].startswith("layer") and parts[1].isdigit():
      parts[:2] = [f"{parts[0]}_{parts[1]}"]
    if len(parts) > 2 and parts[1] == "downsample":
      parts[1:3] = [f"downsample_{parts[2]}"]
    layer = "/".join(parts)
    if layer not in known and layer not in blocks:
      raise UserError(f"there is no layer {name!r}; layers: {', '.join((*known, *model.blocks))}")
    layers.append(layer)
  return tuple(layers)
