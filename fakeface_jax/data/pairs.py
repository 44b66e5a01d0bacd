"""Which records are a pair: a real image, and the fake that was made from it."""

import re
from pathlib import PurePosixPath

from fakeface_jax.data.schema import LABELS, REAL

_OF_FORGED = re.compile(r"(\.\w{3,4}) \([^)]*\)$")  # what the builder `forged` adds to a photograph's name


def pairs_of(names, labels):
  """Pairs by the images' bare names: real/a/b.jpg and fake/c/b.png are one, where no other real or fake is called b.

  Args: names: of N records, as `records.record_name` has them; labels: N times REAL or FAKE.
  Returns: list of (number of the real, number of the fake), in the order of the reals.
  """
  found = {}
  for number, (name, label) in enumerate(zip(names, labels, strict=True)):
    stem = PurePosixPath(_OF_FORGED.sub(r"\1", name)).stem
    found.setdefault(stem, [[] for _ in LABELS])[label].append(number)
  pairs = [(*reals, *fakes) for reals, fakes in found.values() if len(reals) == len(fakes) == 1]
  return sorted(pairs, key=lambda pair: pair[REAL])
