"""Pictures drawn from formulas, thousands of classes of them.

A class is a program: two fields over the plane, mixed from plane waves, a Julia set and a wavy ring, seen through a
warp; its number alone decides all constants. A picture is one look at it: place, angle and scale, colours, smooth
noise, and often leaves, flat shapes that hide one another, as things do. (Formulas as a substitute for photographs:
Kataoka et al., 2020; contours: Takashima et al., 2023; programs: Baradad et al., 2022; leaves: Lee et al., 2001.)
"""

import jax
import jax.numpy as jnp
from jax import random

from fakeface_jax.pretraining import optics

CLASSES_SEED = 1234
WAVES, RING_ORDERS, JULIA_ROUNDS, LEAVES = 6, (2, 3, 4, 5, 6), 12, 8
TURN = 2 * jnp.pi


def scene(key, number, n):
  """A picture of class `number` (int32) -> float32[n, n, 3] in 0..1."""
  keys = random.split(key, 11)
  line = (jnp.arange(n) + 0.5) * 2 / n - 1
  u, v = jnp.meshgrid(line, line)
  angle, zoom = 0.5 * random.normal(keys[0]), jnp.exp(random.uniform(keys[1], minval=-0.5, maxval=0.4))
  across, down = 0.3 * random.normal(keys[2], (2,))
  cos, sin = zoom * jnp.cos(angle), zoom * jnp.sin(angle)
  first, second = program(number, cos * u + sin * v + across, cos * v - sin * u + down)
  noise = smooth_noise(keys[3], n)
  image = coloured(keys[4], first) + 0.7 * (coloured(keys[5], second) - 0.5)
  image = image + random.uniform(keys[6], minval=0.02, maxval=0.16) * noise
  other = coloured(keys[7], second) + 0.15 * noise[::-1]
  image = jnp.where(random.bernoulli(keys[8]), leaves(keys[9], image, other), image)
  low, high = jnp.array([0.3, 0.1]), jnp.array([0.65, 0.27])
  mean, spread = random.uniform(keys[10], (2,), minval=low, maxval=high)
  return jnp.clip((image - image.mean()) / (image.std() + 1e-3) * spread + mean, 0, 1)


def program(number, u, v):
  """The two fields of a class, in -1..1, at coordinates float32[n, n] -> float32[2, n, n]."""
  keys = random.split(random.fold_in(random.key(CLASSES_SEED), number), 11)
  uniform = lambda i, shape=(), low=0.0, high=1.0: random.uniform(keys[i], shape, minval=low, maxval=high)
  push, pace, phase = 0.35 * random.normal(keys[0], (4,)), uniform(1, (4,), 1, 5), uniform(2, (6,), 0, TURN)
  wave = lambda i, x: push[i] * (jnp.sin(pace[i] * x + phase[i]) + 0.5 * jnp.sin(2 * pace[i] * x + phase[i + 1]))
  u, v = u + wave(0, v) + 0.5 * wave(1, v), v + wave(2, u) + 0.5 * wave(3, u)

  frequency = jnp.exp(uniform(3, (WAVES,), 0.5, 3.4))[:, None, None]
  towards, start = (uniform(i, (WAVES,), 0, TURN)[:, None, None] for i in (4, 5))
  amplitude = frequency ** -uniform(6, (), 0.1, 1.0)
  waves = amplitude * jnp.sin(frequency * (jnp.cos(towards) * u + jnp.sin(towards) * v) + start)
  waves = waves.sum(0) / jnp.sqrt(0.5 * jnp.square(amplitude).sum())

  fields = jnp.stack([waves, julia(keys[7], 1.3 * u, 1.3 * v), ring(keys[8], keys[9], u, v)])
  mix = random.normal(keys[10], (2, 3))
  return jnp.tanh(jnp.einsum("fk,khw->fhw", mix / jnp.linalg.norm(mix, axis=1, keepdims=True), fields))


