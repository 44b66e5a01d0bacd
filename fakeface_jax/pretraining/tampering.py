"""Pictures as a camera leaves them, some with a region that has another past; and what there is to know about them.

A host picture goes through a random camera. In some, a soft-edged region is replaced by other content, or by the
host's own a few pixels off, that went through a camera which differs in one property or several: sharpness, noise,
resampling, compression, colour. Both kinds are then developed and compressed alike, so only local evidence tells them
apart. Other colour means other light too, hardly or strongly: what is easy to see is learned first, and shows where to
look. (Blurred seams as evidence: Face X-ray, Li et al., 2020; self-blending: Shiohara & Yamasaki, 2022.)
"""

import jax
import jax.numpy as jnp
from jax import random

from fakeface_jax.pretraining import optics

MARGIN = 16  # px by which a picture is larger than the crop, so that JPEG's grid lies anywhere
LIGHT = 0.5  # of the range from black to white
TAMPERED, RESAMPLED, RECOMPRESSED, SHARPENED, MOVED = 0.6, 0.6, 0.6, 0.4, 0.5  # shares
CAMERA = ("blur", "noise", "grain", "factor", "quality", "sharpening", "red", "green", "blue")  # what labels say of it
PROPERTIES = ("sharpness", "noise", "resampling", "compression", "colour", "content")  # in which a region can differ
ENLARGED_BY = ("not", "box", "linear", "cubic")


def sample(key, host, donor, crop):
  """A training picture of `host`, and its labels.

  Args: `host`, `donor`: float32[n, n, 3] in 0..1, n = crop + MARGIN, a multiple of 16.
  Returns: {"image": float32[crop, crop, 3] in 0..255, whole numbers; "mask": float32[crop, crop] in 0..1, the region's
    opacity; "tampered": 0 or 1; "differs": float32[len(PROPERTIES)], 0 or 1; "camera": float32[len(CAMERA)], of about
    unit spread, the host's; "enlarged": int32, index of ENLARGED_BY}.
  """
  keys = random.split(key, 13)
  own, foreign = camera_of(keys[0]), camera_of(keys[1])
  tampered = random.bernoulli(keys[2], TAMPERED)
  differs = random.bernoulli(keys[3], 0.5, (len(PROPERTIES),))
  from_property = {"blur": 0, "sharpening": 0, "noise": 1, "grain": 1, "factor": 2, "kernel": 2, "quality": 3,
                   "halved": 3, "gain": 4}
  other = {name: jnp.where(differs[i], foreign[name], own[name]) for name, i in from_property.items()}
  shift = jnp.round(3 * random.normal(keys[4], (2,))).astype(jnp.int32)
  content = jnp.where(differs[5], donor, jnp.roll(host, shift, (0, 1)))

  host, content = photograph(keys[5], host, own), photograph(keys[6], content, other)
  region = blob(keys[7], host.shape[0])[..., None]
  mean = lambda image: (image * region).sum((0, 1)) / (region.sum() + 1e-3)
  matched = random.uniform(keys[8], minval=0.5, maxval=1.0)  # a forger matches colours
  content = content + matched * (mean(host) - mean(content))
  content = jnp.clip(content + differs[4] * lamp(keys[12], mean(content)), 0, 1)
  alpha = tampered * jnp.where(random.bernoulli(keys[9], 0.8), 1.0, 0.6) * region
  image = develop(keys[10], host + alpha * (content - host))

  place = (*random.randint(keys[11], (2,), 0, MARGIN + 1), 0)
  cut = lambda plane, channels: jax.lax.dynamic_slice(plane, place, (crop, crop, channels))
  return {
      "image": jnp.round(255 * cut(image, 3)), "mask": cut(alpha, 1)[..., 0],
      "tampered": tampered.astype(jnp.float32), "differs": (differs & tampered).astype(jnp.float32),
      "camera": camera_label(own),
      "enlarged": jnp.where(own["factor"] < 0.85, own["kernel"] + 1, 0)}


def lamp(key, colour):
  """What other light adds to a region of mean `colour` float32[3]: float32[3], on average up to LIGHT, away from the
  nearer of black and white, with a cast."""
  keys = random.split(key, 2)
  cast = random.normal(keys[0], (3,))
  towards = jnp.where(colour.mean() > 0.5, -1.0, 1.0) + 0.3 * (cast - cast.mean())
  return random.uniform(keys[1], maxval=LIGHT) * towards


