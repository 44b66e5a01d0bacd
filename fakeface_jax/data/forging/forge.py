"""Fakes made of photographs of real faces, each with an exact mask of what was changed.

One region is spliced from another photograph, blended with a warped copy of itself, distorted or degraded, or the
background is exchanged; the edge runs from hard to soft. (Learning from the seam of one's own blends is the idea of
Face X-ray, Li et al., 2020; a picture blended with its own changed copy that of Self-Blended Images, Shiohara &
Yamasaki, 2022.) Pictures are display RGB uint8[H, W, 3]; `manipulate` does the like to drawn faces, which it must make
easier to tell.

Both classes are encoded last, and alike (`encode`): a difference in quality or size would give the class away.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, ImageFilter

from fakeface_jax.data.drawn.manipulate import bend
from fakeface_jax.data.forging.landmarks import BLOB, find_points
from fakeface_jax.data.forging.regions import draw_patch

QUALITIES = (75, 97)  # of the last encoding, of both classes
LEAST_CHANGE = 2.0  # grey values, mean over the patch: less cannot be seen after encoding, and is drawn again
TRIES = 12

# How often each region is tampered with: what people look at first, as forgers do
REGION_WEIGHTS = {
    "left_eye": 4, "right_eye": 4, "nose": 4, "mouth": 4, "ears": 1, "hair": 1, "background": 1, "face": 4, "other": 2}
OPERATION_WEIGHTS = {"splice": 0.45, "self_blend": 0.35, "distort": 0.1, "degrade": 0.1, "swap": 0.5}  # of one region
NEED_DONOR = ("splice", "swap")


class Photograph(NamedTuple):
  """A real face: uint8[H, W, 3], and its points or None, and how they were found (see `landmarks.find_points`)."""

  image: np.ndarray
  points: np.ndarray | None
  found_by: str


class Forgery(NamedTuple):
  """A fake and what was done."""

  image: np.ndarray  # uint8[H, W, 3]
  mask: np.ndarray  # uint8[H, W]: 255 where altered content is blended in (alpha >= FLOOR), 0 where no bit is changed
  region: str  # of `features.REGIONS`
  operation: str  # a key of OPERATION_WEIGHTS
  edge: float  # Gaussian sigma of the blend's edge in pixels
  found_by: str  # how the region was found: landmarks, template or blob


def photograph(image, framing):
  """A Photograph of uint8[H, W, 3], its points looked for; framing as of `landmarks.find_points`."""
  return Photograph(image, *find_points(image, framing))


def forge(rng, host, donor=None, *, region=None, operation=None):
  """One forgery of a photograph.

  Args:
    rng: NumPy generator, which with the photographs decides everything.
    host, donor: Photographs; without a donor nothing is spliced or swapped.
    region, operation: to be used; drawn by their weights where None.
  Returns: a Forgery. What cannot be seen, or lies outside of the picture, is drawn again; after `TRIES` of them, a blob
    is blended with its own changed copy.
  Raises: ValueError where the region or operation asked for is not possible.
  """
  known = host.points is not None, donor is not None, donor is not None and donor.points is not None
  choices = _choices(*known, region, operation)
  if not choices:
    raise ValueError(f"{operation or 'nothing'} cannot be done to {region or 'any region'} of this photograph")
  for _ in range(TRIES):
    pair = choices[int(np.searchsorted([share for _, share in choices], rng.random(), side="right"))][0]
    forged = _attempt(rng, host, donor, *pair)
    if forged is not None:
      return forged
  while True:
    forged = _attempt(rng, host, None, "other", "self_blend", least=0)
    if forged is not None:
      return forged


@functools.cache
def _choices(host_known, has_donor, donor_known, region, operation):
  """[((region, operation), share of the draws up to here)] of what can be done."""
  def possible(name, kind):
    placed = (host_known and (kind not in NEED_DONOR or donor_known)) or name == "other"
    return placed and (has_donor or kind not in NEED_DONOR) and (kind != "swap" or name == "background")

  pairs = {
      (name, kind): weight * share for name, weight in REGION_WEIGHTS.items() if region in (None, name)
      for kind, share in OPERATION_WEIGHTS.items() if operation in (None, kind) and possible(name, kind)}
  shares = np.cumsum(list(pairs.values()))
  return list(zip(pairs, (shares / shares[-1:]).tolist(), strict=True))


def _attempt(rng, host, donor, region, operation, least=LEAST_CHANGE):
  shape = host.image.shape[:2]
  patch = draw_patch(rng, region, host.points, shape, whole=operation == "swap")
  if patch is None:
    return None
  genuine = np.float32(host.image[patch.box])
  altered = _altered(rng, host, donor, patch, genuine, operation)
  blended = np.clip(genuine + patch.alpha[..., None] * (altered - genuine) + 0.5, 0, 255).astype(np.uint8)
  changed = patch.alpha > 0
  if np.abs(blended - genuine).sum() < least * 3 * changed.sum():
    return None
  image, mask = host.image.copy(), np.zeros(shape, np.uint8)
  image[patch.box] = blended  # where alpha is 0 this is the photograph's own pixel: it was whole, and 0.5 is cut off
  mask[patch.box] = changed * np.uint8(255)
  return Forgery(image, mask, region, operation, patch.edge, BLOB if region == "other" else host.found_by)


def _altered(rng, host, donor, patch, genuine, operation):
  """What takes the place of a patch's own `genuine` pixels: float32[h, w, 3], 0..255."""
  if operation == "splice":  # the donor's region, nearly well placed, in the host's colours or nearly
    moved = _look_up(donor.image, patch.box, _to_donor(host, donor) @ _misplacement(rng, patch, rng.uniform(0, 0.06)))
    return shift_colour(rng, match_colour(moved, genuine, patch.alpha), patch.alpha, rng.uniform(0, 0.03))
  if operation == "swap":  # the donor's background, as it is or mirrored
    image = donor.image[:, ::-1] if rng.random() < 0.5 else donor.image
    return _look_up(np.ascontiguousarray(image), patch.box, _to_size(host, donor))
  if operation == "distort":  # a small swirl, bulge, pinch or ripple, which draws on the surroundings
    reach = tuple(slice(max(s.start - (s.stop - s.start), 0), s.stop + (s.stop - s.start)) for s in patch.box)
    alpha = np.zeros(host.image[reach].shape[:2], np.float32)
    inner = tuple(slice(s.start - r.start, s.stop - r.start) for s, r in zip(patch.box, reach, strict=True))
    alpha[inner] = patch.alpha
    return bend(rng, np.float32(host.image[reach]), alpha, rng.uniform(0.15, 0.4))[inner]
  if operation == "degrade":
    return _degraded(rng, genuine, min(host.image.shape[:2]) / 256)
  # the host's own region, a little misplaced, recoloured, and often sharper or softer
  moved = _look_up(host.image, patch.box, _misplacement(rng, patch, rng.uniform(0.02, 0.1)))
  kind, unit = rng.integers(4), min(host.image.shape[:2]) / 256
  if kind == 0:
    moved = _filtered(moved, ImageFilter.GaussianBlur(rng.uniform(0.5, 1.2) * unit))
  elif kind == 1:
    moved = _filtered(moved, ImageFilter.UnsharpMask(rng.uniform(1, 2) * unit, int(rng.integers(60, 160)), 0))
  return shift_colour(rng, moved, patch.alpha, rng.uniform(0.02, 0.07))


