"""Figures of one file that say nothing of what it shows: how it was saved, and its colours and texture as a whole.

Where such a figure tells real from fake, a detector may learn it instead of faces. Every function returns
{name: float}, the same names for every image, all finite.
"""

import functools
import io

import numpy as np
from PIL import Image, JpegImagePlugin
from scipy import fft, ndimage

from fakeface_jax.data.reading.images import open_image

WINDOW = 128  # px: side of the square in the middle whose noise is measured; colours are taken from as many rows
SPECTRUM_WINDOW = 256
FREQUENCIES = np.linspace(0.03, 0.5, 16)  # cycles per pixel
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
MODES = ("L", "P", "RGB", "RGBA", "CMYK")
MARKS = ("adobe", "comment", "dpi", "exif", "icc_profile", "jfif", "jfif_density", "photoshop", "xmp",
         "XML:com.adobe.xmp")  # of `Image.info`
SUBSAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}  # Pillow's numbers for them


def file_figures(data: bytes, name: str) -> dict:
  """What a file says before a pixel is decoded, in groups: {group: {figure: float}}.

  The bytes are counted without the metadata, which are a group of their own; sizes and bytes are logarithms to base 2.

  Args: `data`, `name`: as `images.decode_image` takes them.
  Raises: UserError if the file is no image or its header is broken.
  """
  image = open_image(data, name)
  width, height = image.size
  texts = [value for value in image.info.values() if isinstance(value, str)]
  if hasattr(image, "applist"):  # a JPEG's segments, four bytes of marker and length each
    metadata_bytes = sum(len(body) + 4 for _, body in image.applist)
  else:
    metadata_bytes = sum(len(value) for value in image.info.values() if isinstance(value, (bytes, str)))
  saved = max(len(data) - metadata_bytes, 1)
  return {
      "size": {"width": np.log2(width), "height": np.log2(height)},
      "aspect ratio": {"aspect ratio": np.log2(width / height)},
      "file bytes": {"bytes": np.log2(saved), "bits per pixel": np.log2(8 * saved / (width * height))},
      "JPEG tables": _jpeg_figures(image),
      "metadata": {
          **{f"is {name}": float(image.format == name) for name in FORMATS},
          **{f"is {mode}": float(image.mode == mode) for mode in MODES},
          **{mark: _extent(image.info.get(mark)) for mark in MARKS},
          "texts": float(len(texts)), "metadata bytes": np.log2(1 + metadata_bytes)},
  }


def _extent(value):
  """0 for nothing, else one number that tells apart what usually differs: a text's length, a density, being there."""
  if value is None:
    return 0.0
  if isinstance(value, (bytes, str)):
    return 1 + np.log2(1 + len(value))
  try:
    first = float(value[0] if isinstance(value, tuple) else value)
  except (TypeError, ValueError, ZeroDivisionError, IndexError):  # such as a density of 0/0
    return 1.0
  return 1 + np.log2(1 + first) if 0 <= first < 1e6 else 1.0


def _jpeg_figures(image):
  """Quality as the standard tables would have it, the distance from those, and the sampling of the colours."""
  tables = getattr(image, "quantization", None)
  figures = dict.fromkeys(("tables", "progressive", *SUBSAMPLINGS.values()), 0.0)
  if not tables or not hasattr(image, "applist"):
    return figures | dict.fromkeys(("quality", "colour quality", "deviation", "colour deviation"), 0.0)
  figures |= {"tables": float(len(tables)), "progressive": float("progressive" in image.info)}
  sampling = SUBSAMPLINGS.get(JpegImagePlugin.get_sampling(image))
  if sampling:
    figures[sampling] = 1.0
  for prefix, number in (("", min(tables)), ("colour ", max(tables))):
    distances = np.abs(np.log(np.maximum(tables[number], 1)) - _standard_tables()).mean(-1)  # [100, 2]
    quality, _ = np.unravel_index(distances.argmin(), distances.shape)
    figures |= {f"{prefix}quality": quality + 1.0, f"{prefix}deviation": distances.min()}
  return figures


@functools.cache
def _standard_tables():
  """Logarithms of the tables that libjpeg writes at quality 1 to 100, for luma and colours, float[100, 2, 64]."""
  tables = []
  for quality in range(1, 101):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    written = Image.open(file).quantization
    tables.append([written[0], written[1]])
  return np.log(tables)


def picture_figures(image: np.ndarray) -> dict:
  """Figures of the pixels as a whole, in groups: {group: {figure: float}}.

  Args: image: uint8[H, W, 3].
  """
  grey = _middle(image, SPECTRUM_WINDOW).mean(2, dtype=np.float32) / 255
  return {
      "colour": colour_figures(colour_planes(image)),
      "sharpness and noise": sharpness_figures(_middle(grey, WINDOW)),
      "spectrum": spectrum_figures(grey),
  }


def colour_planes(image):
  """Channels and differences of them, {name: float32[h, w]} in -1..1, thinned to about `WINDOW` rows and columns."""
  steps = [max(1, side // WINDOW) for side in image.shape[:2]]
  thinned = np.float32(image[::steps[0], ::steps[1]]) / 255
  red, green, blue = np.ascontiguousarray(np.moveaxis(thinned, -1, 0))
  return {
      "red": red, "green": green, "blue": blue, "grey": (red + green + blue) / 3,
      "green-magenta": green - (red + blue) / 2, "red-blue": red - blue,
      "saturation": np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)}


def colour_figures(planes):
  """Mean, spread and skew of each of the planes."""
  figures = {}
  for name, plane in planes.items():
    mean, std = plane.mean(), plane.std()
    off = plane - mean
    figures |= {
        f"{name} mean": float(mean), f"{name} std": float(std),
        f"{name} skew": float((off * off * off).mean() / (std**3 + 1e-6))}  # ** 3 takes ten times as long
  return figures


def sharpness_figures(grey):
  """Of float32[h, w] in 0..1: the Laplacian's variance, and what a median of 3 x 3 pixels takes away."""
  residual = grey - ndimage.median_filter(grey, 3)
  return {
      "sharpness": float(ndimage.laplace(grey).var()), "noise": float(np.median(np.abs(residual))),
      "grain": float(residual.std())}


def spectrum_figures(grey):
  """Of float32[h, w]: logarithms of the power at `FREQUENCIES`, all directions together, relative to their mean."""
  side = min(grey.shape)
  grey = _middle(grey, side)
  hann = np.hanning(side + 2)[1:-1]
  power = np.abs(fft.rfft2((grey - grey.mean()) * np.outer(hann, hann))) ** 2
  radius = np.hypot(fft.fftfreq(side)[:, None], fft.rfftfreq(side))
  ring = np.rint(radius * side).astype(int).ravel()
  mean = np.bincount(ring, power.ravel()) / np.maximum(np.bincount(ring), 1)
  level = np.log(np.interp(FREQUENCIES, np.arange(len(mean)) / side, mean) + 1e-12)
  names = (f"{frequency:.2f}/px" for frequency in FREQUENCIES)
  return dict(zip(names, (level - level.mean()).tolist(), strict=True))


def _middle(image, side):
  top, left = (max(0, (length - side) // 2) for length in image.shape[:2])
  return image[top : top + side, left : left + side]
