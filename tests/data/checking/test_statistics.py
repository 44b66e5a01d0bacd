"""Figures of files and pictures, against what was done to make them."""

import io

import numpy as np
import pytest
from PIL import Image

from fakeface_jax.data.checking.statistics import FREQUENCIES, file_figures, picture_figures, spectrum_figures
from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.errors import UserError


def pixels(height=64, width=96, seed=0):
  small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
  return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def encoded(image, format="JPEG", **options):
  return encode_image(image, format, **options)


def figures_of(image, format="JPEG", **options):
  return file_figures(encoded(image, format, **options), "a.jpg")


def differing(first, second):
  return {group for group in first if first[group] != second[group]}


@pytest.mark.parametrize("quality", [1, 40, 75, 93, 100])
def test_quality_is_read_from_the_tables(quality):
  figures = figures_of(pixels(), quality=quality)["JPEG tables"]
  assert figures["quality"] == figures["colour quality"] == quality
  assert figures["deviation"] == figures["colour deviation"] == 0 and figures["tables"] == 2


def test_colours_may_be_saved_worse():
  tables = [Image.open(io.BytesIO(encoded(pixels(), quality=quality))).quantization for quality in (90, 30)]
  figures = figures_of(pixels(), qtables=[tables[0][0], tables[1][1]])["JPEG tables"]
  assert figures["quality"] == 90 and figures["colour quality"] == 30
  assert figures["deviation"] == figures["colour deviation"] == 0


def test_tables_of_ones_own_deviate():
  figures = figures_of(pixels(), qtables=[[16 + 5 * (i % 7) for i in range(64)], [30] * 64])["JPEG tables"]
  assert figures["deviation"] > 0.1 and figures["colour deviation"] > 0.1


def test_subsampling_and_progression():
  for subsampling, name in enumerate(("4:4:4", "4:2:2", "4:2:0")):
    figures = figures_of(pixels(), subsampling=subsampling, progressive=subsampling == 1)["JPEG tables"]
    assert [figures[other] for other in ("4:4:4", "4:2:2", "4:2:0")] == [float(name == other) for other in (
        "4:4:4", "4:2:2", "4:2:0")]
    assert figures["progressive"] == (subsampling == 1)


def test_size_shape_and_bytes():
  figures = figures_of(pixels(64, 128))
  assert figures["size"] == {"width": 7, "height": 6} and figures["aspect ratio"] == {"aspect ratio": 1}
  saved = len(encoded(pixels(64, 128))) - 18  # the JFIF segment, two bytes of marker among them
  assert figures["file bytes"] == pytest.approx({"bytes": np.log2(saved), "bits per pixel": np.log2(saved / 1024)})


def exif(text):
  tags = Image.Exif()
  tags[0x0131] = text  # Software
  return tags


@pytest.mark.parametrize("options", [
    {"exif": exif("camera")}, {"comment": b"made by"}, {"icc_profile": b"profile" * 9}, {"dpi": (300, 300)},
    {"xmp": b"<x:xmpmeta/>"},
])
def test_metadata_change_nothing_else(options):
  assert differing(figures_of(pixels()), figures_of(pixels(), **options)) == {"metadata"}


def test_formats_differ_in_metadata_and_pixels_do_not_matter():
  jpeg, png = figures_of(pixels()), figures_of(pixels(), "PNG")
  assert png["metadata"]["is PNG"] == jpeg["metadata"]["is JPEG"] == 1
  assert set(png["JPEG tables"].values()) == {0} and png["JPEG tables"].keys() == jpeg["JPEG tables"].keys()
  assert png["metadata"].keys() == jpeg["metadata"].keys()
  for format in ("WEBP", "GIF", "BMP", "TIFF"):
    assert figures_of(pixels(), format)["metadata"][f"is {format}"] == 1


def test_what_is_no_image():
  with pytest.raises(UserError, match=r"a\.jpg: not an image"):
    file_figures(b"text", "a.jpg")


def test_colours_of_a_plain_picture():
  image = np.broadcast_to(np.uint8([255, 51, 0]), (40, 30, 3))
  colour = picture_figures(image)["colour"]
  assert colour["red mean"] == 1 and colour["green mean"] == pytest.approx(0.2) and colour["saturation mean"] == 1
  assert colour["red-blue mean"] == 1 and colour["green-magenta mean"] == pytest.approx(0.2 - 0.5)
  mirrored = picture_figures(np.ascontiguousarray(image[..., ::-1]))["colour"]
  assert mirrored["saturation mean"] == mirrored["blue mean"] == 1
  assert all(abs(value) < 1e-5 for name, value in colour.items() if not name.endswith("mean"))


def test_blur_takes_sharpness_and_noise_colour_stays():
  noisy = np.clip(pixels(200, 200) + np.random.default_rng(0).normal(0, 12, (200, 200, 1)), 0, 255).astype(np.uint8)
  soft = np.asarray(Image.fromarray(noisy).reduce(2).resize((200, 200)))
  before, after = (picture_figures(image) for image in (noisy, soft))
  for name in ("sharpness", "noise", "grain"):
    assert after["sharpness and noise"][name] < 0.6 * before["sharpness and noise"][name]
  assert after["colour"]["red mean"] == pytest.approx(before["colour"]["red mean"], abs=0.01)
  assert after["spectrum"]["0.50/px"] < before["spectrum"]["0.50/px"] - 1


def test_a_wave_stands_at_its_frequency():
  x = np.arange(128)
  for cycles in (0.125, 0.25):
    wave = np.float32(0.5 + 0.4 * np.sin(2 * np.pi * cycles * x))[None].repeat(128, 0)
    spectrum = list(spectrum_figures(wave).values())
    assert abs(FREQUENCIES[np.argmax(spectrum)] - cycles) < 0.02
    assert np.mean(spectrum) == pytest.approx(0, abs=1e-6)


def test_light_and_contrast_leave_the_spectrum_alone():
  grey = pixels(80, 100).mean(2, dtype=np.float32) / 255 + np.random.default_rng(0).normal(0, 0.02, (80, 100))
  other = spectrum_figures(np.float32(0.5 * grey + 0.4))
  assert other == pytest.approx(spectrum_figures(np.float32(grey)), abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 3), (300, 20)])
def test_every_shape_has_the_same_finite_figures(shape):
  image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
  groups = {**figures_of(image, "PNG"), **picture_figures(image)}
  usual = {**figures_of(pixels(), "PNG"), **picture_figures(pixels())}
  for group, figures in groups.items():
    assert figures.keys() == usual[group].keys() and np.isfinite(list(figures.values())).all(), group
