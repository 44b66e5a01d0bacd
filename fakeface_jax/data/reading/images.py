"""Any image file to uint8[H, W, 3] RGB.

Plain JPEGs go through simplejpeg (in its strict mode, which refuses truncated and damaged ones), all else through
Pillow. What comes out is what a viewer shows: turned upright by its EXIF orientation, transparency laid on white (as
a browser does), of an animation the first frame, 16-bit and float greys scaled rather than clipped. Colour profiles
are ignored but for those of HEIC pictures (read by pillow-heif where it is installed), which are hardly ever sRGB, and
so are metadata that are broken or too large to be read. No function here emits a warning (Pillow's are
silenced), and all may be called from several threads.

Decoding takes a gigabyte at most: an image of the largest size that is allowed takes four bytes a pixel within Pillow
and three outside it, whatever its mode, as it is converted strip by strip; and of large ones one is decoded at a time.
"""

import contextlib
import io
import os
import re
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageCms

from fakeface_jax.data.reading.bare import without_metadata
from fakeface_jax.data.reading.kinds import HEAD, IMAGE, RAW, READS, is_heic, kind_of, reads_heic
from fakeface_jax.errors import UserError
from fakeface_jax.paths import FILE, FOLDER, NOTHING, path_kind, user_path

MAX_PIXELS = 100_000_000  # beyond it an image is taken for a decompression bomb
MAX_PIXELS_OF = {"WEBP": 40_000_000, "AVIF": 40_000_000, "JPEG2000": 40_000_000,  # their decoders take 20 bytes each
                 "HEIF": 64_000_000}
MAX_BYTES = 420_000_000  # of a file
LARGE = 16_000_000  # pixels; of images beyond it one is in work at a time
STRIP = 1 << 20  # pixels that are converted at a time
_EXIF_ORIENTATION = 0x0112
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # what undoes each orientation but 1
    2: lambda pixels: pixels[:, ::-1], 3: lambda pixels: pixels[::-1, ::-1], 4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1), 6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1), 8: np.rot90}
_PILLOW = re.compile(r"PIL\.")  # its modules


def read_image(path: str | os.PathLike) -> np.ndarray:
  """The image in a file, uint8[H, W, 3] RGB; what stands in its way is a UserError that names the file."""
  path = user_path(path)
  return decode_image(read_bytes(path), str(path))


def read_bytes(path: str | os.PathLike) -> bytes:
  """A file's bytes. Raises: UserError if it is missing, a folder, a device or pipe, too large, or not ours to read."""
  kind = path_kind(path)
  if kind != FILE:
    raise UserError(f"{path}: " + {
        FOLDER: "is a folder; name an image file", NOTHING: "no such file; check the path"}.get(
            kind, "is not a regular file; name an image file"))
  try:
    size = os.stat(path).st_size
    if size > MAX_BYTES:
      raise UserError(f"{path}: {size / 1e6:,.0f} MB, more than the limit of {MAX_BYTES // 10**6} MB; scale it down")
    return Path(path).read_bytes()
  except PermissionError:
    raise UserError(f"{path}: no permission to read it; change its permissions (chmod +r)") from None
  except OSError as error:
    raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def decode_image(data: bytes, name: str, *, scratch: np.ndarray | None = None) -> np.ndarray:
  """An encoded image of any format above, uint8[H, W, 3] RGB, writable.

  Args:
    data: the file's bytes.
    name: what error messages call it, usually its path.
    scratch: uint8[n] in which the pixels may be laid down where they fit, so that not every image needs fresh memory
      (a fifth of the time of a small one); the next image decoded into it overwrites them.
  Raises: UserError, in one line, for empty, truncated, damaged, unknown and over-large (MAX_PIXELS) data.
  """
  if not data:
    raise UserError(f"{name}: is empty (0 bytes); replace or remove it")
  if data[:3] == b"\xff\xd8\xff":
    image = _decode_jpeg(data, name, scratch)
    if image is not None:
      return image
  return _decode_with_pillow(data, name)


