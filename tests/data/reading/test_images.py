"""Every format with pixels known beforehand: the expected ones are what a viewer would show."""

import io
import os
import subprocess
import sys
import threading
import time
import warnings
import zlib

import numpy as np
import pytest
import simplejpeg
import skimage.data
from PIL import Image, ImageCms, TiffImagePlugin

from fakeface_jax.data.checking.statistics import file_figures
from fakeface_jax.data.reading import images
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import MAX_PIXELS, decode_image, encode_image, read_image
from fakeface_jax.data.reading.square import resize_and_crop, resize_and_crop_mask
from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.errors import UserError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


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
  decoded = decode_image(encode_image(photo(), format), "x")
  assert decoded.dtype == np.uint8 and decoded.flags.writeable
  np.testing.assert_array_equal(decoded, photo())


@pytest.mark.parametrize("format, worst", [("JPEG", 30), ("WEBP", 30), ("GIF", 60)])
def test_lossy_formats_come_back_closely(format, worst):
  decoded = decode_image(encode_image(photo(), format), "x")
  difference = np.abs(decoded.astype(int) - photo())
  assert difference.mean() < 6 and difference.max() < worst


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_fast_jpeg_path_agrees_with_pillow(mode, options):
  data = encode_image(Image.fromarray(photo()).convert(mode), "JPEG", **options)
  pillow = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
  np.testing.assert_array_equal(decode_image(data, "x"), pillow)


def test_cmyk_jpeg_has_the_colours_of_the_print():
  cmyk = np.zeros((16, 16, 4), np.uint8)
  cmyk[:, :8, 0] = 255  # full cyan ink on the left; nothing, so white paper, on the right
  cmyk[8:, :, 3] = 100
  data = encode_image(Image.fromarray(cmyk, "CMYK"), "JPEG", quality=100, subsampling=0)
  decoded = decode_image(data, "x").astype(int)
  np.testing.assert_allclose(decoded[4, 2], (0, 255, 255), atol=6)
  np.testing.assert_allclose(decoded[4, 13], WHITE, atol=6)
  np.testing.assert_array_equal(decoded, Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(format):
  deep = np.array([[0, 257, 32896], [65535, 65278, 128]], np.uint16)  # 257 is one step of 255; 128 rounds down
  decoded = decode_image(encode_image(deep, format), "x")
  np.testing.assert_array_equal(decoded, np.repeat([[[0], [1], [128]], [[255], [254], [0]]], 3, axis=2))


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_float_tiff_is_scaled_by_the_white_that_holds_it(white):
  values = np.array([[0, 0.2, 1]], np.float32) * white
  assert decode_image(encode_image(values, "TIFF"), "x")[0, :, 0].tolist() == [0, 51, 255]


@pytest.mark.parametrize("values", [[[-1.0, 3.0]], [[0.0, 70000.0]], [[np.nan, 0.5]]])
def test_float_tiff_without_a_white_is_refused(values):
  assert "outside 0..65535" in message(encode_image(np.float32(values), "TIFF"))


def test_integer_tiff_of_8_bits_in_32():
  assert decode_image(encode_image(np.int32([[0, 7, 255]]), "TIFF"), "x")[0, :, 2].tolist() == [0, 7, 255]


def test_black_and_white():
  decoded = decode_image(encode_image(np.array([[True, False]]), "PNG"), "x")
  assert decoded.tolist() == [[[255] * 3, [0] * 3]]


def test_palette_without_and_with_transparency():
  image = Image.fromarray(np.array([[0, 1]], np.uint8), "L")
  image.putpalette([*RED, *BLUE])
  assert decode_image(encode_image(image, "PNG"), "x").tolist() == [[list(RED), list(BLUE)]]
  for transparency in (0, b"\0\xff"):  # an index, and one opacity per colour
    assert decode_image(encode_image(image, "PNG", transparency=transparency), "x")[0].tolist() == [[*WHITE], [*BLUE]]


def test_transparency_lies_on_white():
  rgba = np.array([[[255, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 102]]], np.uint8)  # 102/255 = 0.4: 0.6 of white, 153
  for format in ("PNG", "TIFF"):
    assert decode_image(encode_image(rgba, format), "x").tolist() == [[list(RED), list(WHITE), [153] * 3]]
  grey = np.array([[[0, 255], [0, 102]]], np.uint8)
  assert decode_image(encode_image(Image.fromarray(grey, "LA"), "PNG"), "x").tolist() == [[[0] * 3, [153] * 3]]
  rgb = Image.fromarray(np.array([[RED, GREEN]], np.uint8))
  assert decode_image(encode_image(rgb, "PNG", transparency=RED), "x").tolist() == [[list(WHITE), list(GREEN)]]


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_several(format):
  frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
  options = {"lossless": True} if format == "WEBP" else {}
  data = encode_image(frames[0], format, save_all=True, append_images=frames[1:], **options)
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
  decoded = decode_image(encode_image(stored, format, exif=exif, **options), "x")
  np.testing.assert_allclose(decoded.astype(int), upright, atol=8)


def test_nonsense_in_exif_leaves_the_image_as_stored():
  exif = Image.Exif()
  exif[0x0112] = 77
  data = encode_image(photo(), "JPEG", exif=exif)
  assert decode_image(data, "x").shape == (150, 200, 3)
  start = data.index(b"Exif\0\0") + 6
  assert decode_image(data[:start] + b"\xff" * 12 + data[start + 12:], "x").shape == (150, 200, 3)


def test_colour_profile_does_no_harm():
  profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
  data = encode_image(photo(), "PNG", icc_profile=profile)
  np.testing.assert_array_equal(decode_image(data, "x"), photo())


def png_chunk(kind, body, check=None):
  return len(body).to_bytes(4) + kind + body + (check or zlib.crc32(kind + body)).to_bytes(4)


def jpeg_segment(marker, body):
  return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2) + body


