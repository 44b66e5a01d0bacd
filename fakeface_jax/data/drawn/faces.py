"""Faces drawn by a program: the photographs of the data set that needs no download.

A face is a small height field (skull, brow, nose, lips, chin) lit by one lamp, painted with skin, eyes, lips and hair,
in front of a background. Head coordinates: x to the image's right, y down, chin at y = 1, top of the skull at y = -1.
Colours are linear light while drawing (a display value is its square root). Left and right are the image's.
"""

from types import SimpleNamespace

import numpy as np
from PIL import Image

STYLES = ("bald", "short", "fringe", "long", "curly")
BACKGROUNDS = ("gradient", "blobs", "noise", "stripes", "horizon")
_SKINS = ((250, 218, 198), (238, 196, 168), (226, 174, 136), (196, 138, 98), (150, 98, 66), (104, 66, 46), (70, 45, 34))
_HAIRS = ((18, 15, 14), (38, 26, 20), (70, 44, 28), (104, 66, 38), (152, 106, 58), (206, 164, 104), (126, 56, 28),
          (150, 146, 142), (222, 220, 214))
_EYES = ((58, 34, 20), (84, 54, 30), (112, 86, 48), (82, 108, 74), (78, 116, 148), (112, 132, 144))


def _linear(rgb):
  return tuple(float(v) for v in np.square(np.clip(np.asarray(rgb, np.float64) / 255, 0, 1)))


def _mix(table, rng, jitter):
  """A colour between two neighbours of `table`, display values 0..255, then linear."""
  at = rng.uniform(0, len(table) - 1)
  i = min(int(at), len(table) - 2)
  rgb = np.asarray(table[i]) * (1 - at + i) + np.asarray(table[i + 1]) * (at - i)
  return _linear(rgb * rng.normal(1, jitter, 3))


def _any_colour(rng, low, high, vivid=33):
  """A colour of any lightness and hue, mostly dull and now and then vivid, as walls, clothes and lamps are."""
  hue, vividness = rng.uniform(0, 2 * np.pi), rng.gamma(1.5, vivid / 1.5)
  tint = np.cos(hue) * np.array([0.71, 0, -0.71]) + np.sin(hue) * np.array([-0.41, 0.82, -0.41])
  return _linear(np.clip(rng.uniform(low, high) + vividness * tint, 2, 253))


def sample_face(rng):
  """A random person, place and lamp from a NumPy generator: a namespace of what follows.

  Lengths are in head units, colours linear RGB in 0..1.
  """
  u, n = rng.uniform, rng.normal
  across, up = n(0, 0.55), u(0.15, 0.8)
  light = np.asarray([across, -up, 1.0]) / np.sqrt(across**2 + up**2 + 1)
  warmth, tint = n(0, 0.05), n(0, 0.03)
  style = str(rng.choice(STYLES, p=[0.06, 0.32, 0.2, 0.27, 0.15]))
  masculine = style in ("bald", "short")
  return SimpleNamespace(
    pose=SimpleNamespace(  # shift in half images; scale from chin to skull, in images; the others in radians
      shift=(n(0, 0.04), n(0.01, 0.03)), scale=u(0.8, 0.96), roll=n(0, 0.06), yaw=n(0, 0.18), pitch=n(0, 0.09)),
    light=tuple(light.tolist()),  # unit vector towards the lamp: right, down, out of the picture
    lamp=(1 + warmth, 1 + tint, 1 - warmth),  # its colour
    ambient=u(0.24, 0.5),
    grain=int(rng.integers(2**31)),  # the seed of every texture
    skin=_mix(_SKINS, rng, 0.025),
    blush=u(0, 0.5),
    freckles=max(0.0, u(-2, 1)),
    wrinkles=u(0, 1) ** 2,
    width=u(0.66, 0.78),
    jaw=u(0.2, 0.48),
    asymmetry=n(0, 0.012),
    eye_x=u(0.27, 0.33),
    eye_y=u(-0.05, 0.03),
    eye_size=u(0.135, 0.17),
    eye_open=u(0.34, 0.62),
    eye_tilt=n(0.06, 0.07),
    iris=_mix(_EYES, rng, 0.03),
    gaze=(n(0, 0.14), n(0, 0.06)),
    brow=(u(0.15, 0.2), u(0.018, 0.05) + 0.012 * masculine, u(0, 0.06)),  # height above the eye, thickness, arch
    nose=(u(0.1, 0.165), u(0.36, 0.45), u(0.2, 0.32)),  # width, y of the tip, height
    mouth=(u(0.62, 0.68), u(0.2, 0.29), u(0.045, 0.085)),  # y, half width, fullness
    smile=n(0.03, 0.022),
    gape=max(0.0, u(-0.12, 0.07)),
    lips=(u(0.72, 0.95), u(0.42, 0.62), u(0.42, 0.62)),
    hair=_mix(_HAIRS, rng, 0.02) if rng.random() < 0.85 else _any_colour(rng, 40, 200),
    style=style,
    volume=u(0.2, 0.38) if style == "curly" else u(0.06, 0.16),
    hairline=u(-0.36, -0.28) if style == "fringe" else u(-0.66, -0.52),
    parting=u(-0.35, 0.35),
    length=u(0.7, 1.7),
    beard=max(0.0, u(-1.2, 1)) if masculine else 0.0,
    glasses=u(0.012, 0.032) if rng.random() < 0.16 else 0.0,  # 0: none, else the thickness of the frame
    clothes=_any_colour(rng, 20, 215),
    collar=u(0, 1),
    background=str(rng.choice(BACKGROUNDS)),
    palette=tuple(_any_colour(rng, 30, 225) for _ in range(5)),
  )