def _decode_jpeg(data, name, scratch):
  """The fast path; None where Pillow has to do it."""
  try:
    height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
  except ValueError:
    return None  # an unusual chroma subsampling, or broken: Pillow finds out which
  _check_size(width, height, name)
  if colorspace in ("CMYK", "YCCK"):
    return None  # simplejpeg's versions differ in whether and how they turn inks into RGB; Pillow's agree
  fits = scratch is not None and 3 * width * height <= len(scratch)
  with _alone(width * height):
    try:
      image = simplejpeg.decode_jpeg(data, buffer=scratch if fits else None)
    except ValueError as error:
      if "extraneous bytes" in str(error):
        return None  # padding between segments, which some cameras write: harmless, and Pillow reads on
      raise _damaged(name, error) from error
    metadata = data[: _start_of_scan(data)]
    if b"Exif\0\0" in metadata or b"tiff:Orientation" in metadata:
      image = _upright(image, _orientation_of_jpeg(data, name))
    return image


def _start_of_scan(data):
  """Where a JPEG's pixels begin, after all metadata; its end where that cannot be told."""
  at, end = 2, len(data) - 4
  while at < end and data[at] == 0xFF and data[at + 1] != 0xDA:
    at += 2 + (data[at + 2] << 8 | data[at + 3])
  return at if at < end and data[at] == 0xFF else len(data)


def _orientation_of_jpeg(data, name):
  try:
    return _orientation(open_image(data, name))
  except UserError:  # metadata that Pillow stumbles over, beside pixels that are sound
    return 1


def _decode_with_pillow(data, name):
  return _or_bare(lambda data: _pixels(_open(data, name), name), data)


def _or_bare(read, data):
  """read(data), or what it makes of the same file without its metadata, where those are in the way."""
  try:
    return read(data)
  except UserError:
    bare = without_metadata(data)
    if bare is None:
      raise
  return read(bare)


def _pixels(image, name):
  with _alone(image.width * image.height):
    try:
      image.load()
      return _upright(_rgb(_in_srgb(image), name), _orientation(image))
    except UserError:
      raise
    except MemoryError as error:
      raise UserError(f"{name}: too large for this machine's memory; scale it down") from error
    except Exception as error:  # Pillow's plugins raise nearly anything on bad bytes
      raise _damaged(name, error) from error


def open_image(data: bytes, name: str) -> Image.Image:
  """A Pillow image whose header is read and whose pixels are not; raises as `decode_image` does for a bad header."""
  return _or_bare(lambda data: _open(data, name), data)


def _open(data, name):
  _silence_pillow()
  try:
    image = Image.open(io.BytesIO(data), formats=_formats(data))
  except Image.DecompressionBombError as error:
    pixels = re.search(r"\d+", str(error))
    raise _too_large(name, f"{int(pixels[0]) / 1e6:,.0f} million pixels," if pixels else "far") from None
  except Image.UnidentifiedImageError:
    what = kind_of(data[:HEAD], os.path.splitext(name)[1])
    if what not in (IMAGE, ""):
      raise UserError(f"{name}: {what}") from None
    raise UserError(
        f"{name}: not an image, or broken from the start; expected one of {READS}: convert or remove it") from None
  except Exception as error:  # see above
    raise _damaged(name, error) from error
  _check_size(*image.size, name, MAX_PIXELS_OF.get(str(image.format), MAX_PIXELS))
  if _is_raw(image, data):
    raise UserError(f"{name}: {RAW}")
  return image


def _is_raw(image, data):
  """Whether a TIFF is a camera's: what it holds first is then a preview, and the picture is not Pillow's to read."""
  new_subfile_type, dng_version = 254, 50706
  return image.format == "TIFF" and (
      data[8:10] == b"CR" or dng_version in image.tag_v2 or image.tag_v2.get(new_subfile_type, 0) == 1)


_large = threading.RLock()  # held by whoever works on a large image
_work = threading.local()


@contextlib.contextmanager
def one_large_image_at_a_time():
  """Whoever decodes a large image within keeps other threads from doing so until it leaves, and not only until the
  pixels are there: a picture of 100 million takes 300 MB for as long as somebody works on it."""
  if hasattr(_work, "stack"):  # it is within one already
    yield
    return
  _work.stack = contextlib.ExitStack()
  try:
    with _work.stack:
      yield
  finally:
    del _work.stack


@contextlib.contextmanager
def _alone(pixels):
  if pixels <= LARGE:
    yield
    return
  if hasattr(_work, "stack"):
    _work.stack.enter_context(_large)
  with _large:
    yield


