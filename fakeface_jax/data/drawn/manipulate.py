"""Turning a genuine picture into a fake one: cameras, regions and the ways of tampering with them.

Pictures are display RGB float32[H, W, 3] in 0..1, alphas float32[H, W] in 0..1; nothing here knows who drew a picture,
so a photograph serves as well as a rendered face. Lengths in pixels hold for 96-pixel pictures and grow with the size.
Both classes go through `capture` and `develop`; tampering happens in between, as it does with real files, so that only
local evidence is left: seams, and colour, light, noise, blur or structure that do not fit. (The seam as evidence is the
idea of Face X-ray, Li et al., 2020; a picture blended with its own warped and recoloured copy that of Self-Blended
Images, Shiohara & Yamasaki, 2022.)
"""

import collections
import io

import numpy as np
from PIL import Image
from scipy import ndimage

from fakeface_jax.data.reading.images import encode_image

FLOOR = 1 / 16  # an alpha below this counts, and is treated, as untouched


# How visible a fake is, in ranges of uniform draws: length of the colour shift in display units; misplacement, in radii
# of the region; loss of detail, or strength of a distortion, in 0..1; blur of the seam, pixels.
Level = collections.namedtuple("Level", ("colour", "warp", "damage", "edge"))
LEVELS = {
  "easy": Level((0.42, 0.52), (0.25, 0.45), (0.8, 1.0), (0.8, 1.0)),
  "mid": Level((0.34, 0.42), (0.18, 0.32), (0.6, 0.8), (0.8, 1.1)),
  "hard": Level((0.26, 0.34), (0.10, 0.20), (0.35, 0.6), (0.9, 1.3)),
}


def _unit(image):
  """Pixels for 96-pixel units."""
  return min(image.shape[:2]) / 96


def _blur(image, sigma):
  sigmas = (sigma, sigma) + (0,) * (image.ndim - 2)
  return ndimage.gaussian_filter(image, sigmas, mode="nearest", truncate=3)


def lattice(rng, shape, cells):
  """Smooth noise of about unit variance, float32[shape], `cells` cells across."""
  grid = rng.standard_normal((cells, cells), np.float32)
  return np.asarray(Image.fromarray(grid).resize(shape[::-1], Image.Resampling.BICUBIC))


def jpeg(image, quality, subsampling=2):
  """JPEG bytes of a picture; `subsampling` 0 keeps the colour's resolution, 2 halves it."""
  pixels = np.uint8(np.clip(image, 0, 1) * 255 + 0.5)
  return encode_image(pixels, "JPEG", quality=int(quality), subsampling=subsampling)


def capture(rng, image):
  """What a camera makes of a scene: lens blur, exposure, white balance, vignette and noise -> the same shape, 0..1."""
  height, width = image.shape[:2]
  image = _blur(image, rng.uniform(0.35, 0.75) * _unit(image))
  gain = np.float32(rng.uniform(0.85, 1.15) * rng.normal(1, (0.025, 0.008, 0.025)))
  y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
  vignette = np.float32(1 - rng.uniform(0, 0.2) * (x * x + y * y) / 2)
  sigma = 0.005 * 5 ** rng.random()
  noise = rng.standard_normal(image.shape, np.float32)
  if rng.random() < 0.5:  # half of the cameras interpolate their colours: coarser grain
    noise = 1.6 * ndimage.uniform_filter(noise, (2, 2, 1))
  image = image * (vignette[..., None] * gain)
  return np.clip(image + noise * (sigma * np.sqrt(np.clip(image, 0.05, 1))), 0, 1)


def develop(rng, image):
  """The last step of every picture, genuine or not -> JPEG bytes of quality 60 to 95.

  Automatic levels, a tone curve for each colour, some softening or sharpening, and faint noise.
  """
  mean, spread = rng.uniform(0.4, 0.56), rng.uniform(0.17, 0.25)
  image = (image - image.mean()) * np.float32(np.clip(spread / (image.std() + 1e-3), 0.8, 1.2)) + np.float32(mean)
  gain, lift, gamma = rng.normal(1, 0.025, 3), rng.normal(0, 0.01, 3), rng.normal(1, 0.03, 3)
  image = np.clip(image, 0, 1) ** np.float32(gamma) * np.float32(gain) + np.float32(lift)
  image = image + np.float32(rng.uniform(-0.3, 0.5)) * (image - _blur(image, 0.8 * _unit(image)))
  image = image + np.float32(rng.uniform(0.002, 0.008)) * rng.standard_normal(image.shape, np.float32)
  return jpeg(image, rng.integers(60, 96), subsampling=int(rng.choice([0, 2])))