BOMB = zlib.compress(bytes(3_000_000))
PNG_TROUBLE = {
    "a large text": png_chunk(b"zTXt", b"k\0\0" + BOMB), "a large text of another kind": png_chunk(
        b"iTXt", b"k\0\1\0\0\0" + BOMB), "a large profile": png_chunk(b"iCCP", b"k\0\0" + BOMB),
    "many texts": b"".join(png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000))) for _ in range(70)),
    "a broken sum": png_chunk(b"tEXt", b"k\0v", 1), "a short gamma": png_chunk(b"gAMA", b"1"),
    "no animation": png_chunk(b"acTL", b"1"), "a broken profile": png_chunk(b"iCCP", b"k\0\7zz"),
    "nonsense for EXIF": png_chunk(b"eXIf", b"\xff" * 30)}


@pytest.mark.parametrize("trouble", PNG_TROUBLE)
@pytest.mark.parametrize("place", ["before the pixels", "after them"])
def test_metadata_that_cannot_be_read_do_not_cost_a_png_its_pixels(trouble, place):
  astronaut = skimage.data.astronaut()[:160, 100:340]
  data = encode_image(astronaut, "PNG")
  at = 33 if place == "before the pixels" else len(data) - 12
  data = data[:at] + PNG_TROUBLE[trouble] + data[at:] + b"and something after the end"
  np.testing.assert_array_equal(decode_image(data, "x"), astronaut)
  assert file_figures(data, "x")["size"] == {"width": np.log2(240), "height": np.log2(160)}


def test_an_orientation_beside_a_large_text_still_counts():
  exif = Image.Exif()
  exif[0x0112] = 6
  data = encode_image(photo(20, 30), "PNG", exif=exif)
  data = data[:33] + PNG_TROUBLE["a large text"] + data[33:]
  np.testing.assert_array_equal(decode_image(data, "x"), np.rot90(photo(20, 30), -1))


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
@pytest.mark.parametrize("segment", [
    jpeg_segment(0xE1, b"Exif\0\0" + b"\xff" * 99), jpeg_segment(0xE2, b"ICC_PROFILE\0\5\2zz"),
    jpeg_segment(0xE2, b"MPF\0II*\0\x08\0\0\0\3\0" + b"\xff" * 60), jpeg_segment(0xEE, b"Adobe"),
    jpeg_segment(0xED, b"Photoshop 3.0\x008BIM\3\xed\0\0\0\0\0\xff")])
