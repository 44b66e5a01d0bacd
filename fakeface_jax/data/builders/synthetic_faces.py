"""A data set that needs no download: faces drawn by `faces`, half of them tampered with by `manipulate`.

It is made to be learned from scratch within minutes, so it is easier than photographs: a tampered region is lighter or
darker than its surroundings, off in colour, and wrong in structure. No single figure of a whole picture (of colour,
sharpness, noise, or bytes) tells the classes apart; a classifier on 75 of them at once finds something. The tests print
and bound both. A high score here shows that training works, not that photographs would be judged well.

The drawing runs in helper processes when that pays. They are plain `python -c` children that write pickles to a pipe,
not multiprocessing workers: those would run a user's script again unless it guards its `__main__`, and would fork or
reload JAX.
"""

import contextlib
import dataclasses
import os
import pathlib
import pickle
import subprocess
import sys
from typing import Any

import tensorflow_datasets as tfds

from fakeface_jax.cores import usable_cores
from fakeface_jax.data.builders.prepared import RecordBuilder, version
from fakeface_jax.data.drawn import examples
from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.data.schema import face_features
from fakeface_jax.errors import UserError
from fakeface_jax.progress import with_progress

_SPLITS = ("train", "val", "test")
_PER_WORKER = 150  # pictures that repay a helper's start
_MOST_WORKERS = 8
_WORKER = """
import os, sys
from fakeface_jax.data.drawn import examples
try:
  examples.write_examples(sys.stdout.buffer, {seed}, range({first}, {count}, {step}), {size})
except (KeyboardInterrupt, BrokenPipeError):
  os._exit(1)  # the parent has ended or reports it; another traceback would hide its report
"""


@dataclasses.dataclass(eq=False, kw_only=True)
class SyntheticFacesConfig(tfds.core.BuilderConfig):
  """What to draw. The name, and so the folder, says all of it; every split is half real, half fake."""

  name: str = dataclasses.field(init=False, default="")
  size: int = 80  # side of the square pictures, pixels
  num_train: int = 2500  # of pictures, even, as the next two
  num_val: int = 400
  num_test: int = 600
  seed: int = 0  # another one gives other people; no picture is shared between splits or seeds

  def __post_init__(self):
    limits = {"size": 32, "num_train": 2, "num_val": 2, "num_test": 2, "seed": 0}
    for field, least in limits.items():
      value = getattr(self, field)
      if type(value) is not int or value < least:
        raise UserError(f"synthetic_faces: {field} must be a whole number of at least {least}, not {value!r}")
      if field.startswith("num_") and value % 2:
        raise UserError(f"synthetic_faces: {field} must be even (half real, half fake), not {value}; try {value + 1}")
    self.name = f"px{self.size}-train{self.num_train}-val{self.num_val}-test{self.num_test}-seed{self.seed}"
    self.description = f"{self.size} x {self.size} pixels, seed {self.seed}"


class SyntheticFaces(RecordBuilder):
  """Rendered faces, half of them with one or two regions tampered with: exact masks, three difficulties."""

  name = "synthetic_faces"
  VERSION = version(examples.CONTENT)
  BUILDER_CONFIGS = [SyntheticFacesConfig()]  # noqa: RUF012 (tfds reads it from the class)

  def __init__(self, *, config=None, **kwargs):
    # tfds refuses a config that equals one of its own without being that very object
    if isinstance(config, SyntheticFacesConfig):
      config = self.builder_configs.get(config.name, config)
    super().__init__(config=config, **kwargs)

  def _info(self):
    return tfds.core.DatasetInfo(builder=self, description=self.__doc__, features=face_features())

  def _split_generators(self, dl_manager):
    return {split: self._generate_examples(split) for split in _SPLITS}

  def _generate_examples(self, split):
    config = self.builder_config
    count = getattr(config, f"num_{split}")
    seed = len(_SPLITS) * config.seed + _SPLITS.index(split)
    with contextlib.closing(_drawn(seed, count, config.size)) as drawn:
      for index, example in enumerate(with_progress(drawn, f"drawing faces for {split}", total=count)):
        mask = encode_image(example["mask"], "PNG")
        yield index, {**example, "mask": mask, "source": f"synthetic_faces/{split}/{index:06d}"}


def _drawn(seed, count, size):
  """Yields `examples.render_example(seed, i, size=size)` for i below count, drawn in helpers if there are many."""
  workers = min(usable_cores(), _MOST_WORKERS, count // _PER_WORKER) if sys.executable else 1
  if workers < 2:
    yield from (examples.render_example(seed, index, size=size) for index in range(count))
    return
  root = str(pathlib.Path(__file__).parents[3])
  env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
  with contextlib.ExitStack() as stack:
    outputs: list[Any] = []
    for first in range(workers):
      code = _WORKER.format(seed=seed, first=first, count=count, step=workers, size=size)
      # in a group of its own, as Ctrl-C is the parent's business
      helper = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=env, process_group=0)
      outputs.append(stack.enter_context(helper).stdout)
      stack.callback(helper.kill)
    for index in range(count):
      try:
        yield pickle.load(outputs[index % workers])
      except (EOFError, pickle.UnpicklingError) as error:
        raise RuntimeError(f"a helper that draws faces ended before picture {index} of {count}; see its report above"
                           ) from error
