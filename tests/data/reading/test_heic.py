"""HEIC pictures, as telephones take them, where pillow-heif is installed."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage.data import astronaut

from fakeface_jax.data.builders.label_table import IMAGE_SUFFIXES
from fakeface_jax.data.reading.file_facts import file_facts
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import decode_image, read_image
from fakeface_jax.errors import UserError

heif = pytest.importorskip("pillow_heif")
PHOTOGRAPH = astronaut()[:301, 100:300]


def heic(pixels=PHOTOGRAPH, **options):
  heif.register_heif_opener()
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, "HEIF", quality=95, **options)
  return file.getvalue()


def far(pixels, others):
  return np.abs(pixels.astype(int) - others).mean()


def test_it_is_read_by_any_name_and_counted_as_an_image(tmp_path):
  for name in ("a.heic", "b.HEIF", "c.hif", "d", "e.jpg"):
    (tmp_path / name).write_bytes(heic())
    assert far(read_image(tmp_path / name), PHOTOGRAPH) < 3
  assert len(find_images([tmp_path])[0]) == 5 and {".heic", ".heif", ".avif"} <= IMAGE_SUFFIXES


def test_it_comes_upright(tmp_path):
  tags = Image.Exif()
  tags[274], tags[271], tags[272] = 6, "Apple", "iPhone 12"
  data = heic(exif=tags.tobytes())
  assert far(decode_image(data, "x"), np.rot90(PHOTOGRAPH, -1)) < 3
  facts = file_facts(data)
  assert (facts["format"], facts["width"], facts["height"], facts["camera"]) == ("HEIF", 301, 200, "Apple iPhone 12")
  assert facts["jpeg"] is None


def test_its_colours_are_those_that_its_profile_means():
  swapped = ImageCms.createProfile("sRGB")
  lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # of no RGB picture: broken
  plain = ImageCms.ImageCmsProfile(swapped).tobytes()
  assert far(decode_image(heic(icc_profile=plain), "x"), PHOTOGRAPH) < 3
  assert far(decode_image(heic(icc_profile=lab), "x"), PHOTOGRAPH) < 3
  wide = plain.replace(_chromaticity(plain, b"rXYZ"), _chromaticity(plain, b"gXYZ"))  # red is green there
  assert far(decode_image(heic(icc_profile=wide), "x"), PHOTOGRAPH) > 10


def _chromaticity(profile, tag):
  """The bytes of a colourant of an ICC profile."""
  at = profile.index(tag, 128)
  start = int.from_bytes(profile[at + 4 : at + 8])
  return profile[start : start + 20]


@pytest.mark.parametrize("length", [40, 300, 2000, -500])
def test_one_that_is_cut_off_is_named_in_one_line(length):
  with pytest.raises(UserError, match=r"^x\.heic: (truncated or damaged|not an image, or broken)") as caught:
    decode_image(heic()[:length], "x.heic")
  assert "\n" not in str(caught.value) and file_facts(heic()[:length])["bytes"]