def _silence_pillow():
  """Its warnings (odd metadata, sizes we check ourselves) tell a user nothing to do.

  They stay silenced: Python's warning filters belong to the process, and taking one back while another thread decodes
  would be a race.
  """
  if not warnings.filters or warnings.filters[0][3] != _PILLOW:
    warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _formats(data):
  """Pillow's names for what we read: not all it can, as some plugins start other programs (EPS: Ghostscript)."""
  Image.init()
  if is_heic(data[:HEAD]) and reads_heic():
    import pillow_heif

    pillow_heif.register_heif_opener()
    return ("HEIF",)
  wanted = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF")
  return tuple(format for format in wanted if format in Image.OPEN)


def _in_srgb(image):
  """A HEIC picture with the colours that its profile means; any other one, or one with a broken profile, as it is."""
  profile = image.info.get("icc_profile")
  if image.format != "HEIF" or not profile or image.mode not in ("RGB", "RGBA"):
    return image
  try:
    return ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"))
  except ImageCms.PyCMSError:
    return image


def _orientation(image):
  """What the file's EXIF data say, 1 (upright) to 8 if that makes sense."""
  try:
    return image.getexif().get(_EXIF_ORIENTATION, 1)
  except Exception:  # broken EXIF beside sound pixels: no reason to refuse the image, viewers show it as stored
    return 1


def _upright(pixels, orientation):
  return np.ascontiguousarray(_UPRIGHT[orientation](pixels)) if orientation in _UPRIGHT else pixels


def _rgb(image, name):
  """uint8[H, W, 3] of a loaded image, strip by strip."""
  width, height = image.size
  grey = _grey_scale(image, name)
  see_through = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info or (
      image.mode == "P" and image.palette.mode.endswith("A"))
  pixels, rows = np.empty((height, width, 3), np.uint8), max(1, STRIP // width)
  for top in range(0, height, rows):
    strip = image if rows >= height else image.crop((0, top, width, min(top + rows, height)))
    if grey is not None:
      pixels[top : top + rows] = np.rint(np.asarray(strip).astype(np.float64) * grey).astype(np.uint8)[..., None]
      continue
    if see_through:
      strip = strip.convert("RGBA")
      strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
    pixels[top : top + rows] = strip.convert("RGB")
  return pixels


def grey_of(image: np.ndarray) -> np.ndarray:
  """uint8[H, W] of uint8[H, W, 3], weighed as Pillow does (ITU-R 601-2), strip by strip."""
  rows = max(1, STRIP // image.shape[1])
  strips = (image[top : top + rows] for top in range(0, len(image), rows))
  return np.concatenate([np.asarray(Image.fromarray(strip).convert("L")) for strip in strips])


def _grey_scale(image, name):
  """What the values of a grey image deeper than 8 bits are multiplied by to come to 0..255; None for other images.

  16-bit greys are scaled by 255/65535. A float or 32-bit grey has no agreed white: it is the smallest of 1 (floats
  only), 255 and 65535 that no pixel exceeds.
  """
  if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
    return None
  if image.mode.startswith("I;16"):
    return 255 / 65535
  least, most = _extrema(image)
  whites: tuple[int, ...] = (1, 255, 65535) if image.mode == "F" else (255, 65535)
  if image.format in ("PNG", "PPM"):
    whites = (65535,)
  white = next((white for white in whites if most <= white), None)  # None for NaN as well
  if white is None or least < 0:
    raise UserError(f"{name}: grey values outside 0..{whites[-1]} ({least:g} to {most:g}); save it as an 8-bit image")
  return 255 / white


def _extrema(image):
  """The least and the greatest value of a loaded grey image, NaN where there is one."""
  strips = range(0, image.height, max(1, STRIP // image.width))
  arrays = (np.asarray(image.crop((0, top, image.width, min(top + strips.step, image.height)))) for top in strips)
  least, most = zip(*((array.min(), array.max()) for array in arrays), strict=True)
  return np.min(least), np.max(most)


def _check_size(width, height, name, limit=MAX_PIXELS):
  if width * height > limit:
    raise _too_large(name, f"{width} x {height} pixels,", limit)


def _too_large(name, how_much, limit=MAX_PIXELS):
  return UserError(f"{name}: {how_much} more than the limit of {limit // 10**6} million pixels; scale it down")


def _damaged(name, error):
  reason = " ".join(str(error).split()) or type(error).__name__
  return UserError(f"{name}: truncated or damaged ({reason}); replace or remove it")


def encode_image(image, format: str, **options) -> bytes:
  """A file's bytes. Args: image: uint8[H, W] or [H, W, 3], or Pillow's own. format, options: as Pillow saves it."""
  file = io.BytesIO()
  (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, format, **options)
  return file.getvalue()
