"""The same picture without its metadata, for files whose metadata stand in the way of pixels that are sound.

Broken or over-large comments, profiles and the like make Pillow refuse a whole file. What says which side is up is kept
where it is sound.
"""

import zlib

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_APP0, _APP14, _APP15, _COMMENT, _START_OF_SCAN = 0xE0, 0xEE, 0xEF, 0xFE, 0xDA
_TIFF_TAGS = frozenset((  # of TIFF 6.0 and its supplements: what the pixels need, and the orientation
    254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332, 338,
    339, 347, 529, 530, 531, 532, 50706))  # the last one is of DNG, a raw file, which shall be known as one


def without_metadata(data: bytes) -> bytes | None:
  """A PNG, JPEG or TIFF file with those parts only that its pixels need; None of any other data."""
  if data.startswith(_PNG):
    return b"".join((_PNG, *_png_chunks(data)))
  if data.startswith(b"\xff\xd8\xff"):
    return b"".join((data[:2], *_jpeg_segments(data)))
  if data[:4] in (b"II*\0", b"MM\0*"):
    return _tiff(data, "little" if data[:2] == b"II" else "big")
  return None


def _png_chunks(data):
  at = len(_PNG)
  while at + 12 <= len(data):
    end = at + 12 + int.from_bytes(data[at : at + 4])
    kind, body, check = data[at + 4 : at + 8], data[at + 8 : end - 4], data[end - 4 : end]
    if kind in _PNG_CHUNKS or (kind == b"eXIf" and zlib.crc32(kind + body).to_bytes(4) == check):
      yield data[at:end]
    if kind == b"IEND":
      return
    at = end


def _jpeg_segments(data):
  """All but applications' own; of those JFIF's, and Adobe's where it is whole, as they say what the colours mean."""
  at = 2
  while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _START_OF_SCAN:
    marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4])
    colours = (marker == _APP0 and end - at >= 16) or (marker == _APP14 and end - at >= 16)
    if colours or not (_APP0 <= marker <= _APP15 or marker == _COMMENT):
      yield data[at:end]
    at = end
  yield data[at:]


def _tiff(data, order):
  """With the first directory's other entries taken out, and every byte else where it was."""
  at = int.from_bytes(data[4:8], order)
  count = int.from_bytes(data[at : at + 2], order)
  entries = [data[place : place + 12] for place in range(at + 2, at + 2 + 12 * count, 12)]
  kept = [entry for entry in entries if int.from_bytes(entry[:2], order) in _TIFF_TAGS]
  table = len(kept).to_bytes(2, order) + b"".join(kept)
  return data[:at] + table.ljust(2 + 12 * count + 4, b"\0") + data[at + 6 + 12 * count :]
