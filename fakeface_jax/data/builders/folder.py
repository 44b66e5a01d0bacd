"""The TFDS builder `folder`: anyone's images in real/ and fake/, optionally below train/, val/ and test/.

    faces/real/**.jpg            faces/train/real/**.jpg         or faces/real/train/**.jpg, or faces/train_real/**.jpg;
    faces/fake/**.jpg      or    faces/train/fake/**.jpg         the usual other names will do (see `folder_names`), any
    faces/mask/**.png            faces/train/mask/**.png ...     image format of `images`, sub-folders are read too

Splits that the folder has are given as they are, so there may be a test split only. Without any, each image goes to
train (70 %), val (15 %) or test (15 %) by a hash of its bytes: copies of a file never straddle splits, and no image
moves when others are added. mask/ is optional; mask/a/b.png or mask/b.png belongs to fake/a/b.jpg.

The records hold the files' own bytes (see `schema`). What was left out is in `builder.info.metadata`: `unreadable`,
`masks_ignored` and `not_used` (images beside the folders of the classes, but for the overview `schema.SHEET`), lists of
[path, reason], and `ignored_files`, how many files in real/ and fake/ were neither images nor anything like them.
"""

import collections
import dataclasses
import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from fakeface_jax.data import schema
from fakeface_jax.data.builders import base
from fakeface_jax.data.builders.folder_names import MASK, contents, entries, subfolders
from fakeface_jax.data.reading.finding import all_files_below, files_below, sorted_out
from fakeface_jax.data.reading.images import decode_image, encode_image, read_bytes
from fakeface_jax.errors import UserError
from fakeface_jax.paths import FOLDER, NOTHING, path_kind, user_path

EXPECTED = "expected folders real/ and fake/ with images in them, or train/, val/, test/ each with real/ and fake/"


def folder_builder(path: str | os.PathLike, data_dir: str | os.PathLike | None = None) -> "Folder":
  """A builder for the images below a folder; `download_and_prepare()` then reads every one of them.

  Args:
    data_dir: where the records are kept; by default TFDS's own place ($TFDS_DATA_DIR or ~/tensorflow_datasets).
  Raises: UserError if there is no such folder, or a split of it lacks one of the classes.
  """
  path = Path(user_path(path))
  faces = find_faces(path)
  named = [path / name for name, _ in (*faces.masks_ignored, *faces.unreadable, *faces.not_used)]
  state = base.fingerprint(path, [
      *itertools.chain(*faces.images.values()), *faces.masks.values(), *named, *faces.ignored_files])
  return Folder(config=base.folder_config(path, state), data_dir=data_dir)


class Folder(base.FaceBuilder):
  """See the module's docstring; made by `folder_builder`."""

  name = "folder"

  def _find_faces(self):
    self._faces = faces = find_faces(self.root)
    self._masks_ignored = list(faces.masks_ignored)
    return [base.FaceFile(path, label, split) for (split, label), paths in faces.images.items() for path in paths], (
        faces.unreadable)

  def _mask(self, face, size):
    path = self._faces.masks.get(face.path)
    if path:
      try:
        return encode_image(read_mask(path, size), "PNG")
      except UserError as error:
        self._masks_ignored.append([base.relative(path, self.root), base.reason_without(path, error)])
    return super()._mask(face, size)

  def _notes(self):
    return {"masks_ignored": sorted(self._masks_ignored), "not_used": self._faces.not_used,
            "ignored_files": len(self._faces.ignored_files)}


def find_faces(root: Path) -> SimpleNamespace:
  """The files below the folder, none of them opened. Raises: UserError as `folder_builder` does."""
  splits, others = class_folders(root)
  if not splits:
    parquet = f"; parquet files are read by config.data.name=hub (as one word: hub:{root})"
    raise UserError(f"{root}: {EXPECTED}; found {contents(root)}{parquet if any(root.rglob('*.parquet')) else ''}")
  faces = SimpleNamespace(
      images={}, masks={},  # {(split or None, label): paths}, {fake's path: mask's path}
      # [path, reason] of masks that serve no fake, pictures of a kind that is not read, images outside of the classes
      masks_ignored=[], unreadable=[], not_used=[],
      ignored_files=[])  # what is nothing like an image
  for split, (place, classes) in splits.items():
    for label, name in enumerate(schema.LABELS):
      if name not in classes:
        which = f" of {split}" if split and place == root else ""
        raise UserError(f"{place}: has no folder {name}/{which}; {EXPECTED}; found {contents(place)}")
      found = image_files(classes[name])
      if not found.images:
        raise UserError(f"{classes[name]}: holds no image ({found.in_words}); put {name} images there")
      faces.images[split, label] = found.images
      faces.unreadable += [[base.relative(path, root), what] for path, what in found.unread.items()]
      faces.ignored_files += found.others
    if MASK in classes:
      _add_masks(faces, faces.images[split, schema.FAKE], classes["fake"], classes[MASK], root)
  faces.not_used += not_used(root, others, [place for place, _ in splits.values()])
  return faces


