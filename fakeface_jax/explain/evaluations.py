"""Many network evaluations per image within one compiled call, a fixed number at a time.

The evaluations of all images of a batch form one row, so that none is wasted on filling up and memory depends on
`batch_size` alone.
"""

import jax
import jax.numpy as jnp


def evaluate_each(function, images, per_image, batch_size):
  """Results of every evaluation of every image.

  Args:
    function: (index of the image int32[b], index of the evaluation int32[b]) -> [b, ...].
    images, per_image: number of images, and of evaluations of each.
    batch_size: b.
  Returns: [images, per_image, ...].
  """
  indices, _ = _indices(images * per_image, batch_size)
  results = jax.lax.map(lambda index: function(index // per_image, index % per_image), indices)
  results = results.reshape(-1, *results.shape[2:])[: images * per_image]
  return results.reshape(images, per_image, *results.shape[1:])


def sum_by_image(function, images, per_image, batch_size):
  """The sum over each image's evaluations, [images, ...]; arguments as of `evaluate_each`."""
  indices, valid = _indices(images * per_image, batch_size)
  shape = jax.eval_shape(function, indices[0], indices[0])

  def add(total, step):
    index, valid = step
    values = function(index // per_image, index % per_image)
    values = jnp.where(valid.reshape(-1, *[1] * (values.ndim - 1)), values, 0)
    return total.at[index // per_image].add(values), None

  total, _ = jax.lax.scan(add, jnp.zeros((images, *shape.shape[1:]), shape.dtype), (indices, valid))
  return total


def _indices(count, batch_size):
  """0, ..., count - 1 in rows of `batch_size`, filled up with the last one, and which of them are no filling."""
  rows = -(-count // batch_size)
  index = jnp.arange(rows * batch_size).reshape(rows, batch_size)
  return jnp.minimum(index, count - 1), index < count
