"""Integrated gradients: a share of the logit for every pixel, relative to a reference image."""

import jax.numpy as jnp
import numpy as np

from fakeface_jax.explain.capture import check_call
from fakeface_jax.explain.fill import fill_images
from fakeface_jax.explain.path_gradients import all_logits, of_target, path_gradients
from fakeface_jax.explain.signature import Array, Given, Model, Variables


def integrated_gradients(
    model: Model, variables: Variables, images: Given, target: Given, *,
    steps: int = 32, baseline: str = "black", batch_size: int = 8,
) -> tuple[Array, Array]:
  """The gradient of one class logit, integrated from a reference to the image (Sundararajan et al., 2017, eq. 1).

  Args:
    images, target: as `gradient`.
    steps: points of the Gauss-Legendre rule.
    baseline: the reference, as `fill_images` takes it.
    batch_size: points at a time.
  Returns: float32[N, H, W, 3], in logits, and float32[N], the completeness error: the sum of the map minus the logit's
    difference between image and reference, which is 0 but for the rule's error.
  """
  check_call(model, images, target)
  images, target = jnp.asarray(images), jnp.asarray(target)
  nodes, weights = np.polynomial.legendre.leggauss(steps)
  count = len(images)
  references = fill_images(images, baseline)
  in_all = lambda values: jnp.broadcast_to(jnp.asarray(values, images.dtype), (count, steps))
  own = jnp.broadcast_to(jnp.arange(count)[:, None], (count, steps))
  maps = path_gradients(
      model, variables, images, target, references, own, in_all((nodes + 1) / 2), in_all(weights / 2), batch_size)
  at_images, at_references = (all_logits(model, variables, ends, batch_size) for ends in (images, references))
  return maps, maps.sum(axis=(1, 2, 3)) - of_target(at_images - at_references, target)
