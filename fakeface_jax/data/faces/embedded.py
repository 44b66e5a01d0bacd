"""Pictures within pictures: a face on a screenshot or in a collage has an edge around it that can be cut along."""

import numpy as np

from fakeface_jax.data.reading.images import grey_of

STEP, TIMES = 16, 4  # grey levels, and times what is usual about there, that an edge has to stand out


def along_edges(photograph, window, reach):
  """A window moved, within reach, so that it ends where a picture within the photograph does; as it was without one.

  Most photographs have no straight edge there. One that by chance has is moved no further than faces sit differently
  anyway.

  Args:
    photograph: uint8[H, W, 3].
    window: (left, top, side), inside of it.
    reach: pixels, (to the sides, up and down).
  """
  left, top, side = window
  strips = photograph[top : top + side], photograph[:, left : left + side].swapaxes(0, 1)
  by = [_moved_by(strip, start, side, far) for strip, start, far in zip(strips, window, reach, strict=False)]
  return left + by[0], top + by[1], side


def _moved_by(strip, start, side, reach):
  """By how many pixels the columns start .. start + side of uint8[h, w, 3] have to move to end at two edges."""
  moves = np.arange(max(-reach, -start), min(reach, strip.shape[1] - side - start) + 1)
  steps = sum(_steps(strip, moves + at) for at in (start, start + side))
  best = int(steps.argmax())
  stands_out = steps[best] >= max(STEP, TIMES * np.median(steps))
  return int(moves[best]) if stands_out else 0


def _steps(strip, columns):
  """By how many grey levels most rows change just before these columns; 0 at the ends."""
  first, last = max(columns[0] - 1, 0), min(columns[-1] + 1, strip.shape[1])
  grey = grey_of(np.ascontiguousarray(strip[:, first:last])).astype(int)
  at = np.full(strip.shape[1] + 1, 0.0)
  at[first + 1 : last] = np.median(np.abs(np.diff(grey, axis=1)), axis=0)
  return at[columns]
