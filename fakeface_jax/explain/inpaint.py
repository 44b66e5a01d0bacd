"""Pixels that are taken away, painted in from those that are left.

A network sees the outline of a flat or blurred patch, and what it then says is about the patch. In-painting from the
neighbourhood leaves no such outline (ROAD: Rong et al., 2022, section 4). The push-pull algorithm does so in time
proportional to the number of pixels (Gortler et al., 1996, "The Lumigraph", section 3.4.2): ever coarser averages of
what is known, then back to the fine, where each level fills the holes of the next.
"""

import jax.numpy as jnp


def inpaint(images, keep):
  """Images whose removed pixels are interpolated smoothly from the kept ones, and from nothing else.

  Args: images: normalised, float32[N, H, W, 3]; of any size. keep: bool[N, H, W], False where a pixel is removed.
  Returns: float32[N, H, W, 3]: kept pixels bit by bit as they were, and all grey (0) where nothing is kept.
  """
  known = jnp.where(keep[..., None], images, 0)
  filled = _fill(known, keep[..., None].astype(images.dtype))
  return jnp.where(keep[..., None], images, filled)


def _fill(values, weights):
  """Values float[N, h, w, C] where weights [N, h, w, 1] are 1, those of the coarser levels the more the less they are.

  A weight counts the kept pixels around a place, up to 1: one is enough to go by, so that few scattered pixels are
  drawn on where they are rather than averaged over the whole picture.
  """
  height, width = values.shape[1:3]
  if height == width == 1:
    return values
  total = halved(weights)
  coarse = halved(values * weights) / jnp.maximum(total, 1e-12)
  coarse = doubled(_fill(coarse, jnp.minimum(4 * total, 1)))[:, :height, :width]
  return weights * values + (1 - weights) * coarse


def halved(images):
  """Weighted sums (1, 3, 3, 1) / 8 along both axes, at every second place; nothing lies beyond the edges."""
  for axis in (1, 2):
    side = images.shape[axis]
    edges = [(0, 0)] * images.ndim
    edges[axis] = (1, 1 + side % 2)
    padded = jnp.moveaxis(jnp.pad(images, edges), axis, 0)
    half = (side + 1) // 2
    taps = [padded[start : start + 2 * half - 1 : 2] for start in range(4)]
    images = jnp.moveaxis((taps[0] + 3 * taps[1] + 3 * taps[2] + taps[3]) / 8, 0, axis)
  return images


def doubled(images):
  """Each place as two, interpolated linearly; beyond the edges it goes on as at them."""
  for axis in (1, 2):
    images = jnp.moveaxis(images, axis, 0)
    before = jnp.concatenate([images[:1], images[:-1]])
    after = jnp.concatenate([images[1:], images[-1:]])
    pairs = jnp.stack([3 * images + before, 3 * images + after], axis=1) / 4
    images = jnp.moveaxis(pairs.reshape(-1, *images.shape[1:]), 0, axis)
  return images