def _edge(distance, width):
  """Antialiased inside: 1 where distance > width / 2, 0 where < -width / 2."""
  return np.clip(distance / width + 0.5, 0, 1)


def _bell(x, y, cx, cy, sx, sy):
  return np.exp(-np.square((x - cx) / sx) - np.square((y - cy) / sy))


def _plane(colour):
  return np.asarray(colour, np.float32)[:, None, None]


def _paint(image, alpha, colour):
  """Blends a colour (3 values, or float32[3, H, W]) over float32[3, H, W] in place."""
  image += alpha * ((_plane(colour) if np.ndim(colour) == 1 else np.asarray(colour, np.float32)) - image)


class _Drawing:
  """The fields every part is drawn with; image planes are [3, size, size], everything is float32."""

  def __init__(self, face, size):
    self.face, self.size = face, size
    self.rng = np.random.default_rng(face.grain)
    pose = face.pose
    line = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    dx, dy = line[None, :] - pose.shift[0], line[:, None] - pose.shift[1]
    cos, sin = np.float32(np.cos(pose.roll) / pose.scale), np.float32(np.sin(pose.roll) / pose.scale)
    self.px = 2 / size / pose.scale  # one pixel in head units
    self.x, self.y = cos * dx + sin * dy, cos * dy - sin * dx
    depth = np.sqrt(np.clip(1 - np.square(self.x) - 0.75 * np.square(self.y), 0, 1))
    self.fx = self.x - np.float32(0.45 * np.sin(pose.yaw)) * depth + face.asymmetry * np.sin(4 * self.y)
    self.fy = self.y - np.float32(0.45 * np.sin(pose.pitch)) * depth
    self.low, self.mid, self.fine = self.noise(7), self.noise(24), self.noise(110)
    taper = face.jaw * np.square(np.clip(self.fy, 0, 1.2))
    self.outline = np.square(self.x / (face.width * (1 - taper))) + np.abs(self.fy) ** np.float32(2.5)
    self.inside = (1 - np.sqrt(self.outline)) * face.width
    self.face_alpha = _edge(self.inside, self.px)

  def noise(self, cells):
    """Smooth noise of about unit variance with `cells` cells across, the same picture at every size."""
    lattice = self.rng.standard_normal((cells, cells), np.float32)
    return np.asarray(Image.fromarray(lattice).resize((self.size, self.size), Image.Resampling.BICUBIC))

  def lambert(self, nx, ny, nz):
    """Light on a surface with this normal (not normalised): ambient and a soft lamp."""
    lx, ly, lz = self.face.light
    facing = (nx * lx + ny * ly + nz * lz) / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-6)
    return self.face.ambient + (1.25 - self.face.ambient) * np.clip((facing + 0.15) / 1.15, 0, 1)

  def box(self, x0, x1, y0, y1):
    """Rows and columns that hold a box of feature coordinates."""
    inside = (self.fx > x0) & (self.fx < x1) & (self.fy > y0) & (self.fy < y1)
    rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
      return slice(0, 2), slice(0, 2)
    return slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(cols[0] - 1, 0), cols[-1] + 2)


