"""Eigen-CAM: the strongest pattern of a layer, whatever the class."""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.capture import activations_of
from fakeface_jax.explain.signature import Given, Layers, Maps, Model, Variables

SQUARINGS = 12  # an eigenvalue 0.2 % below the largest falls to 3e-4 of it


def eigen_cam(model: Model, variables: Variables, images: Given, target: Given, *, layers: Layers) -> Maps:
  """Each layer's output projected on its first principal direction (Muhammad & Yeasin, 2020, eq. 3-4).

  It uses no gradient and no class: it shows what stands out to a layer, not what speaks for `target`.

  Args: as `grad_cam`; `target` has no influence.
  Returns: {layer: float32[N, h, w]}, >= 0, in the layer's own units. Of the two signs the one with the larger sum is
    taken, its negative part cut.
  """
  activations = activations_of(model, variables, images, layers)
  return {layer: jax.vmap(_project)(activations[layer]) for layer in layers}


def _project(activations):
  """float32[h, w, C] -> float32[h, w]."""
  height, width, channels = activations.shape
  places = activations.reshape(height * width, channels)
  places = places / jnp.maximum(jnp.abs(places).max(), jnp.finfo(jnp.float32).tiny)
  # Of the two Gram matrices, which have the same largest eigenvalue, the smaller one.
  if height * width <= channels:
    direction = _first_eigenvector(places @ places.T)
    projection = direction * jnp.linalg.norm(direction @ places)
  else:
    projection = places @ _first_eigenvector(places.T @ places)
  projection = projection * jnp.where(projection.sum() < 0, -1, 1) * jnp.abs(activations).max()
  return jax.nn.relu(projection).reshape(height, width)


def _first_eigenvector(gram):
  """Of a positive semidefinite matrix, by squaring it until the others have vanished; zeros for zeros.

  Matrix products run fast everywhere; a full decomposition does not, and has been seen to hang XLA on CPU.
  """
  tiny = jnp.finfo(jnp.float32).tiny
  square = lambda _, power: (power @ power) / jnp.maximum(jnp.trace(power @ power), tiny)
  power = jax.lax.fori_loop(0, SQUARINGS, square, gram / jnp.maximum(jnp.trace(gram), tiny))
  column = power[:, jnp.argmax(jnp.diagonal(power))]
  return column / jnp.maximum(jnp.linalg.norm(column), tiny)
