"""Occlusion sensitivity: how much of a class logit goes when a place is covered."""

import jax.numpy as jnp
import numpy as np

from fakeface_jax.errors import UserError
from fakeface_jax.explain.capture import check_call
from fakeface_jax.explain.evaluations import evaluate_each
from fakeface_jax.explain.fill import fill_images
from fakeface_jax.explain.path_gradients import all_logits, of_target
from fakeface_jax.explain.signature import Array, Given, Model, Variables


def occlusion(
    model: Model, variables: Variables, images: Given, target: Given, *,
    window: int = 0, stride: int = 0, fill: str = "mean", batch_size: int = 8,
) -> Array:
  """The drop of one class logit when a square window covers each place (Zeiler & Fergus, 2014, section 4.2).

  Windows start at the top left and move by `stride` until they have covered all; the last ones are cut at the edge. A
  pixel's value is the mean over the windows that covered it.

  Args:
    images, target: as `gradient`.
    window: side in pixels; 0 stands for an eighth of the image's.
    stride: pixels from one window to the next, at most `window`; 0 stands for half of it.
    fill: what covers, as `fill_images` takes it.
    batch_size: covered images at a time.
  Returns: float32[N, H, W], in logits: positive where the image speaks for the target.
  """
  check_call(model, images, target)
  images, target = jnp.asarray(images), jnp.asarray(target)
  count, height, width, _ = images.shape
  window = window or max(1, min(height, width) // 8)
  stride = stride or max(1, window // 2)
  if window > min(height, width):
    raise UserError(f"occlusion.window={window} is larger than the image of {width} x {height} pixels")
  if stride > window:
    raise UserError(f"occlusion.stride={stride} leaves gaps between windows of {window} pixels; use {window} or less")
  # bool[windows, side]: the pixels along each axis that every window covers
  starts = lambda side: stride * np.arange(-(-(side - window) // stride) + 1)[:, None]
  rows, columns = (
      (np.arange(side) >= starts(side)) & (np.arange(side) < starts(side) + window) for side in (height, width))
  cover = fill_images(images, fill)

  def of_covered(image, place):
    inside = jnp.asarray(rows)[place // len(columns)][:, :, None] & jnp.asarray(columns)[place % len(columns)][:, None]
    covered = jnp.where(inside[..., None], cover[image], images[image])
    return of_target(model.apply(variables, covered), target[image])

  after = evaluate_each(of_covered, count, len(rows) * len(columns), batch_size)
  drop = of_target(all_logits(model, variables, images, batch_size), target)[:, None] - after
  drop = drop.reshape(count, len(rows), len(columns))
  times = rows.sum(axis=0)[:, None] * columns.sum(axis=0)[None, :]
  return jnp.einsum("nrc,rh,cw->nhw", drop, rows.astype(np.float32), columns.astype(np.float32)) / times
