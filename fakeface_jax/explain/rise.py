"""RISE: how well the image does, on average, where a place of it is shown among random others."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fakeface_jax.errors import UserError
from fakeface_jax.explain.capture import check_call
from fakeface_jax.explain.evaluations import evaluate_each
from fakeface_jax.explain.path_gradients import of_target
from fakeface_jax.explain.signature import Array, Given, Model, Variables


def rise(
    model: Model, variables: Variables, images: Given, target: Given, *,
    masks: int = 1000, cells: int = 7, keep: float = 0.5, batch_size: int = 8,
) -> Array:
  """How much better than on average a class logit is where masks show a place (Petsiuk et al., 2018, section 3).

  A mask is a coarse grid of cells that are kept or greyed by chance, enlarged, and moved by a part of a cell; it
  multiplies the normalised image. Differing from the paper, the score is the logit, as in other methods, and its mean
  over the masks is taken away. That leaves out a constant, the score expected of any mask, and with it the accident of
  some places being shown more often than others, which otherwise outweighs what is looked for: on 26 face swaps the
  maps of 200 masks and of 200 others correlate (ranks) at 0.70, those of the paper's sum of probabilities at 0.03.

  Args:
    images, target: as `gradient`.
    masks: of each image, each a forward pass; the same for every image, the same in every call.
    cells: of a mask along each axis.
    keep: the probability that a cell is kept.
    batch_size: masked images at a time.
  Returns: float32[N, H, W], in logits: positive where the image speaks for the target.
  """
  check_call(model, images, target)
  images, target = jnp.asarray(images), jnp.asarray(target)
  count, *size, _ = images.shape
  if cells > min(size):
    raise UserError(f"rise.cells={cells} is more than the image of {size[1]} x {size[0]} pixels has")
  if keep >= 1:
    raise UserError(f"rise.keep={keep} leaves nothing out; use a number below 1")
  mask_of = lambda index: enlarged(*random_grid(index, size, cells, keep), size)

  def of_masked(image, index):
    shown = images[image] * jax.vmap(mask_of)(index)[..., None]
    return of_target(model.apply(variables, shown), target[image])

  scores = evaluate_each(of_masked, count, masks, batch_size)
  weights = (scores - scores.mean(axis=1, keepdims=True)) / (keep * masks)

  def add(total, index):
    return total + weights[:, index, None, None] * mask_of(index), None

  return jax.lax.scan(add, jnp.zeros((count, *size)), jnp.arange(masks))[0]


def random_grid(index: Given, size: Sequence[int], cells: int, keep: float) -> tuple[Array, Array]:
  """What a mask is made of: float32[cells, cells], each 1 with probability `keep`, else 0; and its shifts, int32[2]."""
  of_grid, of_shifts = jax.random.split(jax.random.fold_in(jax.random.key(0), index))
  grid = jax.random.bernoulli(of_grid, keep, (cells, cells)).astype(jnp.float32)
  return grid, jax.random.randint(of_shifts, (2,), 0, cell_of(size, cells) + 1)


def cell_of(size: Sequence[int], cells: int) -> np.ndarray:
  """Height and width of a cell in px, int[2]: `cells` of them cover the image."""
  return -(-np.asarray(size) // cells)


def enlarged(grid: Array, shifts: Array, size: Sequence[int]) -> Array:
  """The grid at cells + 1 times the size of a cell, bilinear, of which `size` px from `shifts` on: float32[H, W]."""
  cells = len(grid)

  def along(side, cell, shift):  # how much each cell counts at each pixel
    place = (jnp.arange(side) + shift + 0.5) * cells / ((cells + 1) * cell) - 0.5
    return jax.nn.relu(1 - jnp.abs(place.clip(0, cells - 1)[:, None] - jnp.arange(cells)))

  rows, columns = (along(*axis) for axis in zip(size, cell_of(size, cells), shifts, strict=True))
  return rows @ grid @ columns.T
