import numpy as np
import pytest
from PIL import Image

from fakeface_jax.data.collect.known_pictures import (
  BITS,
  NEAR,
  WORDS,
  KnownHashes,
  add_folder,
  from_hex,
  hashes_of,
  perceptual_hash,
  to_hex,
)
from fakeface_jax.data.reading.images import decode_image
from fakeface_jax.errors import UserError
from tests.data.collect.site import detect, face, jpeg


def differing(a, b):
  return int(np.bitwise_count(a ^ b).sum())


def test_hashes_outlive_size_encoding_and_brightness_and_tell_pictures_apart():
  image = face(1, side=200)
  hash = perceptual_hash(image)
  assert hash.shape == (WORDS,) and hash.dtype == np.uint64
  variants = [
      decode_image(jpeg(image, quality=30), "x"),
      np.asarray(Image.fromarray(image).resize((64, 64))),
      np.clip(image * 0.8 + 20, 0, 255).astype(np.uint8),
  ]
  assert max(differing(hash, perceptual_hash(variant)) for variant in variants) <= NEAR / 2
  others = [perceptual_hash(face(seed)) for seed in range(2, 30)]
  assert min(differing(hash, other) for other in others) > NEAR


def test_hashes_are_as_balanced_as_a_median_makes_them_and_survive_their_text():
  hashes = np.stack([perceptual_hash(face(seed)) for seed in range(5)])
  assert set(np.bitwise_count(hashes).sum(1)) <= {BITS // 2 - 1, BITS // 2, BITS // 2 + 1}
  texts = [to_hex(hash) for hash in hashes]
  assert {len(text) for text in texts} == {BITS // 4}
  np.testing.assert_array_equal(from_hex(texts), hashes)


def test_the_nearest_is_found_among_many():
  seen = KnownHashes()
  assert seen.nearest(np.zeros((1, WORDS), np.uint64)) == (None, BITS)
  random = np.random.default_rng(0).integers(0, 2**63, (3000, WORDS), dtype=np.uint64)
  for number, hash in enumerate(random):
    seen.add(f"n{number}", hash[None])
  query = random[2345].copy()
  query[0] ^= np.uint64(0b111)
  assert seen.nearest(np.stack([random[0] ^ np.uint64(2**62 - 1), query])) == ("n2345", 3)


def test_a_faces_square_is_hashed_too_where_it_lies_inside():
  image = face(3)
  np.testing.assert_array_equal(hashes_of(image, (15, 15, 90))[1], perceptual_hash(image[15:105, 15:105]))
  assert hashes_of(image, (-1, 15, 90)).shape == hashes_of(image, None).shape == (1, WORDS)


def test_a_folders_hashes_are_kept_until_it_changes(tmp_path):
  (tmp_path / "train").mkdir()
  (tmp_path / "train" / "a.jpg").write_bytes(jpeg(face(1)))
  calls = []
  counting = lambda image: calls.append(1) or detect(image)
  for _ in range(2):
    seen = KnownHashes()
    assert add_folder(seen, tmp_path / "train", counting, tmp_path / "cache") == []
    assert seen.nearest(hashes_of(face(1), None)[:1])[1] < NEAR and len(calls) == 1
  (tmp_path / "train" / "b.jpg").write_bytes(b"nothing")
  for _ in range(2):
    ((name, reason),) = add_folder(KnownHashes(), tmp_path / "train", counting, tmp_path / "cache")
    assert name.endswith("b.jpg") and "not an image" in reason and len(calls) == 2


def test_a_folder_that_is_none_or_empty_is_named(tmp_path):
  with pytest.raises(UserError, match=r"against=.*/nowhere: no such folder"):
    add_folder(KnownHashes(), tmp_path / "nowhere", detect, tmp_path / "cache")
  with pytest.raises(UserError, match=r"against=.*: holds no image"):
    add_folder(KnownHashes(), tmp_path, detect, tmp_path / "cache")