def test_metadata_that_cannot_be_read_do_not_cost_a_jpeg_its_pixels(mode, segment):
  data = encode_image(Image.fromarray(photo()).convert(mode), "JPEG")
  np.testing.assert_array_equal(decode_image(data[:2] + segment + data[2:] + b"zz", "x"), decode_image(data, "x"))
  assert file_figures(data[:2] + segment + data[2:], "x")["size"] == file_figures(data, "x")["size"]


@pytest.mark.parametrize("field", ["type", "count", "offset"])
@pytest.mark.parametrize("tag", [270, 700, 34675])  # a description, XMP, a colour profile
def test_metadata_that_cannot_be_read_do_not_cost_a_tiff_its_pixels(tag, field):
  notes = TiffImagePlugin.ImageFileDirectory_v2()
  notes[270], notes[700], notes[34675] = "x" * 100, b"\xff" * 10, b"junk!"
  data = bytearray(encode_image(photo(), "TIFF", tiffinfo=notes))
  directory = int.from_bytes(data[4:8], "little")
  count = int.from_bytes(data[directory : directory + 2], "little")
  entry = next(at for at in range(directory + 2, directory + 2 + 12 * count, 12)
               if int.from_bytes(data[at : at + 2], "little") == tag)
  start, length = {"type": (2, 2), "count": (4, 4), "offset": (8, 4)}[field]
  data[entry + start : entry + start + length] = b"\xff\xff\xff\x7f"[:length]
  np.testing.assert_array_equal(decode_image(bytes(data), "x"), photo())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(format, kept):
  data = encode_image(photo(), format)
  assert "replace or remove it" in message(data[:int(len(data) * kept)]) or kept == 0.1


