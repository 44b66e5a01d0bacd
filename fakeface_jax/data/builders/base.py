"""What the builders share whose images are other people's files.

Every image is read and decoded before a record is written. What cannot be used is left out and listed in
`builder.info.metadata["unreadable"]` as [path, reason]; the records hold the files' own bytes (see `schema`).
"""

import abc
import dataclasses
import hashlib
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import shuffle

from fakeface_jax.data import schema
from fakeface_jax.data.builders.prepared import RecordBuilder, version
from fakeface_jax.data.reading.images import decode_image, encode_image, read_bytes
from fakeface_jax.data.reading.threads import with_bar
from fakeface_jax.errors import UserError
from fakeface_jax.lines import one_line

SPLITS = ("train", "val", "test")
HASH_SPLITS = (("train", 0.70), ("val", 0.85), ("test", 1.0))  # each with the upper end of its share
NOT_MANIPULATED, UNKNOWN = 0, 128

# tfds sorts more than 1 GB of records through temporary files, as many as processes may often have open at most, and
# opens them with TensorFlow. Fewer do, and Python opens them as well.
shuffle.BUCKETS_NUMBER = 64
shuffle.tf = SimpleNamespace(
    io=SimpleNamespace(gfile=SimpleNamespace(GFile=open, exists=os.path.exists, remove=os.remove)),
    errors=SimpleNamespace(ResourceExhaustedError=MemoryError))


@dataclasses.dataclass(frozen=True)
class FaceFile:
  """An image file, unopened, and what is known of it."""

  path: Path
  label: int  # schema.REAL or schema.FAKE
  split: str | None = None  # one of SPLITS; None where the content decides
  regions: tuple[str, ...] = ()  # names of schema.REGIONS that were manipulated, as far as known
  difficulty: str = "none"  # one of schema.DIFFICULTIES


@dataclasses.dataclass
class FolderConfig(tfds.core.BuilderConfig):
  """Which folder; `name` also tells its state, so that a changed folder is prepared anew."""

  path: str = ""


def folder_config(path, state):
  """The config of a builder for a folder in that state."""
  name = re.sub(r"[^A-Za-z0-9_]+", "_", path.resolve().name).strip("_") or "root"
  return FolderConfig(name=f"{name}-{state}", path=str(path.resolve()))


@dataclasses.dataclass
class Checked:
  """What reading an image has shown: why it cannot be used, or its place by content, its mask and its looks."""

  unreadable: str = ""
  share: float = 0.0
  mask: bytes = b""
  looks: Any = None


