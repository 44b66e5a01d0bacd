"""Every pixel in one region, each where it belongs, and shares of a map worked by hand."""

import json

import numpy as np
import pytest

from fakeface_jax.data.forging.landmarks import BLOB, FRAME_POINTS, FRAMINGS, LANDMARKS, TEMPLATE
from fakeface_jax.data.forging.regions import region_outline
from fakeface_jax.data.reading.square import resize_and_crop_mask
from fakeface_jax.data.schema import REGIONS
from fakeface_jax.evaluation import face_regions as module
from fakeface_jax.evaluation.face_regions import FACE_REGIONS, energy_by_region, face_region_map, painted_by_region

SIDE = 160
cx, cy, across, down = FRAMINGS[0]
POINTS = np.float32((FRAME_POINTS * (across, down) + (cx, cy)) * SIDE)
PHOTOGRAPH = np.zeros((SIDE, SIDE, 3), np.uint8)


@pytest.fixture
def found(monkeypatch):
  """The template's points in every photograph."""
  monkeypatch.setattr(module, "find_points", lambda image, framing: (POINTS, TEMPLATE))


def middle(name, *, regions):
  rows, columns = np.nonzero(regions == FACE_REGIONS.index(name))
  return columns.mean() / SIDE, rows.mean() / SIDE


def test_every_pixel_is_in_one_region_each_where_it_belongs(found):
  regions, how = face_region_map(PHOTOGRAPH, FRAMINGS[0])
  assert how == TEMPLATE and regions.shape == (SIDE, SIDE) and regions.dtype == np.uint8
  assert set(np.unique(regions)) == set(range(8)) and set(FACE_REGIONS) < set(REGIONS)
  at = lambda x, y: FACE_REGIONS[regions[int(y), int(x)]]
  assert at(*POINTS[36:42].mean(0)) == "left_eye" and at(*POINTS[19]) == "left_eye"  # with its brow
  assert at(*POINTS[42:48].mean(0)) == "right_eye" and at(*POINTS[30]) == "nose" and at(*POINTS[62]) == "mouth"
  assert at(*(POINTS[8] - (0, 3))) == at(*(POINTS[27] - (0, 16))) == "face"  # the chin, the brow's middle
  assert at(80, 20) == "hair" and at(2, 2) == at(158, 158) == at(80, 158) == "background"
  assert middle("ears", regions=regions) == pytest.approx((0.5, 0.54), abs=0.01)
  np.testing.assert_array_equal(np.isin(regions, (0, 1)), np.isin(regions, (0, 1))[:, ::-1])  # left eye and right