def class_folders(root: Path, expected=EXPECTED):
  """The folders of a data set by what their names mean.

  Args: `expected`: what an error says of that.
  Returns: ({split: (the folder for messages, {'real', 'fake', 'mask': folder})}, split None where the folder has none;
    [folders beside those, whose names mean nothing]).
  Raises: UserError where there is no such folder, or its parts contradict each other.
  """
  kind = path_kind(root)
  if kind != FOLDER:
    raise UserError(f"{root}: {'no such folder' if kind == NOTHING else 'is not a folder'}; {expected}")
  known, others = subfolders(root)
  splits = {split: folder for (split, kind), folder in known.items() if not kind}
  classes = collections.defaultdict(dict)
  for (split, kind), folder in known.items():
    if kind:
      classes[split][kind] = folder
  if splits and any(schema.LABELS[0] in of_split or schema.LABELS[1] in of_split for of_split in classes.values()):
    names = [", ".join(f"{folder.name}/" for folder in sorted(folders)) for folders in (
        (folder for of_split in classes.values() for folder in of_split.values()), splits.values())]
    raise UserError(f"{root}: holds both {names[0]} and {names[1]}; keep the classes either at the top or below the "
                    "splits")
  if splits:
    others += [folder for of_split in classes.values() for folder in of_split.values()]  # masks of no split
    found = {}
    for split, folder in splits.items():
      inner, unknown = subfolders(folder)
      found[split] = folder, {kind: place for (_, kind), place in inner.items() if kind}
      others += [*unknown, *(place for (_, kind), place in inner.items() if not kind)]
    return found, others
  if list(classes) == ["train"]:  # training_real/ and training_fake/ alone are no split of anything
    classes = collections.defaultdict(dict, {None: classes["train"]})
  if list(classes) == [None]:
    return _split_within(root, classes[None]) or {None: (root, classes[None])}, others
  return {split: (root, of_split) for split, of_split in classes.items()}, others


def _split_within(root, classes):
  """The splits of real/train/ and so on; None where the classes hold anything else than splits."""
  found = collections.defaultdict(dict)
  for kind, folder in classes.items():
    inner, unknown = subfolders(folder)
    if not inner or unknown or any(inner_kind for _, inner_kind in inner) or sorted_out(entries(folder)[1])[0]:
      return None
    for (split, _), place in inner.items():
      found[split][kind] = place
  return {split: (root, of_split) for split, of_split in found.items()}


def not_used(root, folders, places):
  """[path, reason] of images that belong to no class: in these folders, and loose in root and these places."""
  rows = []
  for folder in folders:
    images, _ = sorted_out(files_below(folder, []))
    if images:
      rows.append([f"{base.relative(folder, root)}/", f"(images: {len(images):,}), whose name means neither real nor"
                   " fake; rename it, or move it away"])
  for place in dict.fromkeys([root, *places]):
    images, _ = sorted_out(file for file in entries(place)[1] if file.name != schema.SHEET)
    if images:
      more = f"(and {len(images) - 1:,} more) " if images[1:] else ""
      rows.append([base.relative(images[0], root), f"{more}beside the folders of the classes; put images into real/ or"
                   " fake/, or move them away"])
  return rows


def _add_masks(faces, fakes, fake_folder, mask_folder, root):
  """Pairs masks with fakes by relative path, or by bare name; a mask that fits none or several serves nobody."""
  by_path, by_name = collections.defaultdict(list), collections.defaultdict(list)
  for fake in fakes:
    by_path[fake.relative_to(fake_folder).with_suffix("")].append(fake)
    by_name[Path(fake.stem)].append(fake)
  found = image_files(mask_folder)
  faces.masks_ignored += [[base.relative(path, root), what] for path, what in found.unread.items()]
  for mask in found.images:
    name = mask.relative_to(mask_folder).with_suffix("")
    owners = by_path[name] or by_name[name]
    if len(owners) == 1 and owners[0] not in faces.masks:
      faces.masks[owners[0]] = mask
    else:
      reason = f"fits {len(owners)} images in fake/" if len(owners) != 1 else "its image has another mask already"
      faces.masks_ignored.append([base.relative(mask, root), reason])


@dataclasses.dataclass
class Found:
  """The files below a folder: images, {picture of a kind that is not read: what it is}, and whatever else."""

  images: list
  unread: dict
  others: list

  @property
  def in_words(self):
    """What there is instead of images."""
    if self.unread:
      path, what = next(iter(self.unread.items()))
      return f"{len(self.unread)} pictures of other kinds; the first, {path.name}, {what}"
    return f"{len(self.others)} other files"


def image_files(folder) -> Found:
  """What lies at any depth below a folder, sorted. Raises: UserError if it cannot be listed."""
  images, others = sorted_out(all_files_below(folder, hidden_files=True))
  return Found(images, {path: what for path, what in others.items() if what}, [
      path for path, what in others.items() if not what])


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
