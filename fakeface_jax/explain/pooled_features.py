"""What a picture is like to the network: which of its features are there and how much they vary over the picture."""

import jax.numpy as jnp

from fakeface_jax.explain.capture import apply_with_taps


def pooled_layers(model):
  """The last layer of each stage but the first, which sees edges only, and the last, which has seen the two classes.

  On other images than those they were made for, these say most of what kind a picture is (see verdict/README.md).
  """
  lasts = [stage[-1] for stage in model.stages if stage[-1] in model.layers]
  return tuple(lasts[1:-1] or lasts or model.convolutions[-1:])


def pooled_features(model, variables, images, layers):
  """Mean and standard deviation over all places of each channel of some layers, one after the other.

  Args:
    images: normalised, float32[N, H, W, 3].
    layers: as `pooled_layers` has them.
  Returns: float32[N, D]; those of one layer are divided by their own mean, so that contrast does not count.
  """
  _, outputs = apply_with_taps(model, variables, images, dict.fromkeys(layers))
  found = []
  for layer in layers:
    output = outputs[layer].astype(jnp.float32)
    for values in (output.mean((1, 2)), output.std((1, 2))):
      found.append(values / (jnp.abs(values).mean(1, keepdims=True) + 1e-6))
  return jnp.concatenate(found, axis=1)
