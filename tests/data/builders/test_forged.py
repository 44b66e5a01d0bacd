"""Data sets forged from folders of 64-pixel faces, tidy and untidy."""

import hashlib
import io
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from fakeface_jax.data.builders.forged import Photographs, forge_photograph, forged_builder
from fakeface_jax.data.datasets import open_dataset
from fakeface_jax.data.drawn.manipulate import lattice
from fakeface_jax.data.reading.images import decode_image, read_image
from fakeface_jax.data.reading.records import decode_mask
from fakeface_jax.data.schema import FAKE, REAL, REGIONS
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


def records(builder):
  builder.download_and_prepare()
  raw = tfds.decode.SkipDecoding()
  sources = builder.as_data_source(None, decoders={"image": raw, "mask": raw})
  return {split: list(source) for split, source in sources.items()}


def origin(record):
  return record["source"].decode().split(" (")[0]


def test_a_plain_folder_gives_every_photograph_twice_in_one_split(plain, tmp_path):
  found = records(forged_builder(plain, tmp_path))
  assert sum(map(len, found.values())) == 48 and set(found) <= {"train", "val", "test"}
  for split, members in found.items():
    by_origin = {}
    for record in members:
      by_origin.setdefault(origin(record), {})[record["label"]] = record
    for name, pair in by_origin.items():
      assert set(pair) == {REAL, FAKE}
      share = int(hashlib.sha256((plain / name).read_bytes()).hexdigest()[:16], 16) / 2**64
      assert split == ("train" if share < 0.7 else "val" if share < 0.85 else "test")
      assert decode_mask(pair[REAL]).tolist() == [[0]] and not pair[REAL]["regions"].any()
      mask = decode_mask(pair[FAKE])
      assert mask.shape == (64, 64) and set(np.unique(mask)) == {0, 255} and pair[FAKE]["regions"].sum() == 1
      region = REGIONS[int(pair[FAKE]["regions"].argmax())]
      assert pair[FAKE]["source"].decode().startswith(f"{name} ({region}, ")


def test_both_classes_are_encoded_alike_and_equal_where_the_mask_is_0(plain, tmp_path):
  for pair in _pairs(records(forged_builder(plain, tmp_path))):
    real, fake = (Image.open(io.BytesIO(pair[label]["image"])) for label in (REAL, FAKE))
    assert real.quantization == fake.quantization and real.info["jfif"] == fake.info["jfif"]
    # after the common encoding, whole 16-pixel blocks without a changed pixel (or one beside them) are equal
    apart = decode_mask(pair[FAKE]).reshape(4, 16, 4, 16).max((1, 3)) == 0
    neighbours = np.pad(apart, 1, constant_values=True)
    apart &= np.all([neighbours[1 + i : 5 + i, 1 + j : 5 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], 0)
    equal = (np.asarray(real) == np.asarray(fake)).reshape(4, 16, 4, 16, 3).all((1, 3, 4))
    assert equal[apart].all() and not equal.all()


def _pairs(found):
  pairs = {}
  for members in found.values():
    for record in members:
      pairs.setdefault(origin(record), {})[record["label"]] = record
  return pairs.values()


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


def test_splits_and_the_folder_real_are_taken_and_fakes_left_alone(tmp_path):
  root = tmp_path / "faces"
  write(root / "train" / "real", 3, seed=1)
  write(root / "train" / "fake", 5, seed=2)
  write(root / "Validation", 2, seed=3)
  found = records(forged_builder(root, tmp_path / "records"))
  assert {split: sorted({origin(record) for record in members}) for split, members in found.items()} == {
      "train": [f"train/real/0{i}.jpg" for i in range(3)], "val": ["Validation/00.jpg", "Validation/01.jpg"]}
  assert [len(members) for members in found.values()] == [6, 4]


def test_one_photograph_alone_is_forged_from_itself(tmp_path):
  root = write(tmp_path / "one", 1)
  (members,) = records(forged_builder(root, tmp_path / "records")).values()
  assert sorted(record["label"] for record in members) == [REAL, FAKE]
  fake = next(record for record in members if record["label"] == FAKE)
  assert not {"splice)", "swap)"} & {fake["source"].decode().split(", ")[1]}


def test_unreadable_photographs_are_left_out_and_listed(plain, tmp_path):
  root = tmp_path / "faces"
  shutil.copytree(plain, root)
  (root / "05.jpg").write_bytes((root / "05.jpg").read_bytes()[:-200])
  (root / "07a.png").write_bytes(b"")
  (root / "notes.txt").write_text("?")
  builder = forged_builder(root, tmp_path / "records")
  assert sum(map(len, records(builder).values())) == 46
  assert [name for name, _ in builder.info.metadata["unreadable"]] == ["05.jpg", "07a.png"]
  assert builder.info.metadata["ignored_files"] == 1 and builder.info.metadata["split_by_content"] is True


def test_folders_that_do_not_fit(tmp_path):
  def message(path, preparing=False):
    with pytest.raises(UserError) as error:
      builder = forged_builder(path, tmp_path / "records")
      if preparing:
        builder.download_and_prepare()
    assert "\n" not in str(error.value)
    return str(error.value)

  assert "no such folder; expected photographs of real faces" in message(tmp_path / "nowhere")
  root = tmp_path / "faces"
  root.mkdir()
  assert "holds no image (0 other files)" in message(root)
  write(root / "fake", 1)
  assert "has fake/ but no real/" in message(root)
  (root / "real").mkdir()
  (root / "real" / "a.jpg").write_bytes(b"no image")
  assert "none of its 1 real images can be read" in message(root, preparing=True)


def test_it_is_a_data_set_by_name(plain, tmp_path):
  dataset = open_dataset("forged", path=str(plain), data_dir=str(tmp_path))
  assert sum(dataset.splits.values()) == 48
  with pytest.raises(UserError, match="'forged' needs to know of which photographs"):
    open_dataset("forged", data_dir=str(tmp_path))
  again = forged_builder(plain, tmp_path)
  assert again.data_dir == forged_builder(plain, tmp_path).data_dir
  write(plain / "more", 1, seed=9)
  assert forged_builder(plain, tmp_path).data_dir != again.data_dir
  shutil.rmtree(plain / "more")
