"""Which records are a pair: a real image, and the fake that was made from it, by what they show.

Names tell it in one collection and not in the next, and where a face was swapped the rest of the frame is the same.
"""

import numpy as np

from fakeface_jax.data.checking.duplicates import PLAIN, standardised
from fakeface_jax.data.schema import FAKE, REAL

ALIKE = 0.9  # correlation of their thumbnails, from which on a real and a fake can be a pair
ROWS = 1024  # compared at once


def pairs_of(thumbnails, labels):
  """Each real and fake that are more like each other than like any other fake or real, and alike.

  Args:
    thumbnails: grey uint8[N, k, k], as of `duplicates.fingerprint`.
    labels: int[N], REAL or FAKE.
  Returns: int[P, 2], numbers of the real and the fake of each pair, in the order of the reals.
  """
  flat = np.asarray(thumbnails).reshape(len(thumbnails), -1)
  shows = flat.std(1) >= PLAIN
  reals, fakes = (np.flatnonzero((np.asarray(labels) == label) & shows) for label in (REAL, FAKE))
  if not len(reals) or not len(fakes):
    return np.zeros((0, 2), int)
  of_fakes = standardised(flat[fakes])
  fake_of, likeness = np.zeros(len(reals), int), np.zeros(len(reals))
  real_of, highest = np.zeros(len(fakes), int), np.full(len(fakes), -np.inf)
  for start in range(0, len(reals), ROWS):
    rows = slice(start, start + ROWS)
    correlation = standardised(flat[reals[rows]]) @ of_fakes.T / flat.shape[1]
    fake_of[rows], likeness[rows] = correlation.argmax(1), correlation.max(1)
    of_rows = correlation.max(0)
    better = of_rows > highest
    real_of[better], highest[better] = start + correlation.argmax(0)[better], of_rows[better]
  mutual = (real_of[fake_of] == np.arange(len(reals))) & (likeness >= ALIKE)
  return np.stack([reals[mutual], fakes[fake_of[mutual]]], axis=1)