def _background(d):
  face, size = d.face, d.size
  a, b, c, e, f = (_plane(p) for p in face.palette)
  line = np.linspace(-1, 1, size, dtype=np.float32)
  u, v = line[None, :], line[:, None]
  angle = d.rng.uniform(0, np.pi)
  ramp = np.clip(0.5 + 0.5 * (np.cos(angle) * u + np.sin(angle) * v), 0, 1)
  image = a + ramp * (b - a)
  if face.background == "blobs":
    for colour in (c, e, f, a, b, c):
      (x, y), r = d.rng.uniform(-1, 1, 2), d.rng.uniform(0.15, 0.5)
      image = image + _edge(r - np.sqrt(np.square(u - x) + np.square(v - y)), 0.18) * 0.7 * (colour - image)
  elif face.background == "noise":
    image = image + np.clip(0.5 + 0.6 * d.noise(5), 0, 1) * (c - image)
    image = image + np.clip(0.5 * d.noise(9), 0, 1) * (e - image)
  elif face.background == "stripes":
    wave = np.sin(d.rng.uniform(5, 16) * (u + 0.1 * v) + d.rng.uniform(0, 6))
    image = image + np.clip(0.5 + wave, 0, 1) * 0.5 * (c - image)
  elif face.background == "horizon":
    ground = _edge(v - d.rng.uniform(-0.5, 0.4) + 0.06 * d.noise(8), 0.12)
    image = image + ground * (c * (1 + 0.15 * d.noise(14)) - image)
  for _ in range(d.rng.poisson(1.5)):  # lamps and other bright or vivid things, out of focus
    (x, y), r = d.rng.uniform(-1, 1, 2), d.rng.uniform(0.1, 0.45)
    colour = _plane(_any_colour(d.rng, 0, 255, 50))
    disc = _edge(r - np.sqrt(np.square(u - x) + np.square(v - y)), d.rng.uniform(0.02, 0.12))
    image = image + 0.85 * disc * (colour - image)
  return np.ascontiguousarray(np.clip(image * (1 + 0.04 * d.low), 0, 1), np.float32)


def _hair_fields(d):
  """Alpha of the hair behind the head and in front of it, and its shaded colour."""
  face = d.face
  wide, high = face.width + face.volume, 1.0 + 0.75 * face.volume
  tight = 0.08 + 0.6 * face.volume if face.style == "short" else 0.0
  nx, ny = d.x / (wide - tight * np.clip(d.y + 0.75, 0, 1)), (d.y + 0.08) / high
  curly = face.style == "curly"
  if curly:
    strand = 0.6 * d.mid + 0.5 * d.noise(60)
  else:
    table = np.repeat(d.rng.standard_normal(160).astype(np.float32), 16)
    table = np.convolve(table, np.hanning(40) / 20, "same") + 0.5 * np.convolve(table, np.hanning(140) / 70, "same")
    lane = (d.fx - face.parting) / (1.5 + 0.55 * d.fy) + 0.03 * np.sin(5 * d.fy + 3 * face.parting) + 0.012 * d.low
    strand = table.astype(np.float32)[np.clip((lane * 700 + 1280).astype(np.int32), 0, 2559)]
  rough = 0.05 if curly else 0.018
  radius = np.sqrt(np.square(nx) + np.square(np.minimum(ny, 0)))
  outer = (1 - radius) * wide + rough * (strand + d.mid * curly)
  bottom = {"bald": -2.0, "short": 0.02, "fringe": 0.45, "long": face.length, "curly": 0.35 + face.volume}[face.style]
  if face.style == "long":
    outer += 0.12 * np.clip(d.y, 0, 1) * face.collar
  back = _edge(outer, d.px) * _edge(bottom - d.y + 0.06 * strand, 0.12 if not curly else 0.3)
  side = np.square(np.square(d.fx / face.width))
  lean = 0.22 * np.abs(d.fx - face.parting) if face.style in ("short", "long") else 0.0
  line = face.hairline + (0.16 if face.style == "fringe" else 0.55) * side + lean + (0.05 if curly else 0.025) * strand
  front = _edge(line - d.fy, 0.03)
  if face.style in ("long", "fringe"):
    lock = np.abs(d.fx) - face.width * (0.93 - 0.12 * np.clip(d.fy - 0.2, 0, 1)) + 0.012 * strand
    front = np.maximum(front, _edge(lock, 0.03) * _edge(d.fy + 0.6, 0.3))
  front = front * back
  nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.05, 1))
  gloss = np.exp(-np.square((ny + 0.55 + 0.2 * face.light[1]) / 0.14)) * (0.05 if curly else 0.16)
  shade = d.lambert(nx, ny, nz) * np.clip(0.82 + (0.3 if curly else 0.24) * strand, 0.25, 1.6)
  colour = _plane(face.hair) * shade + gloss * np.clip(0.6 + 0.5 * strand, 0, 2) * 0.5
  return back, front, colour * _plane(face.lamp)


