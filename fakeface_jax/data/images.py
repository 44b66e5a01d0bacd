"""Any image file to uint8[H, W, 3] RGB, and from there to the square a network takes.

Plain JPEGs go through simplejpeg (in its strict mode, which refuses truncated and damaged ones), all else through
Pillow. What comes out is what a viewer shows: turned upright by its EXIF orientation, transparency laid on white (as
a browser does), of an animation the first frame, 16-bit and float greys scaled rather than clipped. Colour profiles
are ignored. No function here emits a warning (Pillow's are silenced), and all may be called from several threads.
"""

import io
import os
import re
import stat
import warnings
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from fakeface_jax.errors import UserError

MAX_PIXELS = 100_000_000  # three bytes each; beyond it an image is taken for a decompression bomb
IMAGE_SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm",
    ".jp2", ".avif"))
_READS = "JPEG, PNG, WebP, GIF, BMP, TIFF, PPM, JPEG 2000, AVIF"
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = dict(zip(range(2, 9), (  # what undoes each orientation but 1
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90),
    strict=True))
_PILLOW = re.compile(r"PIL\.")  # its modules


def read_image(path) -> np.ndarray:
  """The image in a file, uint8[H, W, 3] RGB; what stands in its way is a UserError that names the file."""
  return decode_image(read_bytes(path), str(path))


def read_bytes(path) -> bytes:
  """A file's bytes. Raises: UserError if it is missing, a folder, a device or pipe, or not ours to read."""
  try:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
      raise UserError(f"{path}: is a folder; name an image file")
    if not stat.S_ISREG(mode):
      raise UserError(f"{path}: is not a regular file; name an image file")
    return Path(path).read_bytes()
  except FileNotFoundError:
    raise UserError(f"{path}: no such file; check the path") from None
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
  try:
    image = simplejpeg.decode_jpeg(data, buffer=scratch if fits else None)
  except ValueError as error:
    if "extraneous bytes" in str(error):
      return None  # padding between segments, which some cameras write: harmless, and Pillow reads on
    raise _damaged(name, error) from error
  metadata = data[: _start_of_scan(data)]
  if b"Exif\0\0" in metadata or b"tiff:Orientation" in metadata:
    upright = _UPRIGHT.get(_orientation(open_image(data, name)))
    if upright is not None:
      image = np.array(Image.fromarray(image).transpose(upright))
  return image


def _start_of_scan(data):
  """Where a JPEG's pixels begin, after all metadata; its end where that cannot be told."""
  at, end = 2, len(data) - 4
  while at < end and data[at] == 0xFF and data[at + 1] != 0xDA:
    at += 2 + (data[at + 2] << 8 | data[at + 3])
  return at if at < end and data[at] == 0xFF else len(data)


def _decode_with_pillow(data, name):
  image = open_image(data, name)
  try:
    image.load()
    orientation = _orientation(image)
    return _upright_rgb(image, orientation, name)
  except UserError:
    raise
  except MemoryError as error:
    raise UserError(f"{name}: too large for this machine's memory; scale it down") from error
  except Exception as error:  # Pillow's plugins raise nearly anything on bad bytes
    raise _damaged(name, error) from error


def open_image(data: bytes, name: str) -> Image.Image:
  """A Pillow image whose header is read and whose pixels are not; raises as `decode_image` does for a bad header."""
  _silence_pillow()
  try:
    image = Image.open(io.BytesIO(data), formats=_formats())
  except Image.DecompressionBombError:
    raise _too_large(name, "far") from None
  except Image.UnidentifiedImageError:
    raise UserError(
        f"{name}: not an image, or broken from the start; expected one of {_READS}: convert or remove it") from None
  except Exception as error:  # see above
    raise _damaged(name, error) from error
  _check_size(*image.size, name)
  return image


def _silence_pillow():
  """Its warnings (odd metadata, sizes we check ourselves) tell a user nothing to do.

  They stay silenced: Python's warning filters belong to the process, and taking one back while another thread decodes
  would be a race.
  """
  if not warnings.filters or warnings.filters[0][3] != _PILLOW:
    warnings.filterwarnings("ignore", module=_PILLOW.pattern)


def _formats():
  """Pillow's names for what we read: not all it can, as some plugins start other programs (EPS: Ghostscript)."""
  Image.init()
  wanted = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF")
  return tuple(format for format in wanted if format in Image.OPEN)


def _orientation(image):
  """What the file's EXIF data say, 1 (upright) to 8 if that makes sense."""
  try:
    return image.getexif().get(_EXIF_ORIENTATION, 1)
  except Exception:  # broken EXIF beside sound pixels: no reason to refuse the image, viewers show it as stored
    return 1


def _upright_rgb(image, orientation, name):
  grey = _scaled_grey(image, name)
  if grey is not None:
    image = Image.fromarray(grey)
  elif image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info or (
      image.mode == "P" and image.palette.mode.endswith("A")):
    image = image.convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
  image = image.convert("RGB")
  if orientation in _UPRIGHT:
    image = image.transpose(_UPRIGHT[orientation])
  return np.array(image)