def julia(key, x, y):
  """Bands of the rounds that z^2 + c takes to leave, for a c near the Mandelbrot set's main cardioid."""
  angle, shift = random.uniform(key, maxval=TURN), 0.06 * random.normal(random.fold_in(key, 1), (2,))
  radius = 0.5 * (1 - jnp.cos(angle))
  real, imaginary = radius * jnp.cos(angle) + 0.25 + shift[0], radius * jnp.sin(angle) + shift[1]

  def round_(_, state):
    x, y, rounds = state
    x, y = x * x - y * y + real, 2 * x * y + imaginary
    return jnp.clip(x, -8, 8), jnp.clip(y, -8, 8), rounds + (x * x + y * y < 16)

  x, y, rounds = jax.lax.fori_loop(0, JULIA_ROUNDS, round_, (x, y, jnp.zeros_like(x)))
  return jnp.sin(0.7 * rounds + 0.15 * jnp.log1p(x * x + y * y))


def ring(shape_key, bands_key, x, y):
  """Concentric bands around a wavy outline."""
  orders = jnp.array(RING_ORDERS)[:, None, None]
  size = random.normal(shape_key, (len(RING_ORDERS), 1, 1)) / orders
  phase = random.uniform(random.fold_in(shape_key, 1), size.shape, maxval=TURN)
  outline = 1 + 0.5 * (size * jnp.sin(orders * jnp.arctan2(y, x) + phase)).sum(0)
  return jnp.sin(jnp.hypot(x, y) * outline * random.uniform(bands_key, minval=4, maxval=22))


def coloured(key, field):
  """A field [n, n] along a random line through colour space -> [n, n, 3]."""
  keys = random.split(key, 3)
  middle = random.uniform(keys[0], (3,), minval=0.15, maxval=0.85)
  return middle + field[..., None] * (0.12 * random.normal(keys[1], (3,)) + 0.3 * random.normal(keys[2]))


def smooth_noise(key, n):
  """Mostly grey noise whose spectrum falls by a random power, of unit variance -> [n, n, 3]."""
  power_key, *keys = random.split(key, 7)
  power = random.uniform(power_key, minval=0.6, maxval=1.6)
  octaves = [
      2.0 ** (-power * i) * optics.enlarged(random.normal(key, (2 ** (i + 1) + 1,) * 2 + (3,)), n)
      for i, key in enumerate(keys)]
  noise = sum(octaves)
  grey = noise.mean(-1, keepdims=True)
  noise = grey + 0.35 * (noise - grey)
  return noise / noise.std()


def leaves(key, image, other):
  """Ellipses and rectangles one over the other, shaded, with the texture of one of two images."""
  n = image.shape[0]
  line = (jnp.arange(n) + 0.5) * 2 / n - 1

  def leaf(image_so_far, key):
    keys = random.split(key, 9)
    x, y = random.uniform(keys[0], (2,), minval=-1.1, maxval=1.1)
    radius, aspect = 0.08 * 10 ** random.uniform(keys[1]), jnp.exp(0.5 * random.normal(keys[2]))
    angle = random.uniform(keys[3], maxval=TURN)
    across, down = line[None, :] - x, line[:, None] - y
    u = (jnp.cos(angle) * across + jnp.sin(angle) * down) * aspect / radius
    v = (jnp.cos(angle) * down - jnp.sin(angle) * across) / aspect / radius
    inside = 1 - jnp.where(random.bernoulli(keys[4]), jnp.hypot(u, v), jnp.maximum(jnp.abs(u), jnp.abs(v)))
    softness = jnp.exp(random.uniform(keys[5], minval=-0.3, maxval=1.5))  # px
    alpha = jnp.clip(inside * radius * n / 2 / softness + 0.5, 0, 1)[..., None]
    colour = random.uniform(keys[6], (3,), minval=-0.1, maxval=0.8)
    texture = 0.5 * jnp.where(random.bernoulli(keys[7]), image, other) + colour
    texture = texture * (1 + 0.25 * random.normal(keys[8]) * u[..., None])
    return image_so_far + alpha * (texture - image_so_far), None

  return jax.lax.scan(leaf, image, random.split(key, LEAVES))[0]
