"""How a JPEG was saved: its quality by its tables, and whether it had been a JPEG of a lower quality before.

Saved once, a photograph's DCT coefficients are spread smoothly over the multiples of the table's step b. Saved with the
step a before, they lie near multiples of a, so that some multiples of b are hardly met and others too often: periodic
gaps and peaks (Lukas & Fridrich, 2003). What the coefficients would be like without that is seen in the same picture
cut four pixels off its grid (Pevny & Fridrich, 2008). So for each of some low frequencies the counts are compared, by
their likelihood, with what every step a predicts. No table is assumed to have been the first one.

What is found is that a JPEG was opened, left on its grid and saved again at a higher quality. It is not found, and
nothing is said of it, where the second quality is the lower one or the same, or the picture was resized or cropped off
the grid in between.
"""

import functools
import io

import numpy as np
import simplejpeg
from PIL import Image
from scipy.fft import dctn
from scipy.special import ndtr

LARGEST = 1024  # px: side of the middle that is looked at
FEWEST = 100  # blocks of 8 x 8 that show something; of a picture with fewer nothing is said
FREQUENCIES = [(i, total - i) for total in range(1, 7) for i in range(total + 1)][:20]  # low ones, (down, across)
STEPS = np.arange(1, 61)
MOST = 30  # multiples of a step that are counted apart; what is farther from 0 counts as these
ROUNDING = 0.5  # standard deviation of a coefficient after pixels were rounded in between
FREE = 4.0  # log likelihood that the best of all steps may gain by chance
YES, PERHAPS = "yes", "perhaps"
SURE_FROM = 0.5  # log likelihood a block; half of it is perhaps. scripts/bench.py twice shows what they mean
EXPLAINED = 0.95  # share of it that one standard table has to explain
STRANGE_FROM = 4.0  # the same without a standard table: perhaps an earlier one of another kind, or a drawing
AGREEING = 8  # of the frequencies that have to speak for it: a smooth gradient, say, has but a few
QUALITIES = range(30, 100)  # that a first table is looked for


@functools.cache
def standard_tables():
  """{quality 1 to 100: (luma, colours)}, the tables of the Independent JPEG Group, int[8, 8] each."""
  file = io.BytesIO()
  Image.new("RGB", (8, 8)).save(file, "JPEG", quality=50)
  basic = [np.array(table).reshape(8, 8) for table in Image.open(file).quantization.values()]  # type: ignore[attr-defined]
  scaled = lambda table, percent: np.clip((table * percent + 50) // 100, 1, 255)
  percents = {quality: 5000 // quality if quality < 50 else 200 - 2 * quality for quality in range(1, 101)}
  return {quality: tuple(scaled(table, percent) for table in basic) for quality, percent in percents.items()}


def quality_of(tables):
  """The quality, 1 to 100, whose standard tables these are, in Pillow's form {number: 64 values}; None of others."""
  ours = [np.array(table).reshape(8, 8) for _, table in sorted(tables.items())]
  for quality, standard in standard_tables().items():
    if 1 <= len(ours) <= 2 and all(np.array_equal(a, b) for a, b in zip(ours, standard, strict=False)):
      return quality
  return None


def saved_before(data: bytes, table) -> tuple[str, int | None]:
  """Whether a JPEG had been one of lower quality before.

  Args:
    data: the file.
    table: that of its luma, [8, 8].
  Returns: (`YES`, `PERHAPS`, or '' where nothing can be said; the earlier quality where it follows).
  """
  evidence, explained, quality = _evidence(data, table)
  lower = quality is not None and standard_tables()[quality][0].sum() > np.sum(table)
  if lower and explained > EXPLAINED * evidence and evidence > SURE_FROM / 2:
    return (YES if evidence > SURE_FROM else PERHAPS), quality
  return (PERHAPS if evidence > STRANGE_FROM else ""), None


def _evidence(data, table):
  """(log likelihood a block that the best earlier steps gain, the same of the best standard table, its quality)."""
  try:
    if simplejpeg.decode_jpeg_header(data)[2] not in ("YCbCr", "Gray") or np.min(table) < 1:
      return 0.0, 0.0, None
    luma = simplejpeg.decode_jpeg(data, colorspace="GRAY")[..., 0]
  except ValueError:  # damaged, or of a kind that it does not read
    return 0.0, 0.0, None
  top, left = (max(0, (side - LARGEST) // 16 * 8) for side in luma.shape)
  luma = luma[top : top + LARGEST, left : left + LARGEST].astype(np.float32) - 128
  coefficients, smooth = _coefficients(luma), _coefficients(luma[4:, 4:])
  if min(len(coefficients), len(smooth)) < FEWEST:
    return 0.0, 0.0, None
  gains = np.array([_gains(coefficients[:, i, j], smooth[:, i, j], table[i][j]) for i, j in FREQUENCIES])
  gained = np.maximum(gains.max(1) - FREE, 0)
  if np.sum(gained > 0) < AGREEING:
    return 0.0, 0.0, None
  evidence = gained.sum() / len(coefficients)
  by_quality = {quality: sum(gains[n, min(tables[0][place], STEPS[-1]) - 1] for n, place in enumerate(FREQUENCIES))
                for quality, tables in standard_tables().items() if quality in QUALITIES}
  likeliest = max(by_quality, key=lambda quality: by_quality[quality])
  return evidence, by_quality[likeliest] / len(coefficients), likeliest


def _coefficients(luma):
  """float[N, 8, 8] of the whole blocks of float[H, W]."""
  height, width = (side // 8 * 8 for side in luma.shape)
  return dctn(luma[:height, :width].reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8),
              axes=(1, 2), norm="ortho")


def _gains(coefficients, smooth, step):
  """float[len(STEPS)]: how much likelier each earlier step makes the coefficients of a frequency than none does."""
  multiples = np.arange(-MOST, MOST + 1)
  counts = np.bincount(np.clip(np.rint(coefficients / step), -MOST, MOST).astype(int) + MOST, minlength=len(multiples))
  edges = np.concatenate([[-np.inf], (multiples[1:] - 0.5) * step, [np.inf]])
  shares = lambda values, weights: 0.99 * (
      weights @ np.diff(ndtr((edges - values[:, None]) / ROUNDING))) + 0.01 / len(multiples)
  values, numbers = np.unique(np.rint(smooth), return_counts=True)
  weights, met = numbers / numbers.sum(), counts > 0
  once = shares(values, weights)
  gains = np.zeros(len(STEPS))
  for n, earlier in enumerate(STEPS):
    if earlier == step:  # the same table again changes nothing
      continue
    places, where = np.unique(np.rint(values / earlier) * earlier, return_inverse=True)
    twice = 0.95 * shares(places, np.bincount(where, weights)) + 0.05 * once
    gains[n] = counts[met] @ np.log(twice[met] / once[met])
  return gains
