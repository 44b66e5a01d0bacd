"""The photographs of a folder of real faces, and each as it is and forged.

    faces/**.jpg       faces/real/**.jpg       faces/train/**.jpg and so on       faces/train/real/**.jpg and so on

What lies in fake/ and mask/ beside real/ is not looked at. Splits are those of the builder `folder`: the folder's own,
or else by a hash of each photograph's bytes. A photograph and its forgery are always in the same one, and so is the
photograph that a region came from. Both are encoded last, at the same quality.
"""


import numpy as np

from fakeface_jax.data import schema
from fakeface_jax.data.builders import base
from fakeface_jax.data.builders.folder import class_folders, image_files, not_used
from fakeface_jax.data.forging.forge import NEED_DONOR, Photograph, encode, forge, last_quality
from fakeface_jax.data.forging.landmarks import choose_framing, find_points
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.data.reading.threads import with_bar
from fakeface_jax.errors import UserError

EXPECTED = "expected photographs of real faces at the top, in real/, or in train/, val/, test/ with or without real/"
SAMPLE = 64  # photographs of a split that tell its framing


def find_photographs(root):
  """The photographs below a folder, unread.

  Returns: (list of `FaceFile`; [path below root, reason] of pictures of kinds that are not read; the same of images
    beside them; list of what is nothing like an image).
  Raises: UserError if there is no such folder, no image in it or in a split of it, or fakes without real/.
  """
  faces, unread, ignored = [], [], []
  splits, others = class_folders(root, EXPECTED)
  # without any classes everything is used
  beside = not_used(root, others, [place for place, inside in splits.values() if inside]) if splits else []
  for split, (place, inside) in (splits or {None: (root, {})}).items():
    if "real" not in inside and inside:
      names = ", ".join(f"{folder.name}/" for folder in inside.values())
      raise UserError(f"{place}: has {names} but no real/; {EXPECTED}")
    place = inside.get("real", place)
    found = image_files(place)
    if not found.images:
      raise UserError(f"{place}: holds no image ({found.in_words}); {EXPECTED}")
    faces += [base.FaceFile(path, schema.REAL, split) for path in found.images]
    unread += [[base.relative(path, root), what] for path, what in found.unread.items()]
    ignored += found.others
  return faces, unread, beside, ignored


def readable_photographs(root, faces):
  """({split: paths} of the photographs that can be read, sorted, [(path below root, why not)] of the others).

  Raises: UserError where none can be read.
  """
  found, unreadable = {split: [] for split in base.SPLITS}, []
  for face, (share, reason) in zip(faces, with_bar(_share_or_reason, faces), strict=True):
    if reason:
      unreadable.append([base.relative(face.path, root), reason])
    else:
      found[face.split or base.split_of(share)].append(face.path)
  if not any(found.values()):
    raise UserError(f"{root}: none of its {len(faces)} images can be read; replace them (the first is"
                    f" {': '.join(unreadable[0])})")
  return {split: paths for split, paths in found.items() if paths}, sorted(unreadable)


def _share_or_reason(face):
  try:
    return base.read_share(face.path)[1], None
  except UserError as error:
    return None, base.reason_without(face.path, error)


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

  Args: `photographs`: `Photographs`, from which the donors are drawn too.
  Returns: (JPEG bytes, [(Forgery, its JPEG bytes, path of the photograph that is in it or None)] * per_image); the
    same for the same arguments.
  """
  host, count = photographs[index], len(photographs)
  quality = last_quality(np.random.default_rng([seed, index]))
  forged = []
  for number in range(per_image):
    rng = np.random.default_rng([seed, index, number + 1])
    donor = (index + int(rng.integers(1, count))) % count if count > 1 else None
    forgery = forge(rng, host, None if donor is None else photographs[donor])
    path = photographs.paths[donor] if forgery.operation in NEED_DONOR else None
    forged.append((forgery, encode(forgery.image, quality), path))
  return encode(host.image, quality), forged
