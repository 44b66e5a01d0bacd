"""What a record holds: its image, its mask, its name."""

import io
import os

import numpy as np
from PIL import Image

from fakeface_jax.data.reading.images import decode_image
from fakeface_jax.errors import UserError


def decode_record(record, scratch=None):
  """A record's image, uint8[H, W, 3], see `images.decode_image`.

  Raises: UserError where it is damaged: when the record was written, the builder had decoded it.
  """
  try:
    return decode_image(record["image"], record_name(record), scratch=scratch)
  except UserError as error:
    raise UserError(
        f"{str(error).rpartition('; ')[0]}; it was sound when the data set was prepared: remove the prepared records"
        " (in config.data.dir, TFDS_DATA_DIR or ~/tensorflow_datasets), and they are made anew") from error


def decode_mask(record):
  """A record's mask, uint8[H, W], see `data.schema`."""
  return np.asarray(Image.open(io.BytesIO(record["mask"])))


def record_name(record):
  """Where a record came from, as text, in the form of paths: a byte of a name that is no UTF-8 is a lone surrogate."""
  return os.fsdecode(record["source"])