def _body(d, image):
  """Neck, shoulders and clothes."""
  face = d.face
  neck = 0.4 + 0.5 * (face.width - 0.66)
  ax = np.abs(d.x)
  slope = 1.12 + 0.32 * np.sqrt(np.clip(ax - neck, 0, None))
  skin_alpha = np.maximum(_edge(neck + 0.05 * np.square(d.y - 0.8) - ax, d.px) * (d.y > 0.4), _edge(d.y - slope, d.px))
  nx = np.clip(d.x / (neck * 1.6), -0.95, 0.95)
  under = 1 - 0.55 * np.exp(-np.square(np.clip(d.fy - 0.95, 0, None) / 0.16)) * (np.abs(d.x) < neck * 1.2)
  skin = _plane(face.skin) * (d.lambert(nx, 0.1, np.sqrt(1 - nx * nx)) * under)
  _paint(image, skin_alpha, skin * (1 + 0.03 * d.mid))
  opening = 1.16 + 0.4 * face.collar - (0.2 + face.collar) * np.clip(ax, 0, neck)
  cloth_alpha = _edge(d.y - np.maximum(opening, slope - 0.03), d.px)
  cloth = d.lambert(0.5 * d.x + 0.3 * d.low, -0.2 + 0.2 * d.mid * 0.5, 0.9) * (0.9 + 0.05 * d.fine)
  if face.collar > 0.6:
    cloth = cloth * (1 - 0.25 * (np.sin(d.x * 30 * face.collar + d.low) > 0.3))
  _paint(image, cloth_alpha, _plane(face.clothes) * cloth)
  return np.maximum(skin_alpha, cloth_alpha)


def _ears(d, image):
  face = d.face
  ax = np.abs(d.x + 0.05 * np.sin(face.pose.yaw))
  u, v = (ax - face.width * 0.98) / 0.1, (d.fy - 0.12 - 0.1 * (ax - face.width)) / 0.23
  radius = np.sqrt(u * u + v * v)
  alpha = _edge((1 - radius) * 0.1, d.px)
  fold = 1 - 0.45 * np.exp(-np.square((radius - 0.55) / 0.2)) - 0.25 * np.exp(-np.square(radius / 0.3))
  skin = _plane(face.skin) * _plane((1.04, 0.9, 0.88))
  _paint(image, alpha, skin * (d.lambert(np.sign(d.x) * 0.6 * u, 0.3 * v, 0.8) * fold))
  return alpha, _edge((1.35 - radius) * 0.1, 0.03)


