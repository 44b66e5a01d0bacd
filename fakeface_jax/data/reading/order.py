"""The order in which a training epoch takes its images: one that any number of devices and processes can follow alone.

Record i always stands in column i % batch_size of the batches. An epoch shuffles every column by itself, so a device
that owns some columns owns their images too, and nothing has to be exchanged; a batch holds one image of each column.
"""

from functools import partial

import jax
import jax.numpy as jnp


@partial(jax.jit, static_argnames=("length", "batch_size", "views", "pairs"))
def epoch_order(seed, epoch, columns, *, length, batch_size, views=1, pairs=False):
  """Which image, and which view of it, stands where in an epoch.

  Args:
    seed, epoch: int32.
    columns: int32[C], the columns that are wanted.
    length: number of records; `batch_size`: number of columns in all.
    views: number of views to draw from, uniformly for each image.
    pairs: whether records 2 i and 2 i + 1 stay together: columns 2 c and 2 c + 1 are shuffled alike. Then `batch_size`
      is even.
  Returns: (slots int32[steps, C], views int32[steps, C]). Slot s of column c is record s * batch_size + c; beyond the
    last record it is a filler, which comes last.
  """
  steps = -(-length // batch_size)
  key = jax.random.fold_in(jax.random.key(seed), epoch)

  def of_column(column):
    order_key, view_key = jax.random.split(jax.random.fold_in(key, column // 2 if pairs else column))
    filler = jnp.arange(steps) * batch_size + (column | 1 if pairs else column) >= length
    slots = jnp.lexsort((jax.random.bits(order_key, (steps,)), filler))
    return slots.astype(jnp.int32), jax.random.randint(view_key, (steps,), 0, views)

  return jax.vmap(of_column, out_axes=1)(columns)
