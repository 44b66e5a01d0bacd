import numpy as np
import pytest
from PIL import Image

from fakeface_jax.drawing import collection_sheet
from fakeface_jax.drawing.collection_sheet import TITLE, draw_collection_sheet
from fakeface_jax.errors import UserError


def write(folder, values):
  folder.mkdir(parents=True)
  for number, value in enumerate(values):
    Image.fromarray(np.full((40, 40, 3), value, np.uint8)).save(folder / f"{number:03}.jpg")


def test_every_picture_is_there_real_above_fake(tmp_path, monkeypatch):
  monkeypatch.setattr(collection_sheet, "COLUMNS", 3)
  write(tmp_path / "real", [10, 50, 90, 130])
  write(tmp_path / "fake", [200])
  path = draw_collection_sheet(tmp_path, cell=20)
  assert path == tmp_path / "contact_sheet.png"
  sheet = np.asarray(Image.open(path))
  assert sheet.shape == (TITLE + 40 + TITLE + 20, 80, 3)
  assert [sheet[TITLE + 10, x, 0] for x in (10, 30, 50, 70)] == [10, 50, 90, 255]
  assert sheet[TITLE + 30, 10, 0] == 130 and sheet[TITLE + 40 + TITLE + 10, 10, 0] == 200


def test_of_very_many_an_even_choice_is_drawn(tmp_path, monkeypatch):
  monkeypatch.setattr(collection_sheet, "MOST", 3)
  write(tmp_path / "real", [10, 20, 30, 40, 50])
  (tmp_path / "fake").mkdir()
  sheet = np.asarray(Image.open(draw_collection_sheet(tmp_path, cell=20)))
  assert [sheet[TITLE + 10, x, 0] for x in (10, 30, 50)] == [10, 30, 50]


def test_where_it_cannot_be_written_the_file_is_named(tmp_path):
  (tmp_path / "contact_sheet.png").mkdir()
  with pytest.raises(UserError, match=r"contact_sheet\.png cannot be written"):
    draw_collection_sheet(tmp_path)