@pytest.mark.parametrize("mode, options", [("L", {}), ("RGB", {"progressive": True}), ("CMYK", {})])
def test_truncated_jpegs_of_other_kinds_are_refused(mode, options):
  data = encode_image(Image.fromarray(photo()).convert(mode), "JPEG", **options)
  assert "truncated or damaged" in message(data[:len(data) // 2])


def test_truncated_upturned_jpeg_is_refused():
  exif = Image.Exif()
  exif[0x0112] = 6
  data = encode_image(photo(), "JPEG", exif=exif)
  assert "truncated or damaged" in message(data[:-200])


def test_jpeg_with_a_hole_is_refused_and_one_with_padding_read():
  data = encode_image(photo(), "JPEG", quality=90)
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
  data = encode_image(Image.new("RGB", (16, 16)), "JPEG")
  size = data.index(b"\xff\xc0") + 5
  return data[:size] + height.to_bytes(2) + width.to_bytes(2) + data[size + 4:]


@pytest.mark.parametrize("header", [png_header, jpeg_header])
def test_bombs_are_refused_by_their_header(header):
  assert MAX_PIXELS == 100_000_000
  for width, height in ((10_001, 10_000), (13_000, 13_000), (60_000, 60_000)):  # Pillow: nothing or a warning, an error
    assert "more than the limit of 100 million pixels" in message(header(width, height))
  assert "truncated or damaged" in message(header(10_000, 10_000)[:-14])  # allowed, so the missing pixels are noticed


def test_a_size_over_the_limit_is_named_with_the_limit():
  assert message(png_header(60_000, 60_000)) == (
      "x.png: 3,600 million pixels, more than the limit of 100 million pixels; scale it down")
  data = encode_image(Image.new("RGB", (8000, 5001)), "WEBP", method=0)
  assert message(data) == "x.png: 8000 x 5001 pixels, more than the limit of 40 million pixels; scale it down"


def test_a_file_over_the_limit_is_not_read(tmp_path):
  with open(tmp_path / "film.png", "wb") as file:
    file.truncate(3_000_000_000)  # takes no room
  with pytest.raises(UserError, match=r"film\.png: 3,000 MB, more than the limit of 420 MB; scale it down"):
    read_image(tmp_path / "film.png")


@pytest.mark.parametrize("mode", ["I;16", "RGBA", "P", "LA", "F", "CMYK"])
def test_images_of_several_strips_are_those_of_one(mode, monkeypatch):
  astronaut = Image.fromarray(skimage.data.astronaut()[:300, :200])
  image = {"I;16": lambda: Image.fromarray(np.asarray(astronaut.convert("L")).astype(np.uint16) * 200),
           "F": lambda: Image.fromarray(np.float32(astronaut.convert("L")) / 300)}.get(
               mode, lambda: astronaut.convert(mode))()
  if mode in ("RGBA", "LA"):
    image.putalpha(Image.fromarray(photo(300, 200)[..., 0]))
  data = encode_image(image, "TIFF")
  whole = decode_image(data, "x")
  monkeypatch.setattr(images, "STRIP", 7 * 200)
  np.testing.assert_array_equal(decode_image(data, "x"), whole)
  assert whole.shape == (300, 200, 3) and len(np.unique(whole)) > 5


MEMORY = """
import io, resource, zlib
import numpy as np
from PIL import Image
from fakeface_jax.data.reading.images import decode_image

side = 6000
def chunk(kind, body):
  return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
for bits, kind, row in ((16, 0, 2 * side), (8, 6, 4 * side), (8, 4, 2 * side)):  # grey, RGBA, grey with alpha
  press = zlib.compressobj(1)
  pixels = b"".join(press.compress(bytes(row + 1)) for _ in range(side)) + press.flush()
  header = side.to_bytes(4) * 2 + bytes((bits, kind, 0, 0, 0))
  png = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  assert decode_image(png, "x").shape == (side, side, 3)
  print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / side**2)
"""


def test_decoding_takes_eight_bytes_a_pixel_at_most():
  output = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
  assert max(map(float, output.split())) < 8.5


def test_of_large_images_one_is_in_work_at_a_time(monkeypatch):
  monkeypatch.setattr(images, "LARGE", 1000)
  data = encode_image(photo(), "PNG")
  small = encode_image(photo(20, 30), "PNG")
  at_work, most, lock = [0], [0], threading.Lock()

  def look(data):
    decode_image(data, "x")
    with lock:
      at_work[0] += 1
      most[0] = max(most[0], at_work[0])
    time.sleep(0.02)
    with lock:
      at_work[0] -= 1
    return decode_image(data, "x").shape

  assert list(in_order(look, [data] * 6, threads=3)) == [(150, 200, 3)] * 6 and most == [1]
  list(in_order(look, [small] * 6, threads=3))
  assert most[0] > 1


def test_pillows_own_warning_about_size_does_not_surface():
  data = encode_image(Image.new("1", (9_600, 9_600)), "TIFF", compression="group4")  # 92 million, above Pillow's 89.5
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


def test_without_resizing_pixels_stay_as_they_are_and_what_is_too_small_is_laid_on_black():
  face = skimage.data.astronaut()[:101, 150:230]  # 80 x 101 px
  np.testing.assert_array_equal(resize_and_crop(face, None, 64), face[18:82, 8:72])  # as torchvision's CenterCrop
  np.testing.assert_array_equal(resize_and_crop(face, None, 64, position=(0, 1)), face[:64, 16:])
  laid = resize_and_crop(face, None, 96)
  np.testing.assert_array_equal(laid[:, 8:88], face[2:98])
  assert not laid[:, :8].any() and not laid[:, 88:].any()
  mask = np.full((101, 80), 255, np.uint8)
  placed = resize_and_crop_mask(mask, None, 97)
  assert (placed[:, 8:88] == 255).all() and (placed[:, :8] == 128).all() and (placed[:, 88:] == 128).all()
  np.testing.assert_array_equal(resize_and_crop_mask(mask[:1, :1], None, 96), np.full((96, 96), 255))
  with pytest.raises(UserError, match="crop 0, resize None"):
    resize_and_crop(face, None, 0)


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
