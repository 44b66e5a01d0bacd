"""Planted copies are found, faces that only resemble each other are not."""


import numpy as np
import pytest
from PIL import Image

from fakeface_jax.data.checking.duplicates import EXAMPLES, Duplicates, fingerprint, near_pairs, perceptual_hash
from fakeface_jax.data.drawn.examples import render_example
from fakeface_jax.data.reading.images import decode_image, encode_image

SIZE = 96


def picture(seed, size=SIZE):
  random = np.random.default_rng(seed)
  coarse = Image.fromarray(random.integers(0, 256, (9, 9, 3), np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
  return np.clip(np.asarray(coarse) + random.normal(0, 4, (size, size, 3)), 0, 255).astype(np.uint8)


def printed(image, format="PNG", **options):
  """The fingerprint of a picture saved so."""
  data = encode_image(image, format, **options)
  return fingerprint(data, decode_image(data, "it"))


def counts(found):
  return [found[name] for name in ("images", "within_split", "across_splits", "across_classes")]


def brighter(image):
  return np.clip(image * 1.15 + 8, 0, 255).astype(np.uint8)


def scaled(image):
  return np.asarray(Image.fromarray(image).resize((57, 57), Image.Resampling.LANCZOS))


def trimmed(image):
  return image[1:-1, 1:-1]


@pytest.mark.parametrize("copy", [
    lambda image: printed(image, "JPEG", quality=40), lambda image: printed(image, "WEBP", quality=30),
    lambda image: printed(scaled(image)), lambda image: printed(brighter(image)), lambda image: printed(trimmed(image)),
    lambda image: printed(brighter(scaled(image)), "JPEG", quality=60),
])
def test_changed_copies_are_near_and_nothing_else_is(copy):
  pictures = [picture(seed) for seed in range(30)]
  prints = [printed(image) for image in pictures] + [copy(image) for image in pictures[:6]]
  duplicates = Duplicates(prints, [0] * 30 + [1] * 6, [0] * 36)
  assert counts(duplicates.found["near-duplicates"]) == [12, 0, 12, 0]
  assert duplicates.found["near-duplicates"]["pairs"] == [(i, 30 + i) for i in range(6)]
  assert counts(duplicates.found["identical pixels"]) == [0, 0, 0, 0]
  assert (duplicates.groups[:6] == duplicates.groups[30:]).all() and len(set(duplicates.groups.tolist())) == 30


def test_equal_files_and_equal_pixels():
  a, b, c = (picture(seed) for seed in range(3))
  prints = [printed(a), printed(a), printed(a, compress_level=0), printed(b), printed(b), printed(c)]
  #         split, label: the third is the same picture, saved otherwise
  duplicates = Duplicates(prints, [0, 0, 1, 0, 1, 0], [0, 0, 1, 1, 1, 0])
  assert counts(duplicates.found["identical files"]) == [4, 2, 2, 0]
  assert counts(duplicates.found["identical pixels"]) == [5, 2, 5, 3]
  assert counts(duplicates.found["near-duplicates"]) == [0, 0, 0, 0]
  assert set(duplicates.found["identical files"]["pairs"]) == {(0, 1), (3, 4)}
  assert duplicates.groups.tolist() == [0, 0, 0, 1, 1, 2]


def test_equal_numbers_in_another_shape_are_no_copy():
  upright = printed(np.arange(1800, dtype=np.uint8).reshape(20, 30, 3))
  lying = printed(np.arange(1800, dtype=np.uint8).reshape(30, 20, 3))
  assert upright.pixels != lying.pixels and upright.pixels == printed(
      np.arange(1800, dtype=np.uint8).reshape(20, 30, 3), "BMP").pixels


def test_a_copy_of_copies_is_named_in_every_place():
  a = picture(0)
  near = printed(a, "JPEG", quality=70)
  prints = [printed(a), printed(a), printed(a), near]
  duplicates = Duplicates(prints, [0, 1, 0, 2], [0, 0, 1, 1])
  assert counts(duplicates.found["near-duplicates"]) == [4, 0, 4, 3]
  assert len(set(duplicates.groups.tolist())) == 1


def test_faces_that_resemble_each_other_are_no_copies():
  faces = [decode_image(render_example(5, index, size=48)["image"], "it") for index in range(240)]
  duplicates = Duplicates([printed(face) for face in faces], [0] * 240, [0, 1] * 120)
  assert counts(duplicates.found["near-duplicates"]) == [0, 0, 0, 0]


def test_plain_pictures_are_not_compared():
  prints = [printed(np.full((40, 40, 3), level, np.uint8)) for level in (0, 90, 255)]
  prints += [printed(np.random.default_rng(seed).integers(100, 104, (200, 200, 3), np.uint8)) for seed in range(3)]
  assert counts(Duplicates(prints, [0] * 6, [0] * 6).found["near-duplicates"]) == [0, 0, 0, 0]


def test_many_copies_of_one_picture_stay_few_lines():
  pictures = [printed(picture(0), "JPEG", quality=quality) for quality in range(30, 95)]
  duplicates = Duplicates(pictures, [0] * 65, [0] * 65)
  found = duplicates.found["near-duplicates"]
  assert counts(found) == [65, 65, 0, 0] and len(found["pairs"]) == EXAMPLES
  assert len(set(duplicates.groups.tolist())) == 1


def test_blocks_find_what_a_single_one_finds(monkeypatch):
  random = np.random.default_rng(0)
  thumbnails = random.integers(0, 256, (300, 16, 16), np.uint8)
  hashes = random.integers(0, 2**63, 300, np.uint64)
  for first, second in ((3, 299), (128, 129), (0, 64)):
    hashes[second], thumbnails[second] = hashes[first] ^ np.uint64(0b1011), thumbnails[first]
  hashes[10] = hashes[11]  # alike by hash alone
  thumbnails[20] = thumbnails[21]  # by thumbnail alone
  pairs = lambda: sorted((i, j) for part in near_pairs(hashes, thumbnails) for i, j in zip(*part, strict=True))
  assert pairs() == [(0, 64), (3, 299), (128, 129)]
  for name, value in (("ROWS", 32), ("COLUMNS", 50), ("PAIRS", 1)):
    monkeypatch.setattr(f"fakeface_jax.data.checking.duplicates.{name}", value)
  assert pairs() == [(0, 64), (3, 299), (128, 129)]


def test_the_hash_is_of_low_frequencies_and_not_of_light():
  grey, (y, x) = picture(1, 32).mean(2), np.indices((32, 32))
  known = perceptual_hash(grey)
  assert 28 <= known.bit_count() <= 32 and known < 2**63 << 1
  assert perceptual_hash(0.5 * grey + 40) == perceptual_hash(grey + 9 * (-1.0) ** (x + y)) == known
  assert (perceptual_hash(grey[:, ::-1]) ^ known).bit_count() > 15


def test_nothing_at_all():
  duplicates = Duplicates([], [], [])
  assert counts(duplicates.found["identical files"]) == [0, 0, 0, 0] and len(duplicates.groups) == 0
