"""The TFDS builder `folder`: anyone's images in real/ and fake/, optionally below train/, val/ and test/.

    faces/real/**.jpg            faces/train/real/**.jpg         val/ may be called valid/ or validation/ as well;
    faces/fake/**.jpg      or    faces/train/fake/**.jpg         upper and lower case do not matter, any image format
    faces/mask/**.png            faces/train/mask/**.png ...     of `images` will do, sub-folders are read too

Splits that the folder has are given as they are, so there may be a test split only. Without any, each image goes to
train (70 %), val (15 %) or test (15 %) by a hash of its bytes: copies of a file never straddle splits, and no image
moves when others are added. mask/ is optional; mask/a/b.png or mask/b.png belongs to fake/a/b.jpg.

The records hold the files' own bytes (see `features`). What was left out is in `builder.info.metadata`: `unreadable`
and `masks_ignored`, lists of [path, reason], and `ignored_files`, how many files in real/ and fake/ were no images.
"""

import collections
import dataclasses
import re
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from fakeface_jax.data import features
from fakeface_jax.data.face_builder import Face, FaceBuilder, fingerprint, png, quiet, reason_without, relative
from fakeface_jax.data.images import IMAGE_SUFFIXES, decode_image, files_below, read_bytes
from fakeface_jax.errors import UserError

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
EXPECTED = "expected folders real/ and fake/ with images in them, or train/, val/, test/ each with real/ and fake/"


def folder_builder(path, data_dir=None):
  """A builder for the images below a folder; `download_and_prepare()` then reads every one of them.

  Args:
    path: the folder.
    data_dir: where the records are kept; by default TFDS's own place ($TFDS_DATA_DIR or ~/tensorflow_datasets).
  Raises: UserError if there is no such folder, or a split of it lacks one of the classes.
  """
  path = Path(path).expanduser()
  faces = find_faces(path)
  name = re.sub(r"[^A-Za-z0-9_]+", "_", path.resolve().name).strip("_") or "root"
  config = FolderConfig(name=f"{name}-{_state(path, faces)}", path=str(path.resolve()))
  with quiet():  # tfds warns of every config that is not in its registry
    return Folder(config=config, data_dir=data_dir, file_format="array_record")


@dataclasses.dataclass
class FolderConfig(tfds.core.BuilderConfig):
  """Which folder; `name` also tells its state, so that a changed folder is prepared anew."""

  path: str = ""


@dataclasses.dataclass
class Faces:
  """The files below a folder, unread: {(split, label): paths}, split None if the folder has none; masks by fake."""

  images: dict
  masks: dict  # fake's path: mask's path
  masks_ignored: list  # of [path, reason]
  ignored_files: list


class Folder(FaceBuilder):
  """See the module's docstring; made by `folder_builder`."""

  name = "folder"

  @property
  def root(self):
    return Path(self.builder_config.path)

  def _find_faces(self):
    self._faces = faces = find_faces(self.root)
    self._masks_ignored = list(faces.masks_ignored)
    return [Face(path, label, split) for (split, label), paths in faces.images.items() for path in paths], []

  def _mask(self, face, size):
    path = self._faces.masks.get(face.path)
    if path:
      try:
        return png(read_mask(path, size))
      except UserError as error:
        self._masks_ignored.append([relative(path, self.root), reason_without(path, error)])
    return super()._mask(face, size)

  def _notes(self):
    return {"masks_ignored": sorted(self._masks_ignored), "ignored_files": len(self._faces.ignored_files)}


def find_faces(root: Path) -> Faces:
  """Looks through the folder without opening a file. Raises: UserError as `folder_builder` does."""
  if not root.is_dir():
    raise UserError(f"{root}: {'is not a folder' if root.exists() else 'no such folder'}; {EXPECTED}")
  classes, splits = named_folders(root, {name: name for name in features.LABELS}), named_folders(root, SPLITS)
  if classes and splits:
    raise UserError(f"{root}: holds both {_listed(classes)} and {_listed(splits)}; "
                    "keep the classes either at the top or below the splits")
  if not classes and not splits:
    entries = [entry.name + "/" * entry.is_dir() for entry in _entries(root)]
    found = ", ".join(entries[:8]) + (f" and {len(entries) - 8} more" if len(entries) > 8 else "")
    raise UserError(f"{root}: {EXPECTED}; found {found or 'nothing'}")
  faces = Faces({}, {}, [], [])
  for split, folder in splits.items() or ((None, root),):
    _add_split(faces, split, folder, root)
  return faces


