"""Pixels that are taken away, imputed as ROAD imputes them: each the weighted mean of its neighbours, and some noise.

Noisy linear imputation (Rong et al., 2022): the removed pixels solve a sparse linear system, so that what
is there tells as little as can be of which pixels were removed. `explain.inpaint` is quicker and nearly as smooth.

The authors' code solves the system by factorisation, on the host. Here conjugate gradients do, on the device, with
corrections on coarser grids (Bramble et al., 1990), without which a
large hole would take as many steps as it is wide.
"""

import jax
import jax.numpy as jnp

from fakeface_jax.explain.inpaint import doubled, halved, inpaint

BESIDE, DIAGONAL = 1 / 6, 1 / 12  # the weights of the four nearest neighbours and of the four next ones
NOISE = 0.01  # standard deviation, of the normalised image: the authors' default
STEPS = 12  # of conjugate gradients: the error left is a quarter of the noise


def impute(images, keep, noise=NOISE):
  """Images whose removed pixels each equal the weighted mean of their neighbours, kept or not, plus noise.

  Beyond the edges of the picture there are no neighbours, and the weights of those that are there are scaled to sum
  to 1, as in the authors' code.

  Args:
    images: normalised, float32[N, H, W, 3]; of any size.
    keep: bool[N, H, W], False where a pixel is removed.
    noise: standard deviation of what is added to removed pixels, the same draw for every image; 0 for none.
  Returns: float32[N, H, W, 3]: kept pixels bit by bit as they were; all grey (0), and noise, where nothing is kept.
  """
  kept = keep[..., None]
  removed = (~kept).astype(images.dtype)
  known = jnp.where(kept, images, 0)
  total = _of_neighbours(jnp.ones_like(removed))  # less than 1 at the edges
  start = inpaint(images, keep) * removed
  operator = lambda values: removed * (total * values - _of_neighbours(values))
  solved = _solution(operator, removed * _of_neighbours(known), start, _on_coarser_grids(removed))
  drawn = jax.random.normal(jax.random.key(0), images.shape[1:], images.dtype)
  return jnp.where(kept, images, solved + noise * drawn)


def _solution(operator, right, start, precondition):
  """Conjugate gradients (Saad, 2003, algorithm 9.1) of each image [N, H, W, C] by itself, `STEPS` of them."""
  dot = lambda a, b: (a * b).sum((1, 2, 3), keepdims=True)
  ratio = lambda a, b: jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)  # 0 once it is solved

  def step(_, carry):
    values, residual, direction, power = carry
    ahead = operator(direction)
    length = ratio(power, dot(direction, ahead))
    values, residual = values + length * direction, residual - length * ahead
    corrected = precondition(residual)
    next_power = dot(residual, corrected)
    return values, residual, corrected + ratio(next_power, power) * direction, next_power

  residual = right - operator(start)
  direction = precondition(residual)
  return jax.lax.fori_loop(0, STEPS, step, (start, residual, direction, dot(residual, direction)))[0]


def _of_neighbours(values):
  """Sums of the eight neighbours [N, H, W, C] by their weights; nothing lies beyond the edges."""
  width = values.shape[2]
  padded = jnp.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
  rows = padded[:, :-2] + padded[:, 2:]  # above and below
  sides = lambda several: several[:, :, :width] + several[:, :, 2:]
  here = padded[:, 1:-1]
  return BESIDE * (rows[:, :, 1:-1] + sides(here)) + DIAGONAL * sides(rows)


def _on_coarser_grids(removed):
  """The preconditioner of the holes: a residual [N, H, W, C] -> about the correction that it takes.

  A place of a coarse grid takes part where nothing that was kept lies in its reach.
  """
  inside = [removed]
  while min(inside[-1].shape[1:3]) > 1:
    inside.append((halved(1 - inside[-1]) == 0).astype(removed.dtype))

  def correction(residual):
    residuals = [residual]
    for here in inside[1:]:
      residuals.append(here * 4 * halved(residuals[-1]))
    result = residuals.pop()
    for finer in reversed(residuals):
      result = finer + _spread(result, finer.shape[1:3])
    return removed * result

  return correction


def _spread(values, size):
  """What 4 `halved` does, transposed: [N, h, w, C] -> [N, *size, C]."""
  framed = jnp.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
  return doubled(framed)[:, 2 : 2 + size[0], 2 : 2 + size[1]]
