"""Views of an image: number 0 is its centre, every other number a random variation that the number alone decides."""

import numpy as np
import simplejpeg
from PIL import Image, ImageFilter

from fakeface_jax.data.reading.square import resize_and_crop
from fakeface_jax.errors import UserError

AUGMENTATIONS = ("crop", "flip", "jpeg", "blur", "noise")
JPEG_SHARE, JPEG_QUALITIES = 0.5, (60, 96)
BLUR_SHARE, BLUR_SIGMAS = 0.25, (0.3, 1.2)  # px
NOISE_SHARE, NOISE_MOST = 0.5, 5.0  # standard deviation in grey levels


def augmentations(names):
  """'crop,flip' -> ('crop', 'flip'). Raises: UserError naming one that there is not."""
  chosen = tuple(name.strip() for name in names.split(",") if name.strip())
  unknown = [name for name in chosen if name not in AUGMENTATIONS]
  if unknown:
    raise UserError(f"config.data.augment: there is no {unknown[0]!r}; use some of {','.join(AUGMENTATIONS)}")
  return chosen


def view_of(image, key, *, resize, crop, augment):
  """One view of an image.

  Args:
    image: uint8[H, W, 3].
    key: (seed, view, index), ints >= 0; view 0 is the centre, untouched.
    resize, crop: pixels, as in `square.resize_and_crop`.
    augment: of `AUGMENTATIONS`: 'crop' takes the square from anywhere, 'flip' mirrors every other view, 'blur' blurs a
      quarter by a Gaussian of 0.3 to 1.2 pixels, 'noise' adds normal noise of up to 5 grey levels to half of them, and
      'jpeg' encodes half of them again, last, at quality 60 to 95.
  Returns: uint8[crop, crop, 3].
  """
  if key[1] == 0:
    return resize_and_crop(image, resize, crop)
  random = np.random.default_rng(key)
  place, flip, jpeg, blur = tuple(random.random(2)), random.random(), random.random(), random.random()
  quality, sigma = int(random.integers(*JPEG_QUALITIES)), random.uniform(*BLUR_SIGMAS)
  noise, level = random.random(), random.uniform(0, NOISE_MOST)
  view = resize_and_crop(image, resize, crop, position=place if "crop" in augment else None)
  if "flip" in augment and flip < 0.5:
    view = view[:, ::-1]
  if "blur" in augment and blur < BLUR_SHARE:
    view = np.asarray(Image.fromarray(view).filter(ImageFilter.GaussianBlur(sigma)))
  if "noise" in augment and noise < NOISE_SHARE:
    view = np.clip(np.rint(view + random.normal(0, level, view.shape)), 0, 255).astype(np.uint8)
  if "jpeg" in augment and jpeg < JPEG_SHARE:
    view = simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(np.ascontiguousarray(view), quality=quality))
  return view
