"""What a file is by its first bytes: a picture that is read here, one that is not, or nothing of the kind."""

import functools
import importlib.util
import os
import stat
from pathlib import Path

HEIC_SUFFIXES = frozenset((".heic", ".heif", ".hif", ".heics"))
IMAGE_SUFFIXES = HEIC_SUFFIXES | frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm",
    ".jp2", ".avif"))
READS = "JPEG, PNG, WebP, GIF, BMP, TIFF, PPM, JPEG 2000, AVIF, and HEIC where pillow-heif is installed"
HEAD = 64  # bytes that tell
IMAGE, OTHER = "image", ""

_CONVERT = "; save it as JPEG or PNG"
_HEIC = ("is a HEIC picture, which is read where pillow-heif is installed: pip install 'fakeface-jax[heic]', or save it"
         " as JPEG or PNG")
_JXL = f"is a JPEG XL picture, which is not read here{_CONVERT}"
RAW = f"is a camera's raw file, which is not read here{_CONVERT}"
_DRAWING, _PICTURE = f"is a drawing program's file{_CONVERT}", f"is a picture of a kind that is not read here{_CONVERT}"
_VIDEO, _ARCHIVE = "is a video; take pictures out of it", "is an archive; unpack it"
_SUFFIXES = {
    _HEIC: " ".join(suffix[1:] for suffix in HEIC_SUFFIXES), _JXL: "jxl",
    RAW: "3fr arw cr2 cr3 crw dcr dng erf iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f",
    _DRAWING: "psd psb xcf svg kra", _PICTURE: "hdr exr tga dds ico icns pcx qoi emf wmf jxr wdp hdp bpg flif dcm fits",
    _VIDEO: "mp4 m4v mov avi mkv webm mpg mpeg wmv 3gp", _ARCHIVE: "zip tar tgz gz bz2 xz 7z rar"}
_BY_SUFFIX = {f".{suffix}": what for what, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_READ = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
    b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51",
    *(b"P%d%c" % (kind, space) for kind in range(1, 7) for space in b" \n"))
_UNREAD = (
    (b"\0\0\0\x0cJXL ", _JXL), (b"\xff\x0a", _JXL), (b"FUJIFILMCCD-RAW", RAW), (b"IIU\0", RAW), (b"IIRO", RAW),
    (b"IIRS", RAW), (b"MMOR", RAW), (b"FOVb", RAW), (b"\0MRM", RAW), (b"8BPS", _DRAWING), (b"gimp xcf", _DRAWING),
    (b"<svg", _DRAWING), (b"v/1\x01", _PICTURE), (b"DDS ", _PICTURE), (b"qoif", _PICTURE), (b"#?RADIANCE", _PICTURE),
    (b"BPG\xfb", _PICTURE), (b"II\xbc\x01", _PICTURE), (b"SIMPLE  =", _PICTURE), (b"\x1aE\xdf\xa3", _VIDEO),
    (b"PK\x03\x04", _ARCHIVE), (b"\x1f\x8b", _ARCHIVE), (b"7z\xbc\xaf\x27\x1c", _ARCHIVE), (b"Rar!", _ARCHIVE))
_NOT_DATA = frozenset(("thumbs.db", "desktop.ini", "icon\r"))  # of operating systems
NOT_DATA_FOLDERS = frozenset(("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"))


@functools.cache
def reads_heic() -> bool:
  """Whether pillow-heif is installed."""
  return importlib.util.find_spec("pillow_heif") is not None


def is_heic(head: bytes) -> bool:
  """Whether a file's first `HEAD` bytes are those of a HEIC picture."""
  return _of_content(head) == _HEIC


def what_is(path) -> str:
  """`IMAGE`, `OTHER` (a note, a table, a system's file), or what else it is and what to do, as 'is a video; ...'.

  A file with an image's suffix is taken for one unopened; whether it is shows itself when it is read.
  """
  path = Path(path)
  suffix, name = path.suffix.lower(), path.name
  if name.startswith(".") or name.lower() in _NOT_DATA:
    return OTHER
  if suffix in IMAGE_SUFFIXES and (suffix not in HEIC_SUFFIXES or reads_heic()):
    return IMAGE
  try:
    head = _head(path)
  except OSError:
    head = b""
  return kind_of(head, suffix)


def _head(path):
  if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe waits for ever
    return b""
  with open(path, "rb") as file:
    return file.read(HEAD)


def kind_of(head: bytes, suffix: str = "") -> str:
  """As `what_is`, by a file's first `HEAD` bytes and, where those say nothing, by its suffix."""
  by_suffix = _BY_SUFFIX.get(suffix.lower(), OTHER)
  if by_suffix == RAW and head[:4] in (b"II*\0", b"MM\0*"):
    return RAW  # a TIFF by its first bytes, with a preview where the picture should be
  kind = _of_content(head) or by_suffix
  return IMAGE if kind == _HEIC and reads_heic() else kind


def _of_content(head):
  """By the first bytes alone."""
  bitmap = head[:2] == b"BM" and head[6:10] == bytes(4) and len(head) >= 26
  if head.startswith(_READ) or bitmap or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
    return IMAGE
  if head[4:8] == b"ftyp":
    return _of_brands({head[i : i + 4] for i in (8, *range(16, min(HEAD, int.from_bytes(head[:4])), 4))})
  if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
    return _VIDEO
  return next((what for magic, what in _UNREAD if head.startswith(magic)), OTHER)


def _of_brands(brands):
  """What an ISO media file (ISO/IEC 14496-12) is by the brands that it says it is compatible with."""
  if brands & {b"avif", b"avis"}:
    return IMAGE
  if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
    return _HEIC
  return RAW if b"crx " in brands else _VIDEO
