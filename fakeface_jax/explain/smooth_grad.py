"""SmoothGrad: the plain gradient, averaged over noisy copies of the image."""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.evaluations import sum_by_image
from fakeface_jax.explain.gradient import gradient
from fakeface_jax.explain.signature import Array, Given, Model, Variables


def smooth_grad(
    model: Model, variables: Variables, images: Given, target: Given, *,
    samples: int = 24, noise: float = 0.15, batch_size: int = 8,
) -> Array:
  """The mean gradient of one class logit around an image (Smilkov et al., 2017, section 2).

  Args:
    images, target: as `gradient`.
    samples: noisy copies of each image; the same noise for every image, the same in every call.
    noise: standard deviation, as a share of the image's own range of values.
    batch_size: copies at a time.
  Returns: float32[N, H, W, 3], signed, in logits per unit of the normalised input.
  """
  images, target = jnp.asarray(images), jnp.asarray(target)
  count, *shape = images.shape
  spread = noise * (images.max(axis=(1, 2, 3)) - images.min(axis=(1, 2, 3)))

  def of_copies(image, sample):
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), sample)
    deviations = jax.vmap(lambda key: jax.random.normal(key, shape))(keys)
    noisy = images[image] + spread[image][:, None, None, None] * deviations
    return gradient(model, variables, noisy, target[image])

  return sum_by_image(of_copies, count, samples, batch_size) / jnp.float32(samples)
