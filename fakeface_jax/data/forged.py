"""The TFDS builder `forged`: from a folder of real faces alone, every face as it is and once forged, with its mask.

    faces/**.jpg       faces/real/**.jpg       faces/train/**.jpg and so on       faces/train/real/**.jpg and so on

What lies in fake/ and mask/ beside real/ is not looked at. Splits are those of the builder `folder`: the folder's own,
or else by a hash of each photograph's bytes. A photograph and its forgery are always in the same one, and so is the
photograph that a region came from. Both are encoded last, at the same quality.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np

from fakeface_jax.data import features
from fakeface_jax.data.face_builder import (
  NOT_MANIPULATED,
  SPLITS,
  WHOLE,
  Face,
  FaceBuilder,
  fingerprint,
  png,
  quiet,
  read_share,
  reason_without,
  relative,
  split_of,
)
from fakeface_jax.data.folder import SPLITS as SPLIT_NAMES
from fakeface_jax.data.folder import FolderConfig, image_files, named_folders
from fakeface_jax.data.forge import SAMPLE, Forgery, Photograph, encode, forge, last_quality
from fakeface_jax.data.images import read_image
from fakeface_jax.data.landmarks import choose_framing, find_points
from fakeface_jax.data.threads import in_order, with_bar
from fakeface_jax.errors import UserError

EXPECTED = "expected photographs of real faces at the top, in real/, or in train/, val/, test/ with or without real/"
SEED = 0  # of the builder's forgeries


@dataclasses.dataclass(frozen=True)
class Forged:
  """A forgery in its file's form, and the photograph that it took a region from, if any."""

  forgery: Forgery
  jpeg: bytes
  donor: Path | None


def find_photographs(root):
  """The photographs below a folder, unread: (list of `Face`, list of the files that are no images).

  Raises: UserError if there is no such folder, no image in it or in a split of it, or fakes without real/.
  """
  if not root.is_dir():
    raise UserError(f"{root}: {'is not a folder' if root.exists() else 'no such folder'}; {EXPECTED}")
  faces, ignored = [], []
  for split, place in named_folders(root, SPLIT_NAMES).items() or ((None, root),):
    inside = named_folders(place, {name: name for name in (*features.LABELS, "mask")})
    if "real" not in inside and inside:
      raise UserError(f"{place}: has {', '.join(f'{name}/' for name in inside)} but no real/; {EXPECTED}")
    place = inside.get("real", place)
    images, others = image_files(place)
    if not images:
      raise UserError(f"{place}: holds no image ({len(others)} other files); {EXPECTED}")
    faces += [Face(path, features.REAL, split) for path in images]
    ignored += others
  return faces, ignored


def readable_photographs(root, faces):
  """({split: paths} of the photographs that can be read, sorted, [(path below root, why not)] of the others).

  Raises: UserError where none can be read.
  """
  found, unreadable = {split: [] for split in SPLITS}, []
  for face, (share, reason) in zip(faces, with_bar(_share_or_reason, faces), strict=True):
    if reason:
      unreadable.append([relative(face.path, root), reason])
    else:
      found[face.split or split_of(share)].append(face.path)
  if not any(found.values()):
    raise UserError(f"{root}: none of its {len(faces)} images can be read; replace them (the first is"
                    f" {': '.join(unreadable[0])})")
  return {split: paths for split, paths in found.items() if paths}, sorted(unreadable)


def _share_or_reason(face):
  try:
    return read_share(face.path)[1], None
  except UserError as error:
    return None, reason_without(face.path, error)


class Photographs:
  """The photographs of a split, read when asked for; where a face lies in one is found once.

  Args: `paths`: of them, readable ones.
  Attributes: `paths`.
  """

  def __init__(self, paths):
    self.paths, self._found = paths, {}
    self._framing = choose_framing(map(read_image, paths[:: max(1, len(paths) // SAMPLE)]))

  def __len__(self):
    return len(self.paths)

  def __getitem__(self, index):
    image = read_image(self.paths[index])
    if index not in self._found:
      self._found[index] = find_points(image, self._framing)
    return Photograph(image, *self._found[index])


def forge_photograph(photographs, index, *, seed, per_image=1):
  """One of a split's photographs, encoded again, and forgeries of it.

  Args:
    photographs: `Photographs`, from which the donors are drawn too.
    index: which of them.
  Returns: (JPEG bytes, [Forged] * per_image); the same for the same arguments.
  """
  host, count = photographs[index], len(photographs)
  quality = last_quality(np.random.default_rng([seed, index]))
  forged = []
  for number in range(per_image):
    rng = np.random.default_rng([seed, index, number + 1])
    donor = (index + int(rng.integers(1, count))) % count if count > 1 else None
    forgery = forge(rng, host, None if donor is None else photographs[donor])
    path = photographs.paths[donor] if forgery.donor_used else None
    forged.append(Forged(forgery, encode(forgery.image, quality), path))
  return encode(host.image, quality), forged


def forged_builder(path, data_dir=None):
  """A builder for the photographs below a folder and forgeries of them; arguments as of `folder.folder_builder`."""
  path = Path(path).expanduser()
  name = re.sub(r"[^A-Za-z0-9_]+", "_", path.resolve().name).strip("_") or "root"
  faces, ignored = find_photographs(path)
  state = fingerprint(path, [*(face.path for face in faces), *ignored])
  config = FolderConfig(name=f"{name}-{state}", path=str(path.resolve()))
  with quiet():
    return ForgedFaces(config=config, data_dir=data_dir, file_format="array_record")


class ForgedFaces(FaceBuilder):
  """See the module's docstring; made by `forged_builder`."""

  name = "forged"

  @property
  def root(self):
    return Path(self.builder_config.path)

  def _find_faces(self):
    faces, self._ignored = find_photographs(self.root)
    return faces, []

  def _notes(self):
    return {"ignored_files": len(self._ignored)}

  def _generate_examples(self, records):
    paths = [face.path for face, _ in records]
    photographs = Photographs(paths)
    forged = in_order(lambda index: forge_photograph(photographs, index, seed=SEED), range(len(paths)))
    for path, (genuine, (fake,)) in zip(paths, forged, strict=True):
      source = relative(path, self.root)
      yield source, {
          "image": genuine, "label": features.REAL, "mask": WHOLE[NOT_MANIPULATED],
          "regions": np.zeros(len(features.REGIONS), np.bool_), "difficulty": "none",
          "source": f"{source} (saved again)"}  # not the pixels of the file of that name
      yield f"{source} forged", {
          "image": fake.jpeg, "label": features.FAKE, "mask": png(fake.forgery.mask),
          "regions": np.array([name == fake.forgery.region for name in features.REGIONS]),
          "source": f"{source} ({fake.forgery.region}, {fake.forgery.operation})", "difficulty": "none"}
