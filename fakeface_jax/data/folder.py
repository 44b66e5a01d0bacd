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
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import io
import itertools
import os
import re
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
import tqdm
from absl import logging
from PIL import Image
from tensorflow_datasets.core.utils import tqdm_utils

from fakeface_jax.data import features
from fakeface_jax.data.images import IMAGE_SUFFIXES, decode_image, files_below, read_bytes
from fakeface_jax.errors import UserError

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
HASH_SPLITS = (("train", 0.70), ("val", 0.85), ("test", 1.0))  # each with the upper end of its share
EXPECTED = "expected folders real/ and fake/ with images in them, or train/, val/, test/ each with real/ and fake/"
BATCH = 256  # files in flight while checking, so that Ctrl-C is heard soon
NOT_MANIPULATED, UNKNOWN = 0, 128


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
  config = FolderConfig(name=f"{name}-{_fingerprint(path, faces)}", path=str(path.resolve()))
  with _quiet():  # tfds warns of every config that is not in its registry
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


class Folder(tfds.core.GeneratorBasedBuilder):
  """See the module's docstring; made by `folder_builder`."""

  VERSION = tfds.core.Version("1.0.0")
  name = "folder"

  def _info(self):
    metadata = tfds.core.MetadataDict(unreadable=[], masks_ignored=[], ignored_files=0, split_by_content=False)
    return tfds.core.DatasetInfo(builder=self, features=features.face_features(), metadata=metadata)

  def download_and_prepare(self, **kwargs):
    """Reads and checks every image, then writes the records; quick where that was done before.

    Raises: UserError if no image of one class can be read; OSError if the records cannot be written.
    """
    with _quiet():
      super().download_and_prepare(**kwargs)

  def _log_download_bytes(self):
    """tfds prints sizes of a download here; there is none."""

  def _log_download_done(self):
    pass

  def _split_generators(self, dl_manager):
    """Two passes over the files: this one finds out which can be read and where they belong, as tfds can neither drop
    a split that turns out empty nor write metadata from a generator; the second one copies the bytes."""
    root = Path(self.builder_config.path)
    faces = find_faces(root)
    tasks = [(split, label, path, faces.masks.get(path))
             for (split, label), paths in faces.images.items() for path in paths]
    kept, unreadable, masks_ignored = {}, {group: [] for group in faces.images}, list(faces.masks_ignored)
    for (split, label, path, mask_path), checked in zip(tasks, _in_threads(_check, tasks), strict=True):
      if checked.unreadable:
        unreadable[split, label].append([_relative(path, root), checked.unreadable])
        continue
      if checked.mask_ignored:
        masks_ignored.append([_relative(mask_path, root), checked.mask_ignored])
      kept.setdefault(split or checked.hash_split, []).append((path, label, checked.mask))
    for (split, label), left_out in unreadable.items():
      if len(left_out) == len(faces.images[split, label]):
        raise UserError(f"{root / (split or '')}: none of its {len(left_out)} {features.LABELS[label]} images can be "
                        f"read; replace them (the first is {': '.join(left_out[0])})")
    self.info.metadata.update(
        unreadable=sorted(itertools.chain(*unreadable.values())), masks_ignored=sorted(masks_ignored),
        ignored_files=len(faces.ignored_files), split_by_content=(None, features.FAKE) in faces.images)
    return {split: self._generate_examples(kept[split], root) for split in ("train", "val", "test") if split in kept}

  def _generate_examples(self, records, root):
    for path, label, mask in records:
      source = _relative(path, root)
      yield source, {
          "image": read_bytes(path),
          "label": label,
          "mask": mask,
          "regions": np.zeros(len(features.REGIONS), np.bool_),
          "difficulty": "none",
          "source": source,
      }


def find_faces(root: Path) -> Faces:
  """Looks through the folder without opening a file. Raises: UserError as `folder_builder` does."""
  if not root.is_dir():
    raise UserError(f"{root}: {'is not a folder' if root.exists() else 'no such folder'}; {EXPECTED}")
  classes, splits = _folders(root, {name: name for name in features.LABELS}), _folders(root, SPLITS)
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
  classes = _folders(folder, {name: name for name in features.LABELS})
  for label, name in enumerate(features.LABELS):
    if name not in classes:
      raise UserError(f"{folder}: has no folder {name}/; {EXPECTED}")
    paths, others = _image_files(classes[name])
    if not paths:
      raise UserError(f"{classes[name]}: holds no image ({len(others)} other files); put {name} images there")
    faces.images[split, label] = paths
    faces.ignored_files += others
  mask_folder = _folders(folder, {"mask": "mask"}).get("mask")
  if mask_folder:
    _add_masks(faces, faces.images[split, features.FAKE], classes["fake"], mask_folder, root)


