"""SHAP values by expected gradients: integrated gradients, averaged over real photographs as references."""

import jax.numpy as jnp
import numpy as np

from fakeface_jax.errors import UserError
from fakeface_jax.explain.capture import check_call
from fakeface_jax.explain.path_gradients import all_logits, of_target, path_gradients
from fakeface_jax.explain.signature import Array, Given, Model, Variables


def expected_gradients(
    model: Model, variables: Variables, images: Given, target: Given, *,
    background: Given, samples: int = 64, batch_size: int = 8,
) -> tuple[Array, Array]:
  """SHAP values of one class logit (Erion et al., 2021, eq. 3; the GradientExplainer of the `shap` package).

  Every sample takes the next of the references and another stretch of the way from it: the stretches are spread evenly
  over the samples in an order that is shuffled once for all.

  Args:
    images, target: as `gradient`.
    background: the references, normalised, float32[K, H, W, 3].
    samples: gradients per image.
    batch_size: samples at a time.
  Returns: float32[N, H, W, 3], in logits, and float32[N], the completeness error: the sum of the map minus (the image's
    logit less the mean logit of the references used).
  """
  check_call(model, images, target)
  images, target = jnp.asarray(images), jnp.asarray(target)
  if background is None or not len(background):
    raise UserError("expected_gradients compares with other photographs; give it some as background")
  count = len(images)
  reference_of = np.arange(samples) % len(background)
  fractions = (np.random.default_rng(0).permutation(samples) + 0.5) / samples
  in_all = lambda values, dtype: jnp.broadcast_to(jnp.asarray(values, dtype), (count, samples))
  maps = path_gradients(
      model, variables, images, target, background, in_all(reference_of, jnp.int32),
      in_all(fractions, jnp.float32), jnp.full((count, samples), 1 / samples), batch_size)
  at_images, at_references = (all_logits(model, variables, ends, batch_size) for ends in (images, background))
  expected = at_references[reference_of].mean(axis=0)
  return maps, maps.sum(axis=(1, 2, 3)) - of_target(at_images - expected, target)
