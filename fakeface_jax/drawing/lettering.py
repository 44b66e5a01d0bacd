"""Letters in pictures: names of files may be in any script, and boxes in the place of letters tell nothing."""

import unicodedata
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from fakeface_jax.drawing.figure import import_matplotlib
from fakeface_jax.lines import escaped


@lru_cache
def font(size):
  """For words of our own."""
  return ImageFont.load_default(size)


@lru_cache
def name_font(size):
  """For names: DejaVu Sans, which Matplotlib brings along, has Latin, Greek, Cyrillic, Arabic, Hebrew and more."""
  return ImageFont.truetype(_dejavu(), size)


def legible(name):
  r"""A name with every letter that `name_font` lacks, and all that is no letter, written as in Python: '\u5f20'."""
  letters = unicodedata.normalize("NFC", name)
  return "".join(
      letter if letter.isprintable() and (letter.isascii() or ord(letter) in _letters()) else escaped(letter)
      for letter in letters)


@lru_cache
def _letters():
  import_matplotlib()
  from matplotlib.ft2font import FT2Font

  return frozenset(FT2Font(_dejavu()).get_charmap())


def _dejavu():
  """Where it lies; importing Matplotlib for that would take longer than drawing."""
  return str(Path(find_spec("matplotlib").origin).with_name("mpl-data") / "fonts" / "ttf" / "DejaVuSans.ttf")


def draw_name(draw, place, name, fill, size, width, *, anchor="la"):
  """Draws a name, its beginning left out where it would be wider than `width` pixels."""
  letters = name_font(size)
  draw.text(place, shortened(legible(name), letters, width), fill, letters, anchor=anchor)


def shortened(text, letters, width):
  """A text, its beginning left out where it would be wider than `width` pixels."""
  shown = text
  while letters.getlength(shown) > width:
    text = text[max(1, len(text) // 50):]
    shown = f"…{text}"
  return shown


@lru_cache
def wrapped(text, letters, width):
  """Lines of a text, a tuple, broken between words where they would be wider than `width` pixels."""
  lines = []
  for word in text.split():
    longer = f"{lines[-1]} {word}" if lines else word
    if lines and letters.getlength(longer) <= width:
      lines[-1] = longer
    else:
      lines.append(word)
  return tuple(lines)