def _add_masks(faces, fakes, fake_folder, mask_folder, root):
  """Pairs masks with fakes by relative path, or by bare name; a mask that fits none or several serves nobody."""
  by_path, by_name = collections.defaultdict(list), collections.defaultdict(list)
  for fake in fakes:
    by_path[fake.relative_to(fake_folder).with_suffix("")].append(fake)
    by_name[Path(fake.stem)].append(fake)
  for mask in _image_files(mask_folder)[0]:
    name = mask.relative_to(mask_folder).with_suffix("")
    owners = by_path[name] or by_name[name]
    if len(owners) == 1 and owners[0] not in faces.masks:
      faces.masks[owners[0]] = mask
    else:
      reason = f"fits {len(owners)} images in fake/" if len(owners) != 1 else "its image has another mask already"
      faces.masks_ignored.append([_relative(mask, root), reason])


def _folders(parent, names):
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


def _image_files(folder):
  problems = []
  files = files_below(folder, problems, hidden_files=True)
  if problems:
    raise UserError("{}: {}; change its permissions".format(*problems[0]))
  images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")]
  return images, sorted(set(files) - set(images))


def _fingerprint(root, faces):
  """Ten hexadecimal digits over names, sizes and times of all files that matter."""
  digest = hashlib.sha256()
  masks = [root / path for path, _ in faces.masks_ignored] + list(faces.masks.values())
  for path in sorted([*(path for paths in faces.images.values() for path in paths), *masks, *faces.ignored_files]):
    try:
      stat = path.stat()
      state = (stat.st_size, stat.st_mtime_ns)
    except OSError as error:  # a dangling link: it will be among the unreadable
      state = (error.errno, 0)
    digest.update(repr((_relative(path, root), *state)).encode())
  return digest.hexdigest()[:10]


@dataclasses.dataclass
class _Checked:
  unreadable: str = ""
  hash_split: str = ""
  mask: bytes = b""
  mask_ignored: str = ""


def _check(task):
  """Reads and decodes one image and its mask; never raises for what is wrong with them."""
  _, label, path, mask_path = task
  try:
    data = read_bytes(path)
    size = decode_image(data, str(path)).shape[:2]
  except UserError as error:
    return _Checked(unreadable=_reason(error, path))
  share = int.from_bytes(hashlib.sha256(data).digest()[:8]) / 2**64
  checked = _Checked(hash_split=next(split for split, end in HASH_SPLITS if share < end))
  checked.mask = _WHOLE[NOT_MANIPULATED if label == features.REAL else UNKNOWN]
  if mask_path:
    try:
      checked.mask = _png(read_mask(mask_path, size))
    except UserError as error:
      checked.mask_ignored = _reason(error, mask_path)
  return checked


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


def _png(mask):
  file = io.BytesIO()
  Image.fromarray(mask).save(file, "PNG")
  return file.getvalue()


_WHOLE = {value: _png(np.full((1, 1), value, np.uint8)) for value in (NOT_MANIPULATED, UNKNOWN)}


def _in_threads(function, tasks):
  """function(task) for every task, in order, with a progress bar where there is a terminal (decoding frees the GIL)."""
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool, tqdm.tqdm(
      total=len(tasks), desc="Reading images", unit=" images", leave=False, disable=None) as bar:
    for start in range(0, len(tasks), BATCH):
      for result in pool.map(function, tasks[start:start + BATCH]):
        bar.update()
        yield result


@contextlib.contextmanager
def _quiet():
  """Without tfds's three nested progress bars and its log lines below errors."""
  verbosity, bars = logging.get_verbosity(), getattr(tqdm_utils, "_active", True)
  logging.set_verbosity(logging.ERROR)
  tfds.disable_progress_bar()
  try:
    yield
  finally:
    logging.set_verbosity(verbosity)
    tfds.display_progress_bar(bars)


def _relative(path, root):
  return path.relative_to(root).as_posix()


def _reason(error, path):
  return str(error).removeprefix(f"{path}: ")


def _listed(folders):
  return ", ".join(f"{folder.name}/" for folder in folders.values())
