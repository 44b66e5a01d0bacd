"""The frozen trunk's features, computed once: one row uint16[width] for each view of each image.

A row is the bits of the features in bfloat16 (those of all arrays at the cut, flat, one after the other), then the
label, then zeros.
"""

import hashlib
import itertools
import logging
import math
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from flax.traverse_util import flatten_dict, unflatten_dict

from fakeface_jax.data.batches import Plan, read_batches
from fakeface_jax.data.reading.views import augmentations
from fakeface_jax.devices import on_cpu, replicate, to_devices
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.models.network import normalize
from fakeface_jax.progress import Bar
from fakeface_jax.training.feature_file import FOLDER, FeatureFile, FeatureMemory, bytes_in_words, find_complete
from fakeface_jax.workdir import free_space

log = logging.getLogger(__name__)

FORMAT = 3  # of the rows, part of their key: rows written otherwise, or of other views, are not taken for these
DTYPE = jnp.bfloat16  # of the features
LANES = 128  # that a TPU's memory is laid out by: only of such rows single ones are taken without copying all
CPU_BATCH, DEVICE_BATCH = 16, 256  # images a device takes at once in the pass
DISK_RESERVE = 2**30  # bytes left for the checkpoints


class Trunk:
  """The network up to the cut, and its variables.

  It computes in the model's dtype; what it returns is bfloat16.

  Attributes:
    cut: one of `model.cuts`.
    crop: side of the images in pixels.
    shapes: of the features of one image, a tree of shapes as `model.apply(..., stop=cut)` has it.
    numbers: how many those are. width: length of a row, a multiple of `LANES`.
  """

  def __init__(self, model, cut, variables, crop):
    self.model = model.clone(axis_name=None)
    before = lambda tree: {path: leaf for path, leaf in flatten_dict(tree).items() if model.before(cut, path)}
    self.cut, self.crop = cut, crop
    self.variables = {collection: unflatten_dict(before(tree)) for collection, tree in variables.items()}
    image = jax.ShapeDtypeStruct((1, crop, crop, 3), jnp.uint8)
    features = jax.eval_shape(self, self.variables, image)
    self.shapes = jax.tree.map(lambda leaf: leaf.shape[1:], features)
    self.numbers = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(features))
    self.width = -(-(self.numbers + 1) // LANES) * LANES

  def at(self, crop):
    """The same for images of another size."""
    return Trunk(self.model, self.cut, self.variables, crop)

  def __call__(self, variables, images):
    """uint8[B, H, W, 3] -> bfloat16 features at the cut."""
    features = self.model.apply(variables, normalize(images), stop=self.cut)
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf).astype(DTYPE), features)

  def to_rows(self, features, labels):
    """Features of B images, int[B] -> uint16[B, width]."""
    bits = lambda leaf: jax.lax.bitcast_convert_type(leaf.reshape(len(leaf), -1), jnp.uint16)
    rows = jnp.concatenate([*map(bits, jax.tree.leaves(features)), labels.astype(jnp.uint16)[:, None]], axis=1)
    return jnp.pad(rows, ((0, 0), (0, self.width - rows.shape[1])))

  def from_rows(self, rows):
    """The inverse of `to_rows`: (features, labels int32[B])."""
    shapes, tree = jax.tree.flatten(self.shapes, is_leaf=lambda shape: isinstance(shape, tuple))
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    values = jax.lax.bitcast_convert_type(rows[:, : self.numbers], DTYPE)
    leaves = [
        leaf.reshape(-1, *shape) for leaf, shape in zip(jnp.split(values, ends[:-1], axis=1), shapes, strict=True)]
    return jax.tree.unflatten(tree, leaves), rows[:, self.numbers].astype(jnp.int32)

  @property
  def fingerprint(self):
    """A hash of the variables' names and values, and of the cut."""
    digest = hashlib.sha256(f"{self.cut} {self.model.dtype.__name__}".encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(self.variables):
      digest.update(jax.tree_util.keystr(path).encode())
      digest.update(np.ascontiguousarray(leaf))
    return digest.hexdigest()[:16]


class TrunkPass:
  """What is to be computed for one split: which views of which images, and all that their features depend on.

  Attributes:
    records: int64[R], the record numbers of this process, ascending; the rows are `views` of each, one after the other.
  """

  def __init__(self, trunk, name, source, records, config, *, views, data_fingerprint):
    self.trunk, self.name, self.source, self.records, self.config = trunk, name, source, records, config
    self.views = views
    self.shape = (len(records) * views, trunk.width)
    self.nbytes = 2 * math.prod(self.shape)
    self.file_name = f"{name}{f'_{jax.process_index()}' if jax.process_count() > 1 else ''}.npy"
    self.augment = augmentations(config.data.augment) if views > 1 else ()
    self.key = {
        "format": FORMAT,
        "weights": trunk.fingerprint,
        "data": data_fingerprint,
        "images": hashlib.sha256(np.ascontiguousarray(records)).hexdigest()[:16],
        "pixels": [config.data.resize, trunk.crop],
        "views": [views, list(self.augment), config.seed] if views > 1 else 1,
    }

  def open(self, workdir):
    """All rows, uint16[R, width], in a file or in memory: those that are there already, or computed now.

    Raises: UserError where there is no room for them.
    """
    rows = find_complete(workdir, self.file_name, self.key, self.shape)
    if rows is not None:
      log.info("Features of the %s images are there: %s.", self.name, rows.filename)
      return rows
    path = Path(workdir) / FOLDER / self.file_name
    rows = FeatureFile(path, self.key, self.shape) if self._fits_on_disk(path) else FeatureMemory(self.shape)
    try:
      self.compute(rows)
    except OSError as error:
      raise UserError(
          f"{path} ({self.nbytes / 2**20:,.0f} MiB) cannot be written: {of_disk(error)}; or train without it:"
          " config.trunk=none") from error
    return rows.rows()

  def _fits_on_disk(self, path):
    there = path.stat().st_size if path.exists() else 0
    free = free_space(next(folder for folder in path.resolve().parents if folder.exists())) + there
    if self.nbytes + DISK_RESERVE < free:
      return True
    memory = psutil.virtual_memory().available
    sizes = (
        f"the features of the {self.name} images take {bytes_in_words(self.nbytes)};"
        f" {bytes_in_words(free)} are free on the disk of {path.parent} and {bytes_in_words(memory)} in memory")
    if self.nbytes > memory / 2 or self.config.trunk == "file":
      raise UserError(f"{sizes}; make room, use fewer config.data.views, or go without: config.trunk=none")
    log.warning("%s%s: they are not kept on disk, and a killed run computes them again.", sizes[0].upper(), sizes[1:])
    return False

  def compute(self, rows):
    """Appends the rows that are missing."""
    if rows.done:
      log.info("Features of the %s images: going on after %d of %d.", self.name, rows.done, self.shape[0])
    batch = min(CPU_BATCH if on_cpu() else DEVICE_BATCH, -(-self.shape[0] // jax.local_device_count()))
    batch *= jax.local_device_count()
    missing = np.arange(rows.done, self.shape[0])
    padded = np.resize(missing, (-(-len(missing) // batch), batch))
    plan = Plan(self.records[padded // self.views], np.ones(padded.shape, np.float32), padded % self.views)
    batches = read_batches(
        self.source, plan, resize=self.config.data.resize, crop=self.trunk.crop, augment=self.augment,
        seed=self.config.seed)
    step = make_trunk_step(self.trunk)
    variables = replicate(self.trunk.variables, jax.local_devices())
    unit = "views of images" if self.views > 1 else "images"
    results = (step(variables, to_devices(batch)) for batch in batches)
    with Bar(
        f"features of {self.name}", self.shape[0], done=rows.done, unit=unit, shown=jax.process_index() == 0) as bar:
      for result, _ in itertools.pairwise(itertools.chain(results, [None])):  # kept while the devices are at the next
        result = np.asarray(result).reshape(-1, self.trunk.width)[: self.shape[0] - rows.done]
        rows.append(result)
        bar.update(len(result))


def make_trunk_step(trunk, devices=None):
  """Compiles `step(variables, batch) -> uint16[D, B, width]` for a batch laid over D devices, this process's."""

  @partial(jax.pmap, in_axes=(None, 0), devices=devices or jax.local_devices())
  def step(variables, batch):
    return trunk.to_rows(trunk(variables, batch["image"]), batch["label"])

  return step
