import numpy as np
import pytest
from benchmarks import faces
from PIL import Image
from skimage import data

from fakeface_jax.errors import UserError

FACE = data.astronaut()[10:210, 125:325]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  where = tmp_path_factory.mktemp("set")
  for label in ("real", "fake"):
    (where / "val" / label).mkdir(parents=True)
    Image.fromarray(FACE).save(where / "val" / label / "a.png")
  return where


def test_what_is_pasted_turned_or_not_is_where_it_is_said_to_be():
  photograph = faces.scene(0)
  before = photograph.copy()
  assert photograph.shape == (1200, 1600, 3)
  assert faces.paste(photograph, FACE, 30, 40) == (30, 40, 230, 240)
  np.testing.assert_array_equal(photograph[40:240, 30:230], FACE)
  photograph[40:240, 30:230] = before[40:240, 30:230]
  np.testing.assert_array_equal(photograph, before)
  assert faces.paste(photograph, FACE, 30, 40, size=64, turned=45) == (30, 40, 94, 104)
  np.testing.assert_array_equal(photograph[40, 30], before[40, 30])  # a corner is the scene's
  assert (photograph[72, 62] != before[72, 62]).any()


def test_found_missed_and_false_boxes_are_counted(folder, monkeypatch):
  monkeypatch.setattr(faces, "KINDS", {"256 px": {}, "no face": {"none": True}})
  squares = faces.crowded({"set": faces.faces_of_folder(folder)}, 0)[1]
  left, top, right, bottom = squares[0]
  boxes = [(left + 50, top + 50, right - 50, bottom - 50), (left, top, left + 20, top + 20), (1500, 1190, 1590, 1200)]
  found = faces.compare({"that": lambda image: boxes}, {"set": faces.faces_of_folder(folder)}, 1)
  row = found["256 px"]["that"]
  assert (row["found"], row["of"], row["false"], found["no face"]["that"]["false"]) == (1, 4, 1, 3)
  assert faces.table(found)[2:4] == ["| 256 px | 1 (1) |", "| no face | (3) |"]


def test_folders_are_asked_for():
  with pytest.raises(UserError, match="give --faces=FOLDER"):
    faces.bench_faces([])