def _degraded(rng, genuine, unit):
  """Blur, noise, coarse pixels or a strong JPEG."""
  kind = rng.integers(4)
  if kind == 0:
    return _filtered(genuine, ImageFilter.GaussianBlur(rng.uniform(1, 2.6) * unit))
  if kind == 1:
    return genuine + np.float32(rng.uniform(4, 10)) * rng.standard_normal(genuine.shape, np.float32)
  pixels = genuine.astype(np.uint8)
  height, width = pixels.shape[:2]
  if kind == 2:
    factor = rng.uniform(2, 3.5) * max(unit, 0.5)
    small = Image.fromarray(pixels).resize((max(2, round(width / factor)), max(2, round(height / factor))),
                                           Image.Resampling.BILINEAR)
    return np.float32(small.resize((width, height), Image.Resampling.BILINEAR))
  return np.float32(simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(pixels, quality=int(rng.integers(8, 35)))))


def match_colour(image, host, alpha):
  """`image` with the mean and spread that each colour has within the host's patch (Reinhard et al., 2001, in RGB)."""
  (mean, spread), (wanted, wanted_spread) = _moments(image, alpha), _moments(host, alpha)
  return (image - mean) * np.clip(wanted_spread / (spread + 1), 0.6, 1.6) + wanted


