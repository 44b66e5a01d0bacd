"""Forging from folders of 64-pixel faces."""

import numpy as np
import pytest
from PIL import Image

from fakeface_jax.data.drawn.manipulate import lattice
from fakeface_jax.data.forging.photographs import Photographs, find_photographs, forge_photograph
from fakeface_jax.data.reading.images import decode_image, read_image
from fakeface_jax.errors import UserError


def write(folder, count, seed=0):
  """Smooth coloured pictures, JPEGs of quality 95."""
  folder.mkdir(parents=True, exist_ok=True)
  for number in range(count):
    rng = np.random.default_rng([seed, number])
    planes = [128 + 40 * lattice(rng, (64, 64), 8) + rng.normal(0, 4, (64, 64)) for _ in range(3)]
    Image.fromarray(np.uint8(np.clip(np.stack(planes, -1), 0, 255))).save(folder / f"{number:02}.jpg", quality=95)
  return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
  return write(tmp_path_factory.mktemp("photos") / "faces", 24)


def test_the_mask_is_exact_before_encoding(plain):
  paths = sorted(plain.glob("*.jpg"))
  photographs = Photographs(paths)
  for index in range(8):
    _, forged = forge_photograph(photographs, index, seed=3, per_image=3)
    for made, jpeg, donor in forged:
      host = read_image(paths[index])
      np.testing.assert_array_equal(host[made.mask == 0], made.image[made.mask == 0])
      assert (host != made.image).any() and donor != paths[index]
      assert (donor in paths) == (made.operation in ("splice", "swap"))
      np.testing.assert_array_equal(decode_image(jpeg, "x").shape, host.shape)


def test_the_seed_decides(plain):
  paths = sorted(plain.glob("*.jpg"))
  make = lambda seed: forge_photograph(Photographs(paths), 0, seed=seed, per_image=2)
  first, again, other = make(1), make(1), make(2)
  assert first[0] == again[0] and [jpeg for _, jpeg, _ in first[1]] == [jpeg for _, jpeg, _ in again[1]]
  assert len({jpeg for _, jpeg, _ in (*first[1], *other[1])}) == 4


def test_folders_that_do_not_fit(tmp_path):
  def message(path):
    with pytest.raises(UserError) as error:
      find_photographs(path)
    assert "\n" not in str(error.value)
    return str(error.value)

  assert "no such folder; expected photographs of real faces" in message(tmp_path / "nowhere")
  root = tmp_path / "faces"
  root.mkdir()
  assert "holds no image (0 other files)" in message(root)
  write(root / "fake", 1)
  assert "has fake/ but no real/" in message(root)