def _scaled_grey(image, name):
  """uint8[H, W] of a grey image deeper than 8 bits, else None.

  16-bit greys are scaled by 255/65535. A float or 32-bit grey has no agreed white: it is the smallest of 1 (floats
  only), 255 and 65535 that no pixel exceeds.
  """
  if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
    return None
  values = np.asarray(image).astype(np.float64)
  if image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):
    whites = (65535,)
  else:
    whites = (255, 65535) if image.mode == "I" else (1, 255, 65535)
  white = next((white for white in whites if values.max() <= white), None)  # None for NaN as well
  if white is None or values.min() < 0:
    raise UserError(f"{name}: grey values outside 0..{whites[-1]} ({values.min():g} to {values.max():g}); "
                    "save it as an 8-bit image")
  return np.rint(values * (255 / white)).astype(np.uint8)


def _check_size(width, height, name):
  if width * height > MAX_PIXELS:
    raise _too_large(name, f"{width} x {height} pixels,")


def _too_large(name, how_much):
  return UserError(f"{name}: {how_much} more than the limit of {MAX_PIXELS // 10**6} million pixels; scale it down")


def _damaged(name, error):
  reason = " ".join(str(error).split()) or type(error).__name__
  return UserError(f"{name}: truncated or damaged ({reason}); replace or remove it")


def resize_and_crop(image: np.ndarray, resize: int, crop: int, *, position=None) -> np.ndarray:
  """Shorter side to `resize` pixels (bilinear, antialiased), then a `crop` x `crop` window of the result.

  Pixels are resampled only where the window needs them, and not at all where the shorter side already is `resize`;
  what is cut out without resampling is a view of the image, uncopied.

  Args:
    image: uint8[H, W, 3].
    resize, crop: pixels, 1 <= crop <= resize.
    position: None for the centre, or the window's place as fractions (fy, fx) of the free way, each in 0..1; drawn
      uniformly from [0, 1), they make every whole-pixel window equally likely.
  Returns: uint8[crop, crop, 3].
  Raises: UserError if crop is larger than resize or one of them is not positive; ValueError for a bad position.
  """
  return _resize_and_crop(image, resize, crop, position, Image.Resampling.BILINEAR)


def resize_and_crop_mask(mask: np.ndarray, resize: int, crop: int, *, position=None) -> np.ndarray:
  """The window that `resize_and_crop` takes, of a mask uint8[H, W]: nearest neighbour, so no new values arise.

  A 1 x 1 mask stands for the whole image. Returns: uint8[crop, crop].
  """
  return _resize_and_crop(mask, resize, crop, position, Image.Resampling.NEAREST)


def _resize_and_crop(image, resize, crop, position, resampling):
  if not 1 <= crop <= resize:
    raise UserError(f"crop {crop}, resize {resize}: expected 1 <= crop <= resize; make crop smaller or resize larger")
  sides = image.shape[:2]
  height, width = (max(resize, round(side * resize / min(sides))) for side in sides)
  top, left = (_offset(free - crop, place) for free, place in zip(
      (height, width), position or (None, None), strict=True))
  if sides == (height, width):
    return image[top:top + crop, left:left + crop]
  step_y, step_x = sides[0] / height, sides[1] / width
  box = (left * step_x, top * step_y, (left + crop) * step_x, (top + crop) * step_y)
  box = (*box[:2], min(box[2], sides[1]), min(box[3], sides[0]))  # rounding must not push it over the edge
  return np.array(Image.fromarray(image).resize((crop, crop), resampling, box))


def _offset(free, place):
  if place is None:
    return round(free / 2)
  if not 0 <= place <= 1:
    raise ValueError(f"position: expected fractions in 0..1, got {place}")
  return min(int(place * (free + 1)), free)


def find_images(paths) -> tuple[list[Path], list[tuple[Path, str]]]:
  """The image files that a command line names, and what is wrong with the rest of it.

  Args:
    paths: files and folders. A file is taken whatever its suffix; of a folder, all files below it with an image's
      suffix, sorted, hidden ones left out.
  Returns: (files, problems): files without repeats, in the order given; a problem is (path, reason).
  """
  files, problems = [], []
  for path in map(Path, paths):
    if path.is_dir():
      found = [file for file in files_below(path, problems) if file.suffix.lower() in IMAGE_SUFFIXES]
      files += found
      if not found:
        problems.append((path, f"holds no image ({_READS})"))
    elif path.exists():
      files.append(path)
    else:
      problems.append((path, "no such file or folder"))
  return list(dict.fromkeys(files)), problems


def files_below(folder, problems: list, *, hidden_files=False) -> list[Path]:
  """All files at any depth below a folder, sorted, without hidden folders and (unless asked for) hidden files.

  Linked folders are followed, each real folder once. A folder that cannot be listed is appended to `problems` as
  (path, reason).
  """
  files, seen = [], set()
  unlisted = lambda error: problems.append((Path(error.filename), f"cannot be listed: {error.strerror}"))
  for here, folders, names in os.walk(folder, onerror=unlisted, followlinks=True):
    real = os.path.realpath(here)
    if real in seen:
      folders.clear()
      continue
    seen.add(real)
    folders[:] = sorted(name for name in folders if not name.startswith("."))
    files += [Path(here, name) for name in names if hidden_files or not name.startswith(".")]
  return sorted(files)