def camera_of(key):
  """A random camera, with what its pictures have gone through since; see `photograph`."""
  keys = random.split(key, 12)
  uniform = lambda i, low, high: random.uniform(keys[i], minval=low, maxval=high)
  sometimes = lambda i, share, value, otherwise: jnp.where(random.bernoulli(keys[i], share), value, otherwise)
  return {
      "blur": uniform(0, 0.1, 1.6),  # px
      "noise": jnp.exp(uniform(1, jnp.log(0.002), jnp.log(0.05))),
      "grain": random.bernoulli(keys[2]),
      "factor": sometimes(3, RESAMPLED, uniform(4, 0.35, 0.95), 1.0),
      "kernel": random.randint(keys[5], (), optics.BOX, optics.CUBIC + 1),
      "quality": sometimes(6, RECOMPRESSED, uniform(7, 30, 95), 100.0),
      "halved": random.bernoulli(keys[8]),
      "sharpening": sometimes(9, SHARPENED, uniform(10, 0.2, 1.2), 0.0),
      "gain": jnp.exp(random.normal(keys[11], (3,)) * jnp.array([0.06, 0.03, 0.06]))}


def camera_label(camera):
  """float32[len(CAMERA)], each of about zero mean and unit spread."""
  plain = jnp.array([
      (camera["blur"] - 0.85) / 0.43, (jnp.log(camera["noise"]) + 4.6) / 0.93, 2.0 * camera["grain"] - 1,
      (camera["factor"] - 0.79) / 0.23, (camera["quality"] - 77) / 22, (camera["sharpening"] - 0.28) / 0.4])
  return jnp.concatenate([plain, jnp.log(camera["gain"]) / jnp.array([0.06, 0.03, 0.06])])


def photograph(key, image, camera):
  """Lens, sensor (noise grows with the light; interpolated colours make it coarse), scaling, sharpening, JPEG."""
  noise = random.normal(key, image.shape)
  coarse = 0.4 * sum(jnp.roll(noise, place, (0, 1)) for place in ((0, 0), (0, 1), (1, 0), (1, 1)))
  noise = jnp.where(camera["grain"], coarse, noise)
  image = optics.blur(image * camera["gain"], camera["blur"])
  image = image + camera["noise"] * noise * jnp.sqrt(jnp.clip(image, 0.05, 1))
  image = optics.separable(image, optics.roundtrip_matrix(len(image), camera["factor"], camera["kernel"]))
  image = jnp.clip(image + camera["sharpening"] * (image - optics.blur(image, 0.9)), 0, 1)
  return jnp.where(camera["quality"] < 99, optics.jpeg(image, camera["quality"], camera["halved"]), image)


def develop(key, image):
  """What both classes go through at the end: softened or sharpened a little, and JPEG of quality 70 to 98."""
  keys = random.split(key, 3)
  image = image + random.uniform(keys[0], minval=-0.2, maxval=0.3) * (image - optics.blur(image, 0.8))
  quality = random.uniform(keys[1], minval=70, maxval=98)
  return optics.jpeg(jnp.clip(image, 0, 1), quality, random.bernoulli(keys[2]))


def blob(key, n):
  """A region of irregular outline and soft edge -> float32[n, n] in 0..1."""
  keys = random.split(key, 5)
  uneven = optics.enlarged(random.normal(keys[0], (6, 6, 1)), n)[..., 0]
  line = (jnp.arange(n) + 0.5) * 2 / n - 1
  x, y = random.uniform(keys[1], (2,), minval=-0.8, maxval=0.8)
  log_uniform = lambda i, low, high: jnp.exp(random.uniform(keys[i], minval=jnp.log(low), maxval=jnp.log(high)))
  radius, edge, aspect = log_uniform(2, 0.18, 0.75), log_uniform(3, 0.4, 4.0), jnp.exp(0.3 * random.normal(keys[4]))
  distance = jnp.hypot((line[None, :] - x) * aspect, (line[:, None] - y) / aspect)
  inside = (1 - distance / radius + 0.25 * uneven > 0).astype(jnp.float32)
  return jnp.clip(optics.blur(inside[..., None], edge)[..., 0], 0, 1)