def _relief(d, fx, fy):
  """The face's height over the picture plane, head units."""
  face, ax = d.face, np.abs(fx)
  ex, ey = face.eye_x, face.eye_y
  width, tip, height = face.nose
  my, mw, full = face.mouth
  z = 0.05 * _bell(ax, fy, 0.26, ey - face.brow[0] - 0.03, 0.24, 0.09)
  z -= 0.085 * _bell(ax, fy, ex - 0.06, ey - 0.02, 0.16, 0.1)
  z += 0.05 * _bell(ax, fy, ex, ey, face.eye_size * 0.9, face.eye_size * 0.55)
  z += 0.07 * _bell(ax, fy, 0.43, 0.26 - 0.3 * face.smile, 0.2, 0.2)
  z += 0.05 * _bell(fx, fy, 0, my, 0.27, 0.2)
  z += 0.06 * _bell(fx, fy, 0, 0.9, 0.17, 0.1)
  z -= 0.03 * _bell(fx, fy, 0, my + 0.155, 0.16, 0.05)
  nx = fx - 0.1 * np.float32(np.sin(face.pose.yaw))
  along = np.clip((fy - ey + 0.1) / (tip - ey + 0.1), 0, 1)
  ridge = along * (0.45 + 0.55 * along) * _edge(tip + 0.035 - fy, 0.13)
  z += height * 0.85 * ridge * np.exp(-np.square(nx / (0.05 + 0.55 * width * along)))
  z += height * 0.42 * _bell(nx, fy, 0, tip, 0.075, 0.07)
  z += height * 0.4 * _bell(np.abs(nx), fy, width * 0.82, tip + 0.035, 0.055, 0.055)
  crease = ax - 0.16 - (0.42 + face.smile) * (fy - tip + 0.04)
  depth = 0.012 + 0.03 * face.wrinkles + 0.25 * max(face.smile, 0)
  z -= depth * _edge(fy - tip - 0.06, 0.14) * _edge(my + 0.07 - fy, 0.2) * np.exp(-np.square(crease / 0.04))
  z -= 0.006 * face.wrinkles * np.sin(fy * 55) * _bell(fx, fy, 0, -0.45, 0.35, 0.13)
  bend = fy - face.smile * 2 * (np.square(fx / mw) - 0.3)
  z += 0.5 * full * _bell(fx, bend, 0, my - 0.5 * full - 0.4 * face.gape, 0.75 * mw, 0.55 * full)
  z += 0.75 * full * _bell(fx, bend, 0, my + 0.7 * full + 0.5 * face.gape, 0.65 * mw, 0.75 * full)
  return z


def _eyes(d, skin, shine, fx, fy, mid):
  """Eyeballs, lids, lashes and brows, painted into the skin; returns where a highlight goes (added after shading)."""
  face, ax, px = d.face, np.abs(fx), d.px
  side = np.sign(fx)
  s = face.eye_size
  u, v = (ax - face.eye_x) / s, (fy - face.eye_y) / s
  v = v + face.eye_tilt * u
  arch = np.clip(1 - u * u, 0, 1)
  upper, lower = v + face.eye_open * np.sqrt(arch) * (1.04 - 0.12 * u), 0.55 * face.eye_open * arch - v
  opening = _edge(np.minimum(upper, lower) * s, px) * (np.abs(u) < 1.02)
  inner = np.exp(-np.square((u + 0.95) / 0.14))
  # lids: a crease above, shade around, then the ball and the lashes over it
  _paint(skin, 0.35 * np.exp(-np.square((upper + 0.24) / 0.09)) * (arch > 0.05), np.asarray(face.skin) * 0.35)
  bag = (0.12 + 0.2 * face.wrinkles) * _bell(u, v, -0.1, 0.85, 0.8, 0.25)
  _paint(skin, bag, np.asarray(face.skin) * (0.6, 0.5, 0.52))
  shadow = (1 - 0.45 * u * u) * (0.55 + 0.6 * np.clip(upper * 1.6, 0, 0.75))
  _paint(skin, opening, _plane((0.74, 0.7, 0.68)) * shadow)
  _paint(skin, opening * inner * 0.7, (0.45, 0.2, 0.18))
  gx, gy = u - side * face.gaze[0], v - face.gaze[1] + 0.06
  ball = np.sqrt(gx * gx + gy * gy)
  ring = np.clip(1.25 - np.square(ball / 0.46) * 0.95, 0.12, 2) * (1 + 0.25 * mid)
  _paint(skin, opening * _edge((0.46 - ball) * s, px), _plane(face.iris) * ring)
  _paint(skin, opening * _edge((0.19 - ball) * s, px), (0.004, 0.004, 0.005))
  thick = 0.07 + 0.02 * (face.style in ("long", "fringe"))
  lash = np.exp(-np.square((upper + 0.02) / thick)) * (np.abs(u) < 1.05)
  _paint(skin, 0.9 * lash, np.asarray(face.hair) * 0.25)
  _paint(skin, 0.35 * np.exp(-np.square((lower + 0.02) / 0.07)) * (np.abs(u) < 1), np.asarray(face.skin) * 0.3)
  rise, thickness, bow = face.brow
  t = np.clip((u + 1.15) / 2.5, 0, 1)
  curve = fy - (face.eye_y - rise - bow * np.sin(np.pi * t) + 0.05 * np.square(t))
  brow = _edge(thickness * (1.1 - 0.75 * t) - np.abs(curve), 0.035)
  brow = brow * _edge((u + 1.1) * s, 0.04) * _edge((1.35 - u) * s, 0.06)
  _paint(skin, brow * np.clip(0.75 + 0.25 * mid, 0, 1), np.asarray(face.hair) * 0.6)
  shine *= 1 - np.maximum(opening, brow)
  lx, ly, _ = face.light
  spot = _edge((0.11 - np.hypot(side * gx - 0.5 * lx, gy - 0.35 * ly)) * s, px) * opening
  return spot


