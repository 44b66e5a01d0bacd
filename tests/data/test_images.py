"""Every format with pixels known beforehand: the expected ones are what a viewer would show."""

import io
import os
import warnings
import zlib

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms

from fakeface_jax.data.images import (
    MAX_PIXELS,
    decode_image,
    find_images,
    read_image,
    resize_and_crop,
    resize_and_crop_mask,
)
from fakeface_jax.errors import UserError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encode(image, format, **options):
  file = io.BytesIO()
  image.save(file, format, **options)
  return file.getvalue()


def photo(height=150, width=200):
  """A smooth colourful image, uint8[H, W, 3]."""
  y, x = np.mgrid[0:1:height * 1j, 0:1:width * 1j]
  return np.uint8(255 * np.stack([x, y, (np.sin(6 * x) * np.cos(5 * y) + 1) / 2], -1))


def quadrants():
  """Upper left red, upper right green, lower left blue, lower right white; 16 x 32."""
  image = np.zeros((16, 32, 3), np.uint8)
  image[:8, :16], image[:8, 16:], image[8:, :16], image[8:, 16:] = RED, GREEN, BLUE, WHITE
  return image


def message(data, name="x.png"):
  with pytest.raises(UserError) as error:
    decode_image(data, name)
  assert str(error.value).startswith(f"{name}: ") and "\n" not in str(error.value)
  return str(error.value)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_lossless_formats_come_back_exactly(format):
  decoded = decode_image(encode(Image.fromarray(photo()), format), "x")
  assert decoded.dtype == np.uint8 and decoded.flags.writeable
  np.testing.assert_array_equal(decoded, photo())


@pytest.mark.parametrize("format, worst", [("JPEG", 30), ("WEBP", 30), ("GIF", 60)])
def test_lossy_formats_come_back_closely(format, worst):
  decoded = decode_image(encode(Image.fromarray(photo()), format), "x")
  difference = np.abs(decoded.astype(int) - photo())
  assert difference.mean() < 6 and difference.max() < worst


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_fast_jpeg_path_agrees_with_pillow(mode, options):
  data = encode(Image.fromarray(photo()).convert(mode), "JPEG", **options)
  pillow = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
  np.testing.assert_array_equal(decode_image(data, "x"), pillow)


def test_cmyk_jpeg_has_the_colours_of_the_print():
  cmyk = np.zeros((16, 16, 4), np.uint8)
  cmyk[:, :8, 0] = 255  # full cyan ink on the left; nothing, so white paper, on the right
  cmyk[8:, :, 3] = 100
  data = encode(Image.fromarray(cmyk, "CMYK"), "JPEG", quality=100, subsampling=0)
  decoded = decode_image(data, "x").astype(int)
  np.testing.assert_allclose(decoded[4, 2], (0, 255, 255), atol=6)
  np.testing.assert_allclose(decoded[4, 13], WHITE, atol=6)
  np.testing.assert_array_equal(decoded, Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(format):
  deep = np.array([[0, 257, 32896], [65535, 65278, 128]], np.uint16)  # 257 is one step of 255; 128 rounds down
  decoded = decode_image(encode(Image.fromarray(deep), format), "x")
  np.testing.assert_array_equal(decoded, np.repeat([[[0], [1], [128]], [[255], [254], [0]]], 3, axis=2))


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_float_tiff_is_scaled_by_the_white_that_holds_it(white):
  values = np.array([[0, 0.2, 1]], np.float32) * white
  assert decode_image(encode(Image.fromarray(values), "TIFF"), "x")[0, :, 0].tolist() == [0, 51, 255]


@pytest.mark.parametrize("values", [[[-1.0, 3.0]], [[0.0, 70000.0]], [[np.nan, 0.5]]])
def test_float_tiff_without_a_white_is_refused(values):
  assert "outside 0..65535" in message(encode(Image.fromarray(np.float32(values)), "TIFF"))


def test_integer_tiff_of_8_bits_in_32():
  assert decode_image(encode(Image.fromarray(np.int32([[0, 7, 255]])), "TIFF"), "x")[0, :, 2].tolist() == [0, 7, 255]


def test_black_and_white():
  decoded = decode_image(encode(Image.fromarray(np.array([[True, False]])), "PNG"), "x")
  assert decoded.tolist() == [[[255] * 3, [0] * 3]]


def test_palette_without_and_with_transparency():
  image = Image.fromarray(np.array([[0, 1]], np.uint8), "L")
  image.putpalette([*RED, *BLUE])
  assert decode_image(encode(image, "PNG"), "x").tolist() == [[list(RED), list(BLUE)]]
  for transparency in (0, b"\0\xff"):  # an index, and one opacity per colour
    assert decode_image(encode(image, "PNG", transparency=transparency), "x").tolist() == [[list(WHITE), list(BLUE)]]


def test_transparency_lies_on_white():
  rgba = np.array([[[255, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 102]]], np.uint8)  # 102/255 = 0.4: 0.6 of white, 153
  for format in ("PNG", "TIFF"):
    assert decode_image(encode(Image.fromarray(rgba), format), "x").tolist() == [[list(RED), list(WHITE), [153] * 3]]
  grey = np.array([[[0, 255], [0, 102]]], np.uint8)
  assert decode_image(encode(Image.fromarray(grey, "LA"), "PNG"), "x").tolist() == [[[0] * 3, [153] * 3]]
  rgb = Image.fromarray(np.array([[RED, GREEN]], np.uint8))
  assert decode_image(encode(rgb, "PNG", transparency=RED), "x").tolist() == [[list(WHITE), list(GREEN)]]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_several(format):
  frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
  options = {"lossless": True} if format == "WEBP" else {}
  data = encode(frames[0], format, save_all=True, append_images=frames[1:], **options)
  assert (decode_image(data, "x") == RED).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(format, orientation):
  """The EXIF standard by its own words: where the 0th row and the 0th column of the stored pixels are to be seen."""
  stored = quadrants()
  upright = {  # 1: top, left. 2: top, right. 3: bottom, right. 4: bottom, left. 5: left, top. 6: right, top. ...
      1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1],
      5: stored.transpose(1, 0, 2), 6: stored.transpose(1, 0, 2)[:, ::-1],
      7: stored.transpose(1, 0, 2)[::-1, ::-1], 8: stored.transpose(1, 0, 2)[::-1]}[orientation]
  exif = Image.Exif()
  exif[0x0112] = orientation
  options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
  decoded = decode_image(encode(Image.fromarray(stored), format, exif=exif, **options), "x")
  np.testing.assert_allclose(decoded.astype(int), upright, atol=8)