def shift_colour(rng, image, alpha, amount):
  """Lightness, contrast and hue off by about `amount` (of the whole scale), away from black and from white."""
  mean = _moments(image, alpha)[0].mean()
  sign = 1 if mean < 60 else -1 if mean > 195 else rng.choice((-1, 1))
  light, cast = sign * rng.uniform(0.4, 1), 0.5 * rng.standard_normal(3)
  contrast = np.float32(np.exp(amount * rng.uniform(-2, 2)))
  return image * contrast + np.float32(mean * (1 - contrast) + 255 * amount * (light + cast))


def _moments(image, alpha):
  """Each colour's mean and standard deviation within a patch, float32[3] each."""
  weight, colours = alpha.ravel() / alpha.sum(), image.reshape(-1, 3)
  mean = weight @ colours
  return mean, np.sqrt(np.maximum(weight @ np.square(colours) - np.square(mean), 0))


def _filtered(image, kind):
  return np.float32(Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).filter(kind))


# Places are x and y in pixels; a 3 x 3 matrix says where a place of the host is looked up.


def _misplacement(rng, patch, amount):
  """Moved, zoomed and turned about the patch's centre, by up to about `amount` (of its radius, or in radians)."""
  rows, columns = patch.box
  cx, cy = (columns.start + columns.stop) / 2, (rows.start + rows.stop) / 2
  radius = math.sqrt(float(patch.alpha.sum()) / math.pi)
  angle, roll = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1) * amount
  zoom = np.exp(rng.uniform(-1, 1) * amount)
  cos, sin = zoom * np.cos(roll), zoom * np.sin(roll)
  dx, dy = cx + radius * amount * np.cos(angle), cy + radius * amount * np.sin(angle)
  return np.array([[cos, -sin, dx - cos * cx + sin * cy], [sin, cos, dy - sin * cx - cos * cy], [0, 0, 1]])


def _to_size(host, donor):
  (height, width), (donor_height, donor_width) = host.image.shape[:2], donor.image.shape[:2]
  return np.diag([donor_width / width, donor_height / height, 1.0])


def _to_donor(host, donor):
  """Maps the host's points to the donor's, as well as moving, turning and one zoom can."""
  if host.points is None or donor.points is None:
    return _to_size(host, donor)
  ours, theirs = (points[17:].astype(np.float64) @ (1, 1j) for points in (host.points, donor.points))  # not the jaw
  centred = ours - ours.mean()
  turn = (np.conj(centred) @ (theirs - theirs.mean())) / (np.conj(centred) @ centred)
  move = theirs.mean() - turn * ours.mean()
  return np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag], [0, 0, 1]])


def _look_up(image, box, matrix):
  """float32[h, w, 3] of a box, each pixel looked up bilinearly where the matrix sends it; borders are mirrored."""
  rows, columns = box
  corners = matrix @ [[columns.start, columns.stop] * 2, [rows.start] * 2 + [rows.stop] * 2, [1] * 4]
  sides = np.array(image.shape[1::-1])
  low, high = np.floor(corners[:2].min(1)).astype(int) - 2, np.ceil(corners[:2].max(1)).astype(int) + 2
  before, after = np.maximum(-low, 0), np.maximum(high - sides, 0)
  start, stop = np.clip(np.minimum(low, sides - after), 0, sides - 1), np.clip(np.maximum(high, before), 1, sides)
  part = image[start[1] : stop[1], start[0] : stop[0]]
  if before.any() or after.any():
    part = np.pad(part, ((before[1], after[1]), (before[0], after[0]), (0, 0)), "symmetric")
  shift = lambda x, y: np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
  matrix = shift(*(before - start)) @ matrix @ shift(columns.start, rows.start)
  size = (columns.stop - columns.start, rows.stop - rows.start)
  return np.float32(Image.fromarray(np.ascontiguousarray(part)).transform(
      size, Image.Transform.AFFINE, tuple(matrix[:2].ravel().tolist()), Image.Resampling.BILINEAR))


def last_quality(rng):
  """The JPEG quality that a photograph and all fakes of it get."""
  return int(rng.integers(*QUALITIES))


def encode(image, quality):
  """JPEG bytes, the same way for both classes."""
  return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=quality, colorsubsampling="420")