def _add_split(faces, split, folder, root):
  classes = named_folders(folder, {name: name for name in features.LABELS})
  for label, name in enumerate(features.LABELS):
    if name not in classes:
      raise UserError(f"{folder}: has no folder {name}/; {EXPECTED}")
    paths, others = image_files(classes[name])
    if not paths:
      raise UserError(f"{classes[name]}: holds no image ({len(others)} other files); put {name} images there")
    faces.images[split, label] = paths
    faces.ignored_files += others
  mask_folder = named_folders(folder, {"mask": "mask"}).get("mask")
  if mask_folder:
    _add_masks(faces, faces.images[split, features.FAKE], classes["fake"], mask_folder, root)


def _add_masks(faces, fakes, fake_folder, mask_folder, root):
  """Pairs masks with fakes by relative path, or by bare name; a mask that fits none or several serves nobody."""
  by_path, by_name = collections.defaultdict(list), collections.defaultdict(list)
  for fake in fakes:
    by_path[fake.relative_to(fake_folder).with_suffix("")].append(fake)
    by_name[Path(fake.stem)].append(fake)
  for mask in image_files(mask_folder)[0]:
    name = mask.relative_to(mask_folder).with_suffix("")
    owners = by_path[name] or by_name[name]
    if len(owners) == 1 and owners[0] not in faces.masks:
      faces.masks[owners[0]] = mask
    else:
      reason = f"fits {len(owners)} images in fake/" if len(owners) != 1 else "its image has another mask already"
      faces.masks_ignored.append([relative(mask, root), reason])


def named_folders(parent, names):
  """{canonical name: folder} of the sub-folders that `names` ({lower-case name: canonical}) knows."""
  found = {}
  for entry in _entries(parent):
    name = names.get(entry.name.lower())
    if name and entry.is_dir():
      if name in found:
        raise UserError(f"{parent}: {found[name].name}/ and {entry.name}/ mean the same; keep one of them")
      found[name] = entry
  return found


def _entries(folder):
  try:
    return sorted(folder.iterdir())
  except OSError as error:
    raise UserError(f"{folder}: cannot be listed: {error.strerror}; change its permissions") from error


def image_files(folder):
  """(image files, other files) at any depth below a folder, sorted. Raises: UserError if it cannot be listed."""
  problems = []
  files = files_below(folder, problems, hidden_files=True)
  if problems:
    raise UserError("{}: {}; change its permissions".format(*problems[0]))
  images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")]
  return images, sorted(set(files) - set(images))


def _state(root, faces):
  """A fingerprint of all files that matter."""
  masks = [root / path for path, _ in faces.masks_ignored] + list(faces.masks.values())
  return fingerprint(root, [*(path for paths in faces.images.values() for path in paths), *masks, *faces.ignored_files])


def read_mask(path, size) -> np.ndarray:
  """A mask as uint8[H, W] of 0, 128 (unknown) and 255, whatever its author wrote.

  Black-and-white images of 0 and 1 are scaled; greys in between (JPEG, antialiasing) are cut at 64 and 192.
  Raises: UserError if it cannot be read, is not of that size (H, W), is coloured, or so dark that it must be a map of
  class numbers.
  """
  image = decode_image(read_bytes(path), str(path))
  mask = image[..., 0]
  if mask.shape != tuple(size):
    raise UserError(f"{path}: is {mask.shape[1]} x {mask.shape[0]} pixels, its image {size[1]} x {size[0]}")
  if np.ptp(image.astype(np.int16), axis=2).max() > 16:  # JPEG greys may differ a little
    raise UserError(f"{path}: is coloured; expected grey")
  if mask.max() == 1:
    return mask * np.uint8(255)
  if 1 < mask.max() < 64:
    raise UserError(f"{path}: its brightest value is {mask.max()}; expected 255 where manipulated")
  return np.where(mask < 64, 0, np.where(mask < 192, 128, 255)).astype(np.uint8)


def _listed(folders):
  return ", ".join(f"{folder.name}/" for folder in folders.values())
