"""Files that stand for photographs where only their number and size matter."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import simplejpeg

from fakeface_jax.data.schema import LABELS

SIDE = 256  # px
QUALITY = 95


def write_photographs(folder, count):
  """Writes JPEGs 00000.jpg, ... of coarse colours under fine noise, about 26 kB each as a photograph's are."""
  folder.mkdir(parents=True)
  workers = min(os.cpu_count(), 1 + count // 1000)
  with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
    list(pool.map(partial(_write, folder), range(count), chunksize=100))


def _write(folder, i):
  random = np.random.default_rng(i)
  coarse = random.integers(32, 224, (16, 16, 3)).repeat(SIDE // 16, 0).repeat(SIDE // 16, 1)
  pixels = np.clip(coarse + random.integers(-8, 9, (SIDE, SIDE, 1)), 0, 255).astype(np.uint8)
  (folder / f"{i:05}.jpg").write_bytes(simplejpeg.encode_jpeg(pixels, quality=QUALITY))


def write_data_set(folder, counts):
  """A folder of real and fake images by split, `counts` of each split: {"train": 1024, ...}."""
  for split, count in counts.items():
    for label in LABELS:
      write_photographs(folder / split / label, count // 2)
  return folder
