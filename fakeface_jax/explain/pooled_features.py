"""What a picture is like to the network: which of its features there are, about where, and how much they vary."""

import jax.numpy as jnp

from fakeface_jax.explain.capture import apply_with_taps

CELLS = 3  # along each side, in which features are averaged: faces of one kind sit alike


def pooled_layers(model):
  """The last layer of the middle stage: earlier ones see edges only, later ones what tells the two classes apart."""
  lasts = [stage[-1] for stage in model.stages if stage[-1] in model.layers] or list(model.convolutions)
  return (lasts[(len(lasts) - 1) // 2],)


def pooled_features(model, variables, images, layers):
  """Mean of each channel in 3 x 3 cells, and its standard deviation over all places, of some layers.

  Args:
    images: normalised, float32[N, H, W, 3].
    layers: as `pooled_layers` has them.
  Returns: float32[N, D]; square roots, and those of one layer relative to their mean, so that contrast hardly counts.
  """
  _, outputs = apply_with_taps(model, variables, images, dict.fromkeys(layers))
  found = []
  for layer in layers:
    output = outputs[layer].astype(jnp.float32)
    rows, columns = (_cells(side) for side in output.shape[1:3])
    cells = [output[:, a:b, c:d].mean((1, 2)) for a, b in rows for c, d in columns]
    for values in (jnp.concatenate(cells, axis=1), output.std((1, 2))):
      relative = values / (jnp.abs(values).mean(1, keepdims=True) + 1e-6)
      found.append(jnp.sign(relative) * jnp.sqrt(jnp.abs(relative)))
  return jnp.concatenate(found, axis=1)


def _cells(side):
  """(start, stop) of each of CELLS parts of so many places, which share places where these are few."""
  return [(i * side // CELLS, -(-(i + 1) * side // CELLS)) for i in range(CELLS)]
