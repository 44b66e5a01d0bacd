"""Files as they lie in people's folders: known by their content, and by their suffix where that says nothing."""

import os

import pytest
import skimage.data
from PIL import TiffImagePlugin

from fakeface_jax.data.reading import images, kinds
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import decode_image, encode_image
from fakeface_jax.data.reading.kinds import IMAGE, OTHER, what_is
from fakeface_jax.errors import UserError

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
WITHOUT = ("is a HEIC picture, which is read where pillow-heif is installed: pip install 'fakeface-jax[heic]', or save"
           " it as JPEG or PNG")


@pytest.fixture(autouse=True)
def _without_heic(monkeypatch):
  monkeypatch.setattr(kinds, "reads_heic", lambda: False)
  monkeypatch.setattr(images, "reads_heic", lambda: False)


def encode(format, **options):
  return encode_image(skimage.data.astronaut()[:60, :80], format, **options)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("name", ["nosuffix", "photo.dat", "photo.heic", "photo.jpg"])
def test_images_are_known_by_their_content(format, name, tmp_path):
  (tmp_path / name).write_bytes(encode(format))
  assert what_is(tmp_path / name) == IMAGE


@pytest.mark.parametrize(("name", "content", "kind"), [
    ("a", HEIC, "is a HEIC picture"), ("a.HEIC", b"?", "is a HEIC picture"), ("a.jxl", b"", "is a JPEG XL picture"),
    ("a", b"\0\0\0\x0cJXL \r\n\x87\n", "is a JPEG XL picture"), ("a.NEF", encode("TIFF"), "is a camera's raw file"),
    ("a.cr3", b"?", "is a camera's raw file"), ("a", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "is a camera's raw file"),
    ("a.psd", b"8BPS", "is a drawing program's file"), ("a", b"8BPS\0\1", "is a drawing program's file"),
    ("a.mov", b"?", "is a video"), ("a", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "is a video"),
    ("more.zip", b"PK\3\4", "is an archive; unpack it")])
def test_what_is_like_an_image_is_named(name, content, kind, tmp_path):
  (tmp_path / name).write_bytes(content)
  assert what_is(tmp_path / name).startswith(kind)


@pytest.mark.parametrize("name", [
    "notes.txt", "data.csv", "README", "Thumbs.db", "desktop.ini", ".DS_Store", "._a.jpg", ".hidden.png", "points.npy"])
def test_the_rest_is_no_data(name, tmp_path):
  (tmp_path / name).write_bytes(b"Been there, done that")
  assert what_is(tmp_path / name) == OTHER


def test_a_pipe_is_not_waited_for(tmp_path):
  os.mkfifo(tmp_path / "pipe")
  assert what_is(tmp_path / "pipe") == OTHER and what_is(tmp_path / "gone") == OTHER


def test_a_folder_gives_its_images_and_what_looks_like_some(tmp_path):
  for name, content in {"a.jpg": encode("JPEG"), "b": encode("PNG"), "c.TXT": encode("GIF"), "IMG_1.HEIC": HEIC,
                        "notes.txt": b"?", "Thumbs.db": b"?", "__MACOSX/x.jpg": b"?", ".git/y.png": b"?"}.items():
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
  files, problems = find_images([tmp_path])
  assert [file.name for file in files] == ["a.jpg", "b", "c.TXT"]
  assert problems == [(tmp_path / "IMG_1.HEIC", WITHOUT)]


def test_a_raw_file_is_not_taken_for_its_preview():
  notes = TiffImagePlugin.ImageFileDirectory_v2()
  notes[254] = 1  # a reduced image, as the first one in NEF, ARW and DNG
  dng = TiffImagePlugin.ImageFileDirectory_v2()
  dng[50706] = b"\1\4\0\0"
  for data in (encode("TIFF", tiffinfo=notes), encode("TIFF", tiffinfo=dng)):
    with pytest.raises(UserError, match=r"^x: is a camera's raw file, which is not read here; save it as JPEG or PNG$"):
      decode_image(data, "x")
  with pytest.raises(UserError) as caught:
    decode_image(HEIC + bytes(100), "x")
  assert str(caught.value) == f"x: {WITHOUT}"