def test_the_hair_begins_where_the_face_ends(found):
  regions, _ = face_region_map(PHOTOGRAPH, FRAMINGS[0])
  column = [FACE_REGIONS[index] for index in regions[:, SIDE // 2]]
  order = [name for name, before in zip(column, [None, *column], strict=False) if name != before]
  assert order == ["hair", "face", "nose", "mouth", "face", "background"]


def test_a_part_wins_over_the_face_and_the_face_over_the_hair(found):
  regions, _ = face_region_map(PHOTOGRAPH, FRAMINGS[0])
  for part in ("nose", "mouth"):
    outline = region_outline(part, POINTS, (SIDE, SIDE))
    assert np.isin(regions[outline], [FACE_REGIONS.index(name) for name in FACE_REGIONS[:4]]).all()
  face = region_outline("face", POINTS, (SIDE, SIDE))
  assert not (regions[face] >= FACE_REGIONS.index("hair")).any()


def test_without_a_face_there_are_no_regions(monkeypatch):
  monkeypatch.setattr(module, "find_points", lambda image, framing: (None, BLOB))
  assert face_region_map(PHOTOGRAPH, FRAMINGS[0]) == (None, BLOB)


def test_shares_by_hand():
  regions = np.uint8([[0, 0, 2, 7], [3, 5, 5, 7]])
  maps = np.float32([[[1, 1, 6, 0], [0, 2, 0, 0]], [[0, 0, 0, 0], [4, 0, 0, 0]], [[0] * 4] * 2])
  changed = [("nose", "mouth"), ("mouth",), None]
  result = energy_by_region(maps, [regions] * 3, [TEMPLATE, LANDMARKS, TEMPLATE], changed, [True, False, False])
  assert result["found_by"] == {TEMPLATE: 2, LANDMARKS: 1}
  assert result["area"] == {"left_eye": 0.25, "right_eye": 0, "nose": 0.125, "mouth": 0.125, "ears": 0, "face": 0.25,
                            "hair": 0, "background": 0.25}
  rows = {row["manipulated"]: row for row in result["rows"]}
  assert [(name, row["images"]) for name, row in rows.items()] == [
      ("nose", 1), ("mouth", 2), ("caught fakes", 1), ("missed fakes", 1), ("reals", 1)]
  shares = lambda row: {name: share for name, (share, _, _) in rows[row]["share"].items() if share}
  assert shares("nose") == {"left_eye": 0.2, "nose": 0.6, "face": 0.2}
  assert shares("mouth") == {"left_eye": 0.1, "nose": 0.3, "mouth": 0.5, "face": 0.1}
  assert rows["mouth"]["share"]["mouth"] == [0.5, 0, 1] and shares("missed fakes") == {"mouth": 1}
  assert rows["caught fakes"]["share"] == rows["nose"]["share"]
  assert shares("reals") == {name: share for name, share in result["area"].items() if share}  # empty: taken for uniform
  assert json.loads(json.dumps(result)) == result


def test_images_without_a_face_are_counted_and_left_out():
  regions = np.uint8([[2, 7]])
  maps = [np.float32([[1, 0]]), np.float32([[0, 1]])]
  result = energy_by_region(maps, [regions, None], [TEMPLATE, BLOB], [(), ("nose",)], [True, True])
  assert result["found_by"] == {TEMPLATE: 1, BLOB: 1}
  assert [row["manipulated"] for row in result["rows"]] == ["caught fakes"]  # of what is known, nothing of the nose
  assert result["rows"][0]["share"]["nose"] == [1, 1, 1]
  assert energy_by_region(maps, [None, None], [BLOB, BLOB], [(), ()], [True, True]) == {
      "reason": "no upright face was recognised in any of the 2 images"}


def test_what_lies_around_a_small_picture_is_in_no_region():
  regions = np.uint8([[128, 2, 7, 128]])
  maps = np.float32([[[5, 3, 1, 9]], [[1, 0, 0, 1]]])
  result = energy_by_region(maps, [regions] * 2, [TEMPLATE] * 2, [(), None], [True, True])
  assert result["area"] == {name: {"nose": 0.5, "background": 0.5}.get(name, 0) for name in FACE_REGIONS}
  of_fake, of_real = (row["share"]["nose"][0] for row in result["rows"])
  assert (of_fake, of_real) == (0.75, 0.5)  # the real's map points nowhere in the picture: taken for uniform


def test_coarse_maps_on_cut_regions(found):
  """As a detector has it: the photograph whole, what the network sees smaller, the map coarse."""
  regions, how = face_region_map(PHOTOGRAPH, FRAMINGS[0])
  cut = resize_and_crop_mask(regions, 72, 64)
  planted = np.float32(cut == FACE_REGIONS.index("mouth"))
  coarse = planted.reshape(16, 4, 16, 4).mean((1, 3))
  result = energy_by_region([planted, coarse], [cut, cut], [how, how], [("mouth",), None], [True, False])
  fine, enlarged = (row["share"]["mouth"][0] for row in result["rows"][1:])
  assert fine == 1 and 0.6 < enlarged < 0.95 and 0.02 < result["area"]["mouth"] < 0.08
  uniform = energy_by_region([np.ones((4, 4))], [cut], [how], [None], [False])
  assert {name: share for name, (share, _, _) in uniform["rows"][0]["share"].items()} == pytest.approx(uniform["area"])


def test_the_part_that_costs_most_when_it_is_painted_over_is_named():
  untouched = np.array([0.9, 0.7, 0.8])
  nose = {"inside": untouched - (0.5, 0.3, 0.4), "elsewhere": untouched - 0.1}
  mouth = {"inside": untouched - (0.0, 0.1, 0.2), "elsewhere": untouched - 0.05}
  result = painted_by_region(untouched, {"nose": nose, "mouth": mouth})
  assert result["images"] == 3 and result["untouched"][0] == pytest.approx(0.8)
  assert result["regions"]["nose"]["drop"] == pytest.approx([0.3, 0.2, 0.4])
  assert result["regions"]["mouth"]["inside"][0] == pytest.approx(0.7)
  assert result["verdict"] == (
      "Their verdicts rest on the nose: with it painted over, the probability of fake of 3 caught fakes goes from 0.80"
      " to 0.40 on average; with the same shape elsewhere painted over, to 0.70 (difference 0.30, 95 % interval 0.20 to"
      " 0.40).")
  assert "rest on the skin of the face: with" in painted_by_region(untouched, {"face": nose})["verdict"]
  unsure = painted_by_region(untouched, {"mouth": mouth, "left_eye": {"inside": untouched, "elsewhere": untouched}})
  assert unsure["verdict"].startswith("No part of the face surely carries the verdicts; most costs the mouth: with")
