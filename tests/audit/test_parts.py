"""Pieces that are computed once."""

import numpy as np
import pytest

from fakeface_jax.audit.parts import Parts

STATE = {"weights": 1, "methods": ("a", "b")}


class Counting:

  def __init__(self):
    self.calls = 0

  def __call__(self):
    self.calls += 1
    return {"x": np.arange(3), "words": np.array(["é", ""])}


def test_a_piece_is_computed_once_and_comes_back_as_it_was(tmp_path):
  compute = Counting()
  first = Parts(tmp_path / "parts", STATE)("piece", compute)
  again = Parts(tmp_path / "parts", STATE)("piece", compute)
  assert compute.calls == 1
  for piece in (first, again):
    assert piece["x"].tolist() == [0, 1, 2] and piece["words"].tolist() == ["é", ""]


def test_pieces_made_from_something_else_are_thrown_away(tmp_path):
  compute = Counting()
  Parts(tmp_path / "parts", STATE)("piece", compute)
  (tmp_path / "parts" / "notes.txt").write_text("mine")
  Parts(tmp_path / "parts", STATE | {"weights": 2})("piece", compute)
  assert compute.calls == 2 and (tmp_path / "parts" / "notes.txt").read_text() == "mine"  # which is not ours


def test_a_damaged_piece_is_made_again(tmp_path):
  compute, parts = Counting(), Parts(tmp_path / "parts", STATE)
  parts("piece", compute)
  path = tmp_path / "parts" / "piece.npz"
  path.write_bytes(path.read_bytes()[:40])
  assert parts("piece", compute)["x"].tolist() == [0, 1, 2] and compute.calls == 2
  assert parts("piece", compute)["x"].tolist() == [0, 1, 2] and compute.calls == 2


def test_a_piece_that_fails_leaves_nothing(tmp_path):
  parts = Parts(tmp_path / "parts", STATE)
  with pytest.raises(ZeroDivisionError):
    parts("piece", lambda: {"x": 1 / 0})
  assert [path.name for path in (tmp_path / "parts").iterdir()] == ["state.json"]
