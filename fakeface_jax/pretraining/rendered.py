"""Drawn faces (`data.drawn.faces`) with the parameters they were drawn from, and views of them."""

import jax.numpy as jnp
import numpy as np
from jax import random

from fakeface_jax.data.drawn.faces import BACKGROUNDS, STYLES, render_face, sample_face
from fakeface_jax.data.reading.threads import with_bar
from fakeface_jax.pretraining import optics

SIDE = 192  # px


def render_faces(count, seed):
  """(uint8[count, SIDE, SIDE, 3], float32[count, P]): faces, and their parameters in units of their spread.

  Seeds 0, 1 and 2 give the people of `synthetic_faces`' train, val and test splits: NumPy takes [seed, number], here,
  and [seed, number, 0], there, for the same. So do not pretrain with 1 or 2 what is to be tested on those.
  """
  def one(number):
    face = sample_face(np.random.default_rng([seed, number]))
    image, _ = render_face(face, SIDE)
    return np.uint8(255 * image + 0.5), parameters(face)

  images, values = zip(*with_bar(one, list(range(count)), "drawing faces"), strict=True)
  values = np.stack(values)
  return np.stack(images), (values - values.mean(0)) / (values.std(0) + 1e-6)


def parameters(face):
  """float32[P]: a face's pose, light, colours (as displayed), shape, hair and background."""
  pose, chosen = face.pose, [face.style == style for style in STYLES]
  chosen += [face.background == background for background in BACKGROUNDS]
  return np.float32([
      *pose.shift, pose.scale, pose.roll, pose.yaw, pose.pitch, *face.light[:2], face.ambient, *np.sqrt(face.skin),
      *np.sqrt(face.hair), face.width, face.jaw, face.eye_size, face.eye_open, face.eye_tilt, face.gaze[0],
      face.nose[0], face.mouth[1], face.smile, face.gape, face.beard, face.glasses > 0, face.wrinkles, *chosen])


def view(key, face, n):
  """uint8[SIDE, SIDE, 3] -> float32[n, n, 3] in 0..1: every other time (nearly) the whole face, else a part of it."""
  keys = random.split(key, 4)
  whole, part = (random.uniform(key, minval=low, maxval=high) for key, low, high in (
      (keys[0], 0.8, 1.0), (keys[1], 0.45, 0.8)))
  length = SIDE * jnp.where(random.bernoulli(keys[2]), whole, part)
  rows, columns = (optics.window_matrix(n, SIDE, start, length) for start in
                   random.uniform(keys[3], (2,)) * (SIDE - length))
  return optics.separable(face.astype(jnp.float32) / 255, rows, columns)