def random_blob(rng, inside, radius):
  """An irregular alpha around a random point of `inside` (alpha), `radius` in half images -> float32[H, W]."""
  height, width = inside.shape
  at = np.flatnonzero(inside > 0.5)
  cy, cx = divmod(int(rng.choice(at)) if len(at) else height * width // 2, width)
  y, x = np.ogrid[:height, :width]
  distance = np.hypot((y - cy) / height, (x - cx) / width) * 2 / radius
  return np.float32(np.clip((1 - distance + 0.2 * lattice(rng, inside.shape, 6)) * 6, 0, 1))


def seam(rng, region, sigma):
  """The alpha a forger would use for a region: its outline a little ragged, its edge blurred by `sigma` pixels.

  Exactly 0 wherever it would have been below FLOOR.
  """
  unit = _unit(region)
  outline = _blur(region, 0.8 * unit) + 0.12 * np.clip(lattice(rng, region.shape, 10), -2, 2)
  alpha = _blur(np.float32(outline > 0.5), sigma * unit)
  return np.clip((alpha - FLOOR) / (1 - 2 * FLOOR), 0, 1)


def blend(host, altered, alpha):
  """`altered` where alpha is 1, `host`, bit by bit, where it is 0 -> (image, mask uint8[H, W] in {0, 255})."""
  image = np.where(alpha[..., None] > 0, host + alpha[..., None] * (altered - host), host)
  return np.clip(image, 0, 1), np.uint8(alpha > 0) * np.uint8(255)


def _sample(image, rows, cols):
  """Bilinear look-up, coordinates in pixels; outside repeats the border."""
  height, width = image.shape[:2]
  rows, cols = np.clip(rows, 0, height - 1.001), np.clip(cols, 0, width - 1.001)
  i, j = rows.astype(np.int32), cols.astype(np.int32)
  a, b = np.float32(rows - i)[..., None], np.float32(cols - j)[..., None]
  top = image[i, j] * (1 - b) + image[i, j + 1] * b
  return top * (1 - a) + (image[i + 1, j] * (1 - b) + image[i + 1, j + 1] * b) * a


def _resample(image, alpha, field):
  """Looks the region's pixels up elsewhere: `field(y, x)` -> (y, x), offsets from the centre in radii.

  The radius is that of a disc of the region's area.
  """
  weight = float(alpha.sum()) + 1e-6
  cy, cx = (float(sums @ np.arange(len(sums))) / weight for sums in (alpha.sum(1), alpha.sum(0)))
  radius = max(1.5, float(np.sqrt(weight / np.pi)))
  box = ndimage.find_objects(np.uint8(alpha > 0))[0]
  rows, cols = np.mgrid[box]
  y, x = field(np.float32(rows - cy) / radius, np.float32(cols - cx) / radius)
  out = image.copy()
  out[box] = _sample(image, y * radius + cy, x * radius + cx)
  return out


def _sign(rng):
  return 1.0 if rng.random() < 0.5 else -1.0


def match_colour(image, host, alpha):
  """`image` with its mean colour inside the region moved to the host's."""
  weight = alpha[..., None] / (alpha.sum() + 1e-6)
  return image + ((host - image) * weight).sum((0, 1))


def shift_colour(rng, image, alpha, amount):
  """Makes a region lighter or darker by about `amount` and gives it a cast of any hue, as from another lamp or camera.

  It stays away from black and white, which genuine pictures hold rarely and would give the class away as a whole.
  """
  mean = float((image.mean(2) * alpha).sum() / (alpha.sum() + 1e-6))
  light = amount * rng.uniform(0.7, 1) * (_sign(rng) if 0.35 < mean < 0.65 else np.sign(0.5 - mean))
  hue = rng.uniform(0, 2 * np.pi)
  cast = np.cos(hue) * np.array([0.71, 0, -0.71]) + np.sin(hue) * np.array([-0.41, 0.82, -0.41])
  wanted = np.clip(mean + light, 0.14, 0.84) + 0.35 * amount * cast
  return np.clip(wanted + 0.7 * (image - mean), 0.03, 0.97).astype(np.float32)


def misplace(rng, image, alpha, amount):
  """The region's content at a wrong place, scale and angle; `amount` in radii."""
  angle = rng.uniform(0, 2 * np.pi)
  dy, dx = amount * np.sin(angle), amount * np.cos(angle)
  zoom, roll = np.exp(_sign(rng) * amount), _sign(rng) * amount
  cos, sin = np.cos(roll) * zoom, np.sin(roll) * zoom
  return _resample(image, alpha, lambda y, x: (cos * y - sin * x + dy, sin * y + cos * x + dx))


def bend(rng, image, alpha, amount):
  """The region's content swirled, bulged, pinched or rippled, float32 of any scale; `amount` in 0..1."""
  kind = rng.integers(3)

  def field(y, x):
    fade = np.exp(-(y * y + x * x))
    if kind == 0:
      turn = 2.2 * sign * amount * fade
      return y * np.cos(turn) - x * np.sin(turn), y * np.sin(turn) + x * np.cos(turn)
    if kind == 1:
      zoom = np.exp(0.9 * sign * amount * fade)
      return y * zoom, x * zoom
    return y + 0.25 * amount * np.sin(7 * x), x + 0.25 * amount * np.sin(7 * y)

  sign = _sign(rng)
  return _resample(image, alpha, field)


def _degraded(rng, image, amount):
  """Blur, noise, coarse pixels or a strong JPEG; `amount` in 0..1."""
  unit, kind = _unit(image), rng.integers(4)
  if kind == 0:
    return _blur(image, 2.6 * amount * unit)
  if kind == 1:
    return image + np.float32(0.06 * amount) * rng.standard_normal(image.shape, np.float32)
  if kind == 2:
    step = max(2, round(5 * amount * unit))
    return np.repeat(np.repeat(image[::step, ::step], step, 0), step, 1)[: image.shape[0], : image.shape[1]]
  return np.float32(Image.open(io.BytesIO(jpeg(image, 18 - 14 * amount)))) / 255


OPERATIONS = ("splice", "self_blend", "distort", "degrade")


def _altered(rng, host, donor, alpha, level, operation):
  """What takes the region's place, off by the level's colour shift; a spliced one is matched to the host's first."""
  if operation == "splice":
    image = match_colour(misplace(rng, donor, alpha, 0.5 * rng.uniform(*level.warp)), host, alpha)
  elif operation == "self_blend":
    image = misplace(rng, host, alpha, rng.uniform(*level.warp))
  else:
    image = (bend(rng, host, alpha, rng.uniform(*level.damage)) if operation == "distort" else
             _degraded(rng, host, rng.uniform(*level.damage)))
  return shift_colour(rng, image, alpha, rng.uniform(*level.colour))


def forge(rng, host, donor, region, difficulty, operation):
  """Tampers with one region.

  Args:
    host: the genuine picture. donor: another picture of the same size, which only "splice" looks at (else None).
    region: alpha of what to tamper with. difficulty: a key of LEVELS. operation: of OPERATIONS.
  Returns: (image float32[H, W, 3], mask uint8[H, W]). The mask is 255 exactly where a pixel of `host` was blended with
    altered content at an alpha of FLOOR or more, and 0 where the picture is the host's, bit by bit. Steps that follow
    (`develop`'s JPEG) spread a change over the rest of its 8 x 8 or 16 x 16 block; the mask does not follow that.
  """
  level = LEVELS[difficulty]
  alpha = seam(rng, region, rng.uniform(*level.edge))
  if not alpha.any():
    return host, np.zeros(alpha.shape, np.uint8)
  return blend(host, _altered(rng, host, donor, alpha, level, operation), alpha)