def test_nonsense_in_exif_leaves_the_image_as_stored():
  exif = Image.Exif()
  exif[0x0112] = 77
  data = encode(Image.fromarray(photo()), "JPEG", exif=exif)
  assert decode_image(data, "x").shape == (150, 200, 3)
  start = data.index(b"Exif\0\0") + 6
  assert decode_image(data[:start] + b"\xff" * 12 + data[start + 12:], "x").shape == (150, 200, 3)


def test_colour_profile_does_no_harm():
  profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
  data = encode(Image.fromarray(photo()), "PNG", icc_profile=profile)
  np.testing.assert_array_equal(decode_image(data, "x"), photo())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(format, kept):
  data = encode(Image.fromarray(photo()), format)
  assert "replace or remove it" in message(data[:int(len(data) * kept)]) or kept == 0.1


@pytest.mark.parametrize("mode, options", [("L", {}), ("RGB", {"progressive": True}), ("CMYK", {})])
def test_truncated_jpegs_of_other_kinds_are_refused(mode, options):
  data = encode(Image.fromarray(photo()).convert(mode), "JPEG", **options)
  assert "truncated or damaged" in message(data[:len(data) // 2])


def test_truncated_upturned_jpeg_is_refused():
  exif = Image.Exif()
  exif[0x0112] = 6
  data = encode(Image.fromarray(photo()), "JPEG", exif=exif)
  assert "truncated or damaged" in message(data[:-200])


def test_jpeg_with_a_hole_is_refused_and_one_with_padding_read():
  data = encode(Image.fromarray(photo()), "JPEG", quality=90)
  assert "truncated or damaged" in message(data[:900] + bytes(200) + data[1100:])
  padded = data[:-2] + bytes(50) + data[-2:]
  with pytest.raises(ValueError, match="extraneous"):  # else this tests nothing
    simplejpeg.decode_jpeg(padded)
  np.testing.assert_array_equal(decode_image(padded, "x"), decode_image(data, "x"))


def test_what_is_no_image():
  assert "is empty (0 bytes)" in message(b"")
  for data in (b"<html>404</html>", b"\xff\xd8\xff", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
    assert "JPEG, PNG" in message(data) or "truncated" in message(data)


def png_header(width, height):
  """A PNG that says it is that large, without the pixels."""
  def chunk(kind, body):
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
  header = width.to_bytes(4) + height.to_bytes(4) + bytes((8, 2, 0, 0, 0))
  return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def jpeg_header(width, height):
  data = encode(Image.new("RGB", (16, 16)), "JPEG")
  size = data.index(b"\xff\xc0") + 5
  return data[:size] + height.to_bytes(2) + width.to_bytes(2) + data[size + 4:]


@pytest.mark.parametrize("header", [png_header, jpeg_header])
def test_bombs_are_refused_by_their_header(header):
  assert MAX_PIXELS == 100_000_000
  for width, height in ((10_001, 10_000), (13_000, 13_000), (60_000, 60_000)):  # Pillow: nothing or a warning, an error
    assert "more than the limit of 100 million pixels" in message(header(width, height))
  assert "truncated or damaged" in message(header(10_000, 10_000)[:-14])  # allowed, so the missing pixels are noticed


def test_pillows_own_warning_about_size_does_not_surface():
  data = encode(Image.new("1", (9_600, 9_600)), "TIFF", compression="group4")  # 92 million, above Pillow's 89.5
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    assert decode_image(data, "x").shape == (9_600, 9_600, 3)


def test_files_that_cannot_be_read(tmp_path):
  cases = {"missing.png": "no such file", "folder": "is a folder", "pipe": "not a regular file"}
  (tmp_path / "folder").mkdir()
  os.mkfifo(tmp_path / "pipe")
  for name, expected in cases.items():
    with pytest.raises(UserError, match=f"{tmp_path / name}: .*{expected}"):
      read_image(tmp_path / name)
  Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
  assert read_image(tmp_path / "a.png").shape == (2, 3, 3)


def test_no_permission(tmp_path, monkeypatch):
  def refuse(path):
    raise PermissionError(13, "Permission denied", str(path))  # root may read everything, so chmod would not do
  (tmp_path / "a.png").write_bytes(b"x")
  monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
  with pytest.raises(UserError, match=r"a\.png: no permission"):
    read_image(tmp_path / "a.png")


def test_resize_and_crop_takes_the_centre_without_resampling():
  image = photo(10, 14)
  # free way: 10 - 6 = 4 rows, 14 - 6 = 8 columns; half of each goes above and to the left
  np.testing.assert_array_equal(resize_and_crop(image, 10, 6), image[2:8, 4:10])
  square = photo(10, 10)
  np.testing.assert_array_equal(resize_and_crop(square, 10, 10), square)
  assert np.shares_memory(resize_and_crop(square, 10, 8), square)


def test_position_spans_the_free_way_evenly():
  image = photo(10, 14)
  np.testing.assert_array_equal(resize_and_crop(image, 10, 6, position=(0, 0)), image[:6, :6])
  np.testing.assert_array_equal(resize_and_crop(image, 10, 6, position=(1, 1)), image[4:, 8:])
  # 5 windows down, 9 across: 0.39 lies in the second fifth, 0.45 in the fifth ninth
  np.testing.assert_array_equal(resize_and_crop(image, 10, 6, position=(0.39, 0.45)), image[1:7, 4:10])


@pytest.mark.parametrize("shape", [(50, 70), (90, 61), (33, 200), (64, 64)])
@pytest.mark.parametrize("position", [None, (0, 1), (0.3, 0.8)])
def test_resizing_only_the_window_equals_resizing_it_all(shape, position):
  resize, crop = 40, 32
  height, width = (max(resize, round(side * resize / min(shape))) for side in shape)
  whole = np.asarray(Image.fromarray(photo(*shape)).resize((width, height), Image.Resampling.BILINEAR))
  window = resize_and_crop(photo(*shape), resize, crop, position=position)
  slow = resize_and_crop(whole, resize, crop, position=position)  # its shorter side is 40 already
  assert window.shape == (crop, crop, 3)
  assert np.abs(window.astype(int) - slow).max() <= 2  # each of Pillow's two passes rounds


def test_shrinking_averages():
  stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))[..., None].repeat(3, 2)  # 64 x 64, one pixel wide
  inner = resize_and_crop(stripes, 16, 16)[2:-2, 2:-2]
  assert inner.min() >= 120 and inner.max() <= 135  # nearest neighbour would give 0 or 255


def test_masks_keep_their_values_and_follow_the_image():
  mask = np.zeros((40, 60), np.uint8)
  mask[:, 30:] = 255
  small = resize_and_crop_mask(mask, 20, 20)  # 20 x 30, columns 5 to 25: the edge at 15 comes to 10
  assert small.shape == (20, 20) and (small[:, :10] == 0).all() and (small[:, 10:] == 255).all()
  np.testing.assert_array_equal(resize_and_crop_mask(np.array([[128]], np.uint8), 20, 16), np.full((16, 16), 128))


def test_bad_sizes_and_positions():
  for resize, crop in ((10, 12), (0, 0), (10, 0)):
    with pytest.raises(UserError, match="1 <= crop <= resize"):
      resize_and_crop(photo(), resize, crop)
  with pytest.raises(ValueError, match=r"0\.\.1"):
    resize_and_crop(photo(), 40, 20, position=(0, 1.5))


def test_find_images(tmp_path):
  for name in ("b.JPG", "a/c.png", "a/.hidden.png", ".git/d.png", "a/notes.txt", "odd", "empty/x.txt"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
  (tmp_path / "a" / "again").symlink_to(tmp_path)  # must not go round for ever
  files, problems = find_images([tmp_path, tmp_path / "odd", tmp_path / "b.JPG", tmp_path / "no", tmp_path / "empty"])
  assert [file.relative_to(tmp_path).as_posix() for file in files] == ["a/c.png", "b.JPG", "odd"]
  assert [(path.name, reason[:12]) for path, reason in problems] == [("no", "no such file"), ("empty", "holds no ima")]
