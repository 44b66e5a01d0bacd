"""How often a JPEG that was saved twice is recognised, and one that was saved once is taken for such."""

from pathlib import Path

import numpy as np
from PIL import Image

from fakeface_jax.data.reading.file_facts import file_facts
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import decode_image, encode_image, read_image
from fakeface_jax.data.reading.jpeg_history import PERHAPS, YES
from fakeface_jax.errors import UserError

OFF_GRID = 3  # px that are cut off: the photographs were JPEGs before, on another grid then
PAIRS = ((50, 75), (60, 75), (75, 80), (75, 85), (75, 90), (75, 95), (85, 88), (85, 90), (90, 92), (90, 95), (95, 98),
         (75, 75), (90, 90), (80, 75), (90, 75), (95, 90))
ONCE = (50, 75, 85, 90, 95, 98)


def bench_encoded_twice(faces, images):
  """Saves photographs with one quality, and with two, and asks `file_facts`.

  Args:
    faces: folders of photographs.
    images: how many of them, evenly spread.
  Returns: (text, {"once": {quality: [share said yes, share said perhaps]}, "resized": of those saved at 75, halved and
    saved, "twice": {"first>second": [yes, perhaps, share of the yes whose first quality is right within 2]}}).
  """
  paths = find_images([Path(folder) for folder in faces])[0]
  if not paths:
    raise UserError("say on which photographs: --faces FOLDER,...")
  paths = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, images).astype(int))]
  once, resized, twice = {}, {}, {}
  for path in paths:
    photograph = read_image(path)[OFF_GRID:, OFF_GRID:]
    for quality in ONCE:
      once.setdefault(quality, []).append(_said(photograph, quality))
      small = Image.fromarray(_saved(photograph, 75))
      small = np.asarray(small.resize((small.width // 2, small.height // 2), Image.Resampling.BILINEAR))
      resized.setdefault(quality, []).append(_said(small, quality))
    for first, second in PAIRS:
      twice.setdefault((first, second), []).append(_said(_saved(photograph, first), second))
  share = lambda said, word: float(np.mean([one == word for one, _ in said]))
  shares = lambda said: [share(said, YES), share(said, PERHAPS)]
  figures = {
      "images": len(paths), "once": {quality: shares(said) for quality, said in once.items()},
      "resized": {quality: shares(said) for quality, said in resized.items()}, "twice": {}}
  lines = [f"{len(paths)} photographs", f"{'saved':<34}{'said yes':>9}{'perhaps':>9}{'first quality right':>21}"]
  for (first, second), said in twice.items():
    right = [abs(quality - first) <= 2 for word, quality in said if word == YES]
    figures["twice"][f"{first}>{second}"] = [*shares(said), float(np.mean(right)) if right else None]
    lines.append(_line(f"{first}, then {second}", shares(said)) + (f"{np.mean(right):>21.1%}" if right else ""))
  lines += [_line(f"{quality} only", figures["once"][quality]) for quality in ONCE]
  lines += [_line(f"75, halved, then {quality}", figures["resized"][quality]) for quality in ONCE]
  return "\n".join(lines), figures


def _saved(pixels, quality):
  return decode_image(encode_image(pixels, "JPEG", quality=quality), "a photograph")


def _said(pixels, quality):
  jpeg = file_facts(encode_image(pixels, "JPEG", quality=quality))["jpeg"]
  return jpeg["saved_before"], jpeg["earlier_quality"]


def _line(title, shares):
  return f"{title:<34}" + "".join(f"{share:>9.1%}" for share in shares)
