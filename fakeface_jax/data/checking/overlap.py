"""Which images a run has seen before: what it was trained on, or had its epoch chosen by, is no test of it.

Images are compared by what they show, not by where they lie: a copy of a folder, a link to it, a part of it or a set of
forgeries made from it is still the same photographs. See `duplicates` for what counts as nearly the same picture.
"""

import numpy as np

from fakeface_jax.data.checking.duplicates import fingerprint, near_pairs
from fakeface_jax.data.reading.records import decode_record
from fakeface_jax.data.reading.threads import with_bar


def seen_in_training(source, trained):
  """How many images of a source a run has seen.

  Args: source: records, as `open_dataset(...)[split]`. trained: list of such, the run's training and validation images.
  Returns: {"images": those of the source, "same": how many of them are, file or pixels, among those of `trained`,
    "alike": how many of the others are nearly the same picture as one of them}.
  """
  prints = _fingerprints(source)
  known = [one for part in trained for one in _fingerprints(part)]
  files, pixels = ({getattr(one, name) for one in known} for name in ("file", "pixels"))
  same = np.array([one.file in files or one.pixels in pixels for one in prints], bool)
  rest = [one for one, found in zip(prints, same, strict=True) if not found]
  alike = np.zeros(len(rest), bool)
  if rest and known:
    hashes = np.array([one.hash for one in (*rest, *known)], np.uint64)
    for first, second in near_pairs(hashes, np.stack([one.thumbnail for one in (*rest, *known)]), rows=len(rest)):
      alike[first[(first < len(rest)) & (second >= len(rest))]] = True
  return {"images": len(prints), "same": int(same.sum()), "alike": int(alike.sum())}


def _fingerprints(source):

  def look(i):
    record = source[i]
    return fingerprint(record["image"], decode_record(record))

  return list(with_bar(look, range(len(source)), "Looking for images seen in training"))


def in_words(seen):
  """What `RunSplits.seen` found as a sentence; '' where it found nothing, or None is given: nobody had to look."""
  if seen is None:
    return ""
  if "reason" in seen:
    return f"Whether these images were seen in training cannot be told: {seen['reason']}."
  if not seen["same"] + seen["alike"]:
    return ""
  return (
      f"{seen['same'] + seen['alike']:,} of these {seen['images']:,} images were seen in training or in the choice of"
      f" the epoch ({seen['same']:,} the same file or pixels, {seen['alike']:,} nearly the same picture, such as one"
      " saved again or with a part forged): the scores may be too good.")
