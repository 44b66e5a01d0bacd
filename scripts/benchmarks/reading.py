"""The input pipeline, from records on disk to batches of pixels, beside decoding alone."""

import tempfile
from pathlib import Path

import simplejpeg

from benchmarks.photographs import SIDE, write_data_set
from benchmarks.timing import take_turns
from fakeface_jax.cores import usable_cores
from fakeface_jax.data.batches import plan_batches, read_batches
from fakeface_jax.data.datasets import open_dataset

IMAGES, BATCH_SIZE, CROP = 2000, 32, 224


def bench_input(repeats=4):
  """Reads JPEGs of 256 x 256 px from their records and cuts them to 224, on all cores.

  Returns: (text, {"images_per_second": end to end, "decoded_per_second_and_core": one core doing nothing but decode
    bytes that lie in memory, "cores", "input_over_decode": the first over the second times the cores}).
  """
  with tempfile.TemporaryDirectory() as folder:
    faces = write_data_set(Path(folder) / "faces", {"train": IMAGES})
    source = open_dataset(str(faces), data_dir=str(Path(folder) / "records"))["train"]
    encoded = [source[i]["image"] for i in range(len(source))]
    plan = plan_batches(len(source), BATCH_SIZE)

    def decode():
      for data in encoded:
        simplejpeg.decode_jpeg(data)

    def read():
      for _ in read_batches(source, plan, resize=SIDE, crop=CROP):
        pass

    seconds = take_turns({"decode": decode, "read": read}, repeats)
  cores = usable_cores()
  figures = {
      "images_per_second": IMAGES / seconds["read"], "decoded_per_second_and_core": IMAGES / seconds["decode"],
      "cores": cores, "input_over_decode": seconds["decode"] / seconds["read"] / cores}
  text = (
      f"{IMAGES:,} JPEGs of {SIDE} x {SIDE} px, {sum(map(len, encoded)) / IMAGES / 1000:.0f} kB each:"
      f" {figures['images_per_second']:,.0f} images/s from records to batches on {cores} cores; one core decodes"
      f" {figures['decoded_per_second_and_core']:,.0f}/s when it does nothing else;"
      f" input / (cores x decoding): {figures['input_over_decode']:.2f}")
  return text, figures