class FaceBuilder(RecordBuilder, skip_registration=True):  # type: ignore[call-arg]
  """A builder of image files in folders. A subclass has `_find_faces`, and may refine the rest."""

  VERSION = version()
  noted = ("unreadable", "split_by_content")
  prefix = ""  # of a record's source, before the path below the root

  @property
  def root(self) -> Path:
    """The folder that all files are below."""
    return Path(self.builder_config.path)

  @abc.abstractmethod
  def _find_faces(self) -> tuple[list[FaceFile], list[list[str]]]:
    """(list of FaceFile, what had to be left out before any image was opened as [path, reason])."""

  def _mask(self, face: FaceFile, size: tuple[int, int]) -> bytes:
    """A face's mask as PNG bytes, given its size (height, width); called from several threads."""
    return WHOLE[NOT_MANIPULATED if face.label == schema.REAL else UNKNOWN]

  def _looks(self, image: np.ndarray) -> Any:
    """What `_content_splits` wants to know of an image, uint8[H, W, 3]; called from several threads."""

  def _content_splits(self, checked: list[Checked]) -> list[str]:
    """The split of each of these images, which have none of their own: 70, 15 and 15 % by a hash of its bytes."""
    return [split_of(one.share) for one in checked]

  def _notes(self) -> dict[str, Any]:
    """What else the metadata should hold."""
    return {}

  def _info(self):
    metadata = tfds.core.MetadataDict(unreadable=[], split_by_content=False)
    return tfds.core.DatasetInfo(builder=self, features=schema.face_features(), metadata=metadata)

  def _split_generators(self, dl_manager):
    """Two passes over the files: this one finds out which can be read and where they belong, as tfds can neither drop
    a split that turns out empty nor write metadata from a generator; the second one copies the bytes.

    Raises: UserError if no image of one class can be read.
    """
    faces, left_out = self._find_faces()
    checked = list(self._checked(faces))
    self._refuse_unreadable_classes(faces, checked)
    kept = [pair for pair in zip(faces, checked, strict=True) if not pair[1].unreadable]
    by_content = iter(self._content_splits([one for face, one in kept if face.split is None]))
    records = {split: [] for split in SPLITS}
    for face, one in kept:
      records[face.split or next(by_content)].append((face, one.mask))
    left_out += [[self._source(face), one.unreadable] for face, one in zip(faces, checked, strict=True)
                 if one.unreadable]
    self.info.metadata.update(
        unreadable=sorted(left_out), split_by_content=any(face.split is None for face in faces), **self._notes())
    return {split: self._generate_examples(chosen) for split, chosen in records.items() if chosen}

  def _checked(self, faces):
    """Yields the `Checked` of each image, in their order."""
    return with_bar(lambda face: self._check(face, read_bytes), faces)

  def _check(self, face, read):
    """Decodes what read(its path) returns; never raises for what is wrong with it."""
    try:
      image, share = with_share(read(face.path), face.path)
    except UserError as error:
      return Checked(unreadable=reason_without(face.path, error))
    return Checked(share=share, mask=self._mask(face, image.shape[:2]), looks=self._looks(image))

  def _refuse_unreadable_classes(self, faces, checked):
    groups = {}
    for face, one in zip(faces, checked, strict=True):
      groups.setdefault((face.split, face.label), []).append((face, one))
    for (_, label), members in groups.items():
      if all(one.unreadable for _, one in members):
        face, one = members[0]
        raise UserError(f"{self._place(face)}: none of its {len(members)} {schema.LABELS[label]} images can be read;"
                        f" replace them (the first is {self._source(face)}: {one.unreadable})")

  def _place(self, face):
    """What is to be mended where no image like this one can be read."""
    return self.root / Path(relative(face.path, self.root)).parts[0] if face.split else self.root

  def _source(self, face):
    return self.prefix + relative(face.path, self.root)

  def _generate_examples(self, records):
    for face, mask in records:
      source = self._source(face)
      yield os.fsencode(source), record(
          source, read_bytes(face.path), face.label, mask, face.regions, face.difficulty)


def record(source, image, label, mask, regions=(), difficulty="none"):
  """What a builder hands to tfds, see `schema`; `regions` by name."""
  return {
      "image": image, "label": label, "mask": mask, "difficulty": difficulty,
      "regions": np.array([name in regions for name in schema.REGIONS]),
      "source": os.fsencode(source)}  # a name's own bytes, which need not be UTF-8


def read_share(path):
  """(image uint8[H, W, 3], a number in 0..1 that the file's bytes decide). Raises: UserError that names the file."""
  return with_share(read_bytes(path), path)


def with_share(data, path):
  """As `read_share`, of the bytes that path holds."""
  return decode_image(data, str(path)), int.from_bytes(hashlib.sha256(data).digest()[:8]) / 2**64


def split_of(share):
  """Which split a number in 0..1 stands for."""
  return next(split for split, end in HASH_SPLITS if share < end)


def fingerprint(root, paths):
  """Ten hexadecimal digits over names, sizes and times of files below root, whatever their order."""
  digest = hashlib.sha256()
  for path in sorted(paths):
    try:
      stat = path.stat()
      state = (stat.st_size, stat.st_mtime_ns)
    except OSError as error:  # a dangling link: it will be among the unreadable
      state = (error.errno, 0)
    digest.update(repr((relative(path, root), *state)).encode())
  return digest.hexdigest()[:10]


WHOLE = {value: encode_image(np.full((1, 1), value, np.uint8), "PNG") for value in (NOT_MANIPULATED, UNKNOWN)}


def relative(path, root):
  """A path below root, with slashes."""
  return path.relative_to(root).as_posix()


def reason_without(path, error):
  """What an error says of a file, without its path."""
  return str(error).removeprefix(one_line(f"{path}: "))
