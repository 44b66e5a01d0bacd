
import numpy as np
import pytest
from PIL import Image

from fakeface_jax.data.builders import lookalikes
from fakeface_jax.data.builders.lookalikes import SHARED, Points, lookalike_groups, points_of, shared_points
from fakeface_jax.data.reading.images import decode_image, encode_image
from tests.data.replicas import SIZE, picture


def encoded_again(pixels, quality):
  return decode_image(encode_image(pixels, "JPEG", quality=quality), "it")


def retouched(pixels, other):
  """Half of the picture is another's."""
  pixels = pixels.copy()
  pixels[SIZE // 2:] = other[SIZE // 2:]
  return pixels


def framed_anew(pixels, turn=5, left=4, top=7):
  turned = Image.fromarray(pixels).rotate(turn, Image.Resampling.BICUBIC)
  return np.asarray(turned.crop((left, top, SIZE - 3, SIZE - 1)).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def base():
  return picture(3), points_of(picture(3))


@pytest.mark.parametrize("change", [
    lambda pixels: encoded_again(pixels, 30), lambda pixels: retouched(pixels, picture(4)), framed_anew,
    lambda pixels: framed_anew(retouched(pixels, picture(4))), lambda pixels: (pixels * 0.7).astype(np.uint8)])
def test_a_changed_picture_shares_points_with_what_it_was_made_of(base, change):
  pixels, points = base
  assert SHARED <= shared_points(points, points_of(change(pixels))) <= len(points.where)


def test_strangers_share_none_and_a_picture_all_with_itself(base):
  points = base[1]
  assert shared_points(points, points) == len(points.where) > 30
  assert max(shared_points(points, points_of(picture(seed))) for seed in range(10, 16)) < SHARED
  blank = points_of(np.full((SIZE, SIZE, 3), 90, np.uint8))
  assert len(blank.where) == 0 and shared_points(points, blank) == shared_points(blank, points) == 0


def points(where, seed):
  """Points with descriptors of their own, far from those of another seed."""
  descriptors = np.random.default_rng(seed).normal(size=(len(where), 128)).astype(np.float32)
  return Points(np.array(where, np.complex64), descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True))


PLACES = [10 + 10j, 60 + 12j, 110 + 20j, 30 + 70j, 80 + 90j, 150 + 60j, 20 + 140j, 90 + 150j, 160 + 140j]


@pytest.mark.parametrize(("factor", "shift", "shared"), [
    (1, 0, 9), (1.1 * np.exp(0.1j), 8 - 5j, 9), (1.4, 0, 0), (np.exp(0.5j), 0, 0)])
def test_an_arrangement_may_be_shifted_scaled_and_turned_a_little(factor, shift, shared):
  one = points(PLACES, 1)
  assert shared_points(one, points([place * factor + shift for place in PLACES], 1)) == shared


def test_only_points_in_the_same_arrangement_count():
  one = points(PLACES, 1)
  moved = [place + (40 if i in (2, 5) else 2) for i, place in enumerate(PLACES)]
  assert shared_points(one, points(moved, 1)) == 7
  assert shared_points(one, points([PLACES[i] for i in (5, 3, 8, 1, 0, 7, 2, 4, 6)], 1)) < 4  # the same ones, shuffled
  assert shared_points(one, points(PLACES, 2)) == 0


def test_a_point_with_two_places_to_go_counts_for_neither():
  one = points(PLACES, 1)
  nearly = one.descriptors + 0.01 * np.random.default_rng(9).normal(size=one.descriptors.shape).astype(np.float32)
  nearly /= np.linalg.norm(nearly, axis=1, keepdims=True)
  repeated = Points(np.concatenate([one.where, one.where + 50]), np.concatenate([nearly, nearly[:, ::-1]]))
  assert shared_points(one, repeated) == 9
  repeated = Points(np.concatenate([one.where, one.where + 50]), np.concatenate([nearly, nearly + 0.0005]))
  assert shared_points(one, repeated) == 0


def test_chains_are_one_group_whatever_the_rows_in_memory(monkeypatch):
  first, second, third = points(PLACES, 1), points(PLACES, 2), points(PLACES, 3)
  both = Points(*(np.concatenate([getattr(first, name), getattr(second, name) + 0])
                  for name in ("where", "descriptors")))
  for rows in (3, 256):
    monkeypatch.setattr(lookalikes, "ROWS", rows)
    assert lookalike_groups([first, third, both, second]).tolist() == [0, 1, 0, 0]
    assert lookalike_groups([first, third, second]).tolist() == [0, 1, 2]
  assert lookalike_groups([points([], 1)]).tolist() == [0]