def _mouth(d, skin, shine, fx, fy, mid):
  face, px = d.face, d.px
  my, half, full = face.mouth
  u = np.clip(fx / half, -1, 1)
  v = fy - my - face.smile * (0.6 - 2 * np.square(u))
  arch = np.clip(1 - u * u, 0, 1)
  gap = face.gape * arch
  bow = full * (0.95 * np.sqrt(arch) - 0.25 * np.exp(-np.square(u / 0.13)))
  upper, lower = bow + 0.5 * gap + v, 1.25 * full * np.sqrt(arch) * (0.55 + 0.45 * arch) + 0.6 * gap - v
  lips = _edge(np.minimum(upper, lower), 0.02 + px) * (np.abs(fx) < half)
  tone = np.asarray(face.skin) * face.lips
  _paint(skin, 0.9 * lips, tone[:, None, None] * (1 - 0.22 * (v < 0)) * (1 + 0.05 * mid))
  within = _edge(np.minimum(0.5 * gap + v, 0.6 * gap - v), px) * (np.abs(u) < 0.97)
  if face.gape > 0.004:
    _paint(skin, within, (0.05, 0.015, 0.015))
    teeth = within * _edge(face.gape * 0.3 - v, px) * (0.9 - 0.5 * u * u) * (0.9 + 0.1 * np.cos(fx * 70))
    _paint(skin, teeth * (face.gape > 0.015), (0.75, 0.7, 0.62))
  line = np.exp(-np.square((v - 0.1 * full) / (0.014 + 0.4 * px))) * (1 - within) * _edge(half - np.abs(fx), 0.03)
  _paint(skin, 0.6 * line, tone * 0.15)
  shine += 0.5 * lips


def _skin(d):
  """The lit face over its bounding box -> (box, float32[3, h, w])."""
  face = d.face
  box = d.box(-1.1 * face.width, 1.1 * face.width, -1.05, 1.05)
  fx, fy, mid, fine, low = d.fx[box], d.fy[box], d.mid[box], d.fine[box], d.low[box]
  ax = np.abs(fx)
  z = 0.72 * np.sqrt(np.clip(1 - d.outline[box], 0, 1) + 0.04) + _relief(d, fx, fy)
  zy, zx = np.gradient(z, d.px)
  shade = d.lambert(-zx, -zy, 1.0)
  base = _plane(face.skin)
  skin = base * (1 + 0.035 * low + 0.025 * mid + 0.025 * fine)
  red = face.blush * (_bell(ax, fy, 0.42, 0.32, 0.18, 0.15) + 0.7 * _bell(fx, fy, 0, face.nose[1], 0.14, 0.1))
  _paint(skin, 0.6 * red, np.asarray(face.skin) * (1.06, 0.74, 0.74))
  if face.freckles:
    dots = np.clip(d.noise(64)[box] - 1.1, 0, 1) * _bell(ax, fy, 0.25, 0.22, 0.3, 0.2)
    _paint(skin, np.clip(face.freckles * dots, 0, 1), np.asarray(face.skin) * (0.5, 0.36, 0.3))
  if face.beard:
    my, half, _ = face.mouth
    edge = 0.5 + 0.35 * np.square(np.clip(1 - ax / face.width, 0, 1)) - 0.25 * np.square(ax / face.width)
    zone = _edge(fy - edge, 0.16)
    lip_zone = _edge(np.sqrt(np.square(fx / (1.25 * half)) + np.square((fy - my - 0.02) / 0.1)) - 1, 0.3)
    moustache = _bell(fx, fy, 0, my - 0.1, 0.22, 0.045)
    alpha = np.clip(np.maximum(zone * lip_zone, moustache) * (0.25 + 0.75 * face.beard) * (0.85 + 0.3 * fine), 0, 0.95)
    skin_part = np.asarray(face.skin) * 0.25 * (1 - face.beard)
    _paint(skin, alpha, np.asarray(face.hair) * (0.5 + 0.5 * face.beard) + skin_part)
  shine = np.full_like(z, 0.6)
  _mouth(d, skin, shine, fx, fy, mid)
  spot = _eyes(d, skin, shine, fx, fy, mid)
  width, tip, _ = face.nose
  nx = fx - 0.1 * np.float32(np.sin(face.pose.yaw))
  hole = _bell(np.abs(nx), fy, width * 0.5, tip + 0.075, width * 0.26, 0.022)
  _paint(skin, 0.8 * hole, np.asarray(face.skin) * 0.12)
  lx, ly, _ = face.light
  under_nose = _bell(nx + 0.12 * lx, fy, 0, tip + 0.12, width * 0.9, 0.05)
  under_lip = _bell(fx, fy, 0, face.mouth[0] + 0.17, 0.15, 0.035)
  shade = shade * (1 - 0.3 * under_nose - 0.18 * under_lip)
  inverse = 1 / np.sqrt(zx * zx + zy * zy + 1)
  glance = np.clip((-zx * 0.5 * lx - zy * 0.5 * ly + 0.93) * inverse, 0, 1)
  lamp = _plane(face.lamp)
  skin = skin * shade * lamp + shine * (0.1 * glance**32 + 0.03 * glance**8) * lamp
  _paint(skin, 0.9 * spot, (1.0, 1.0, 1.0))
  return box, np.clip(skin, 0, 1.2)


