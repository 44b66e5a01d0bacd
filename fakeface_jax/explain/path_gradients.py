"""Attribution by gradients on the way from a reference to the image: what integrated and expected gradients share."""

import jax.numpy as jnp

from fakeface_jax.explain.evaluations import evaluate_each, sum_by_image
from fakeface_jax.explain.gradient import gradient


def path_gradients(model, variables, images, target, references, reference_of, fractions, weights, batch_size):
  """sum_s w_s (x - x'_s) * dy/dx at x'_s + f_s (x - x'_s).

  Args:
    images, target: as `gradient`.
    references, reference_of: float32[R, H, W, 3], and int32[N, S], which of them every sample of an image starts at.
    fractions, weights: float32[N, S], f and w above.
  Returns: float32[N, H, W, 3], in logits.
  """

  def of_samples(image, sample):
    start = references[reference_of[image, sample]]
    way = images[image] - start
    fraction, weight = (values[image, sample][:, None, None, None] for values in (fractions, weights))
    return weight * way * gradient(model, variables, start + fraction * way, target[image])

  return sum_by_image(of_samples, len(images), fractions.shape[1], batch_size)


def all_logits(model, variables, images, batch_size):
  """float32[N, H, W, 3] -> float32[N, classes], `batch_size` at a time."""
  return evaluate_each(lambda image, _: model.apply(variables, images[image]), len(images), 1, batch_size)[:, 0]


def of_target(logits, target):
  """float32[N, classes], int32[N] -> float32[N]."""
  return jnp.take_along_axis(logits, target[:, None], axis=1)[:, 0]
