"""Pictures that are known already, also in another size, encoding or crop, told by a perceptual hash."""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

from fakeface_jax.data.checking.duplicates import frequency_signs
from fakeface_jax.data.collect.cropping import LeftOut, face_square
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import decode_image, read_bytes
from fakeface_jax.data.reading.threads import with_bar
from fakeface_jax.errors import UserError
from fakeface_jax.paths import FOLDER, NOTHING, path_kind
from fakeface_jax.workdir import write_whole

SIDE, FREQUENCIES = 64, 16
BITS = FREQUENCIES**2
WORDS = BITS // 64
NEAR = 40  # differing bits at most; of 2 million pairs of different photographs' hashes the nearest differ in 60


def perceptual_hash(image):
  """The signs of an image's low frequencies against their median (pHash; Zauner, 2010), as uint64[WORDS].

  Args: `image`: uint8[H, W, 3].
  """
  grey = Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
  return np.packbits(frequency_signs(np.asarray(grey, np.float64), FREQUENCIES)).view(">u8").astype(np.uint64)


def hashes_of(image, square):
  """Hashes of the whole image, and of its face's square where that lies inside: uint64[1 or 2, WORDS].

  The face's hash finds the same photograph in another crop.

  Args: image: uint8[H, W, 3]. square: (left, top, side), or None.
  """
  pictures = [image]
  if square is not None:
    left, top, side = square
    height, width = image.shape[:2]
    if 0 <= left <= width - side and 0 <= top <= height - side:
      pictures.append(image[top : top + side, left : left + side])
  return np.stack([perceptual_hash(picture) for picture in pictures])


class KnownHashes:
  """Hashes under names, and which of them is nearest."""

  def __init__(self):
    self._names, self._hashes = [], []

  def add(self, name, hashes):
    """Args: hashes, uint64[N, WORDS]."""
    self._names += [name] * len(hashes)
    self._hashes.append(hashes)

  def nearest(self, hashes):
    """(name, differing bits) of what is nearest to any of `hashes`; (None, BITS) of nothing."""
    if not self._names:
      return None, BITS
    self._hashes = [np.concatenate(self._hashes)]
    differing = np.stack([np.bitwise_count(self._hashes[0] ^ hash).sum(1) for hash in hashes])
    index = int(differing.min(0).argmin())
    return self._names[index], int(differing[:, index].min())


def add_folder(known, folder, detect, cache):
  """Adds every image below a folder to `known`, so that none of them comes into a collection.

  Args: detect: a face detector (`faces.detect.face_detector`). cache: file that keeps the hashes for the next command.
  Returns: list of (path, reason) of the images that cannot be read.
  Raises: UserError where there is no such folder or no image in it.
  """
  if (kind := path_kind(folder)) != FOLDER:
    raise UserError(f"against={folder}: {'no such folder' if kind == NOTHING else 'is not a folder'}")
  files, problems = find_images([folder])
  if not files:
    raise UserError("against={}: {}".format(*problems[0]))
  state = hashlib.sha256(repr([(str(file), _state(file)) for file in files]).encode()).hexdigest()

  def hashes_or_error(file):
    try:
      image = decode_image(read_bytes(file), str(file))
    except UserError as error:
      return error
    try:
      return hashes_of(image, face_square(image, detect))
    except LeftOut:
      return hashes_of(image, None)

  try:
    kept = json.loads(Path(cache).read_text())
  except (FileNotFoundError, ValueError):
    kept = {"state": None}
  if kept["state"] != state:
    hashed = {}
    for file, result in zip(files, with_bar(hashes_or_error, files, "hashing"), strict=True):
      if isinstance(result, UserError):
        problems.append((file, str(result)))
      else:
        hashed[str(file)] = [to_hex(hash) for hash in result]
    kept = {"state": state, "problems": [[str(path), reason] for path, reason in problems], "hashes": hashed}
    write_whole(cache, json.dumps(kept))
  for file, hashes in kept["hashes"].items():
    known.add(file, from_hex(hashes))
  return list(map(tuple, kept["problems"]))


def to_hex(hash):
  """A hash as BITS / 4 hexadecimal digits."""
  return hash.astype(">u8").tobytes().hex()


def from_hex(texts):
  """uint64[N, WORDS] of N texts that `to_hex` made."""
  return np.frombuffer(bytes.fromhex("".join(texts)), ">u8").reshape(-1, WORDS).astype(np.uint64)


def _state(file):
  try:
    stat = file.stat()
  except OSError:
    return None  # a dangling link: it will be among the unreadable
  return stat.st_size, stat.st_mtime_ns