def _glasses(d, image):
  face = d.face
  box = d.box(-face.width, face.width, -0.35, 0.35)
  ax, fy = np.abs(d.fx[box]), d.fy[box]
  u, v = (ax - face.eye_x - 0.01) / 0.2, (fy - face.eye_y - 0.03) / 0.16
  radius = (u**4 + v**4) ** np.float32(0.25)
  rim = _edge(face.glasses - np.abs(radius - 1) * 0.17, d.px)
  beside = (ax < face.eye_x - 0.18) | (ax > face.eye_x + 0.2)
  bar = _edge(face.glasses - np.abs(fy - face.eye_y + 0.03), d.px) * beside
  _paint(image[(slice(None), *box)], 0.05 * (radius < 1) * (1 + (u + v > 0.5)), (0.8, 0.85, 0.9))
  _paint(image[(slice(None), *box)], np.maximum(rim, bar) * d.face_alpha[box], np.asarray(face.palette[0]) * 0.15)


def render_face(face, size):
  """Draws a face.

  Args: `size`: side of the square picture in pixels.
  Returns: (display RGB float32[size, size, 3] in 0..1, {part: alpha float32[size, size] in 0..1}).
    `left_eye` is the image's left. A part that hair or the frame hides has an alpha of zeros.
  """
  d = _Drawing(face, size)
  image = _background(d)
  back, front, hair = _hair_fields(d)
  _paint(image, back, hair * 0.7)
  body = _body(d, image)
  ear, ear_region = _ears(d, image)
  box, skin = _skin(d)
  shadow = np.roll(front, (max(1, round(0.05 / d.px)), -round(0.05 * face.light[0] / d.px)), (0, 1))
  planes = (slice(None), *box)
  _paint(image[planes], d.face_alpha[box], skin * (1 - 0.35 * shadow[box]))
  if face.glasses:
    _glasses(d, image)
  _paint(image, front, hair)
  part = lambda x, y, rx, ry: _edge(1 - np.hypot((d.fx - x) / rx, (d.fy - y) / ry), 0.2)
  ex, ey, tip, my = face.eye_x, face.eye_y - 0.05, face.nose[1], face.mouth[0]
  bare = 1 - front
  masks = {
    "left_eye": part(-ex, ey, 0.26, 0.25),
    "right_eye": part(ex, ey, 0.26, 0.25),
    "nose": part(0, tip - 0.12, 0.25, 0.33),
    "mouth": part(0, my + 0.01, 0.4, 0.23),
    "ears": ear_region * bare * (1 - back * (ear == 0)),
    "hair": np.maximum(front, back * (1 - np.maximum(np.maximum(body, ear), d.face_alpha))),
    "background": (1 - np.maximum(back, ear)) * (1 - np.maximum(body, d.face_alpha)),
    "face": part(0, 0.2, 0.6, 0.68) * bare * d.face_alpha,
  }
  return np.sqrt(np.clip(image, 0, 1)).transpose(1, 2, 0), {k: v.astype(np.float32) for k, v in masks.items()}
