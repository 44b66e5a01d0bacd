"""Reading back what a builder has written."""

import tensorflow_datasets as tfds

from fakeface_jax.data.builders.published import published_builder


def prepare(cls, folder, data_dir):
  builder = published_builder(cls, folder, data_dir)
  builder.download_and_prepare()
  return builder


def records(builder):
  """{split: {source: record}} with raw bytes."""
  raw = tfds.decode.SkipDecoding()
  sources = builder.as_data_source(None, decoders={"image": raw, "mask": raw})
  return {split: {record["source"].decode(): record for record in source} for split, source in sources.items()}
