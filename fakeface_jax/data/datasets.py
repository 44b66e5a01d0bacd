"""Finding a data set by its name or its folder, and its splits."""

import hashlib
import importlib
import logging
from pathlib import Path

from fakeface_jax.data.builders.folder import folder_builder
from fakeface_jax.data.builders.hub.builder import hub_builder
from fakeface_jax.data.builders.prepared import Records
from fakeface_jax.data.builders.published import PublishedBuilder, published_builder
from fakeface_jax.errors import UserError, did_you_mean, of_disk
from fakeface_jax.lines import one_line
from fakeface_jax.paths import FOLDER, path_kind, user_path

log = logging.getLogger(__name__)

NOTICED = 5  # of what is not used, so many are named

BUILDERS = {  # module in this package: class
    "synthetic_faces": "SyntheticFaces", "real_fake_140k": "RealFake140k", "hard_fake_real": "HardFakeReal",
    "ciplab": "Ciplab"}


class Dataset:
  """A prepared data set: random-access records by split.

  Attributes:
    splits: its own splits in order, {name: number of records}.
    metadata: what the builder noted while preparing, such as files it could not read.
  """

  def __init__(self, name, builder):
    self.name, self._builder = name, builder
    self.splits = {split: info.num_examples for split, info in builder.info.splits.items()}
    self.metadata = dict(builder.info.metadata or {})

  @property
  def fingerprint(self):
    """Changes with the records: a hash of the builder's name and version, and of its files' names, sizes and times."""
    files = sorted(path for path in Path(self._builder.data_dir).iterdir() if path.is_file())
    listing = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr((self._builder.info.full_name, listing)).encode()).hexdigest()[:16]

  def __getitem__(self, split):
    """Records of a split: 'test', 'all', or any tfds slice such as 'train[:90%]'.

    Raises: UserError where there is no such split, or nothing in it.
    """
    if split == "all":
      split = "+".join(self.splits)
    try:
      source = self._builder.as_data_source(split).data_source
    except (ValueError, KeyError, AssertionError) as error:
      raise UserError(
          f"{self.name} has no split {split!r}; it has {', '.join(self.splits)} (or 'all', or a slice such as"
          f" 'train[:90%]')") from error
    if len(source) == 0:
      raise UserError(f"split {split!r} of {self.name} is empty; its sizes are {self.splits}")
    return Records(source, self._builder)

  @property
  def notices(self):
    """Sentences on what looks like somebody's data and is not used: masks that do not fit, images of no class."""
    found = []
    for key, what in (("masks_ignored", "masks"), ("not_used", "images")):
      rows = self.metadata.get(key) or []
      shown = "; ".join(f"{one_line(path)} {reason}" for path, reason in rows[:NOTICED])
      more = f"; and {len(rows) - NOTICED:,} more" if len(rows) > NOTICED else ""
      found += [f"{self.name}: some {what} are not used: {shown}{more}"] if rows else []
    return found


def open_dataset(name, *, path=None, data_dir=None, real=None):
  """The data set of that name, prepared on first use.

  Args:
    name: one of `BUILDERS`, 'folder' or 'hub' (then `path` says which), or itself a path to a folder with real/ and
      fake/, or 'hub:' and what `path` says.
    path: the folder of 'folder', the id on the hub (see `builders.hub`), or the folder that a published data set's
      files or archive lie in.
    data_dir: where prepared records are kept; by default TFDS's own place ($TFDS_DATA_DIR or ~/tensorflow_datasets).
    real: of 'hub', the label that means real, where the labels do not say it.
  Raises: UserError for an unknown name, a folder that does not fit, missing files, or no room for the records.
  """
  name = name if name in BUILDERS else user_path(name)
  if name.startswith("hub:"):
    name, path = "hub", name.removeprefix("hub:")
  if real and name != "hub":
    raise UserError(f"config.data.real={real} is for config.data.name=hub; {name} says itself what is real")
  if name in BUILDERS:
    cls = getattr(importlib.import_module(f"fakeface_jax.data.builders.{name}"), BUILDERS[name])
    builder = published_builder(cls, path, data_dir) if issubclass(cls, PublishedBuilder) else cls(data_dir=data_dir)
  elif name == "hub":
    if not path:
      raise UserError("data set 'hub' needs to know which: config.data.path=OWNER/NAME (as one word: hub:OWNER/NAME)")
    builder = hub_builder(path, data_dir, real=real)
  elif name == "folder" or path_kind(name) == FOLDER:
    path = path if name == "folder" else name
    if not path:
      raise UserError("data set 'folder' needs to know which: config.data.path=/my/faces (with real/ and fake/)")
    builder = folder_builder(path, data_dir=data_dir)
  else:
    names = [*BUILDERS, "folder", "hub"]
    raise UserError(f"there is no data set and no folder {name!r}; data sets: {', '.join(names)}, hub:OWNER/NAME"
                    f"{did_you_mean(name, names)}")
  try:
    builder.download_and_prepare()
  except OSError as error:
    raise UserError(
        f"the records of {name} could not be written below {builder.data_dir}: {of_disk(error)}; another place:"
        " config.data.dir=FOLDER, or TFDS_DATA_DIR in the environment") from error
  return Dataset(name, builder)


def choose_splits(config, available, *, quiet=False):
  """{"train", "val", "test"}: the tfds splits to use; one that the data set lacks is made up for, and that is said."""
  warn = log.debug if quiet else log.warning
  chosen = {"train": config.train_split, "val": config.val_split, "test": config.test_split}
  if chosen["train"] == "train" and chosen["val"] == "val" and "train" in available and "val" not in available:
    chosen |= {"train": "train[:85%]", "val": "train[85%:]"}
    warn("The data set has no val split: the last 15 %% of train take its place.")
  if chosen["test"] == "test" and "test" not in available:
    chosen["test"] = chosen["val"]
    warn("The data set has no test split: the scores will be those of val, which also chose the epoch.")
  return chosen
