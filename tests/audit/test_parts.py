"""Pieces that are computed once."""

import numpy as np
import pytest

from fakeface_jax.audit.parts import Parts, is_ours

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


@pytest.mark.parametrize("state", [
    lambda path: path.write_text(path.read_text().replace('"format": 1,', "")),  # as it was before there were formats
    lambda path: path.write_text(path.read_text().replace('"format": 1,', '"format": 0,')),
    lambda path: path.write_text("[]"), lambda path: path.write_text("{"), lambda path: path.unlink()])
def test_pieces_of_another_format_are_made_anew_which_is_said(state, tmp_path, caplog):
  compute = Counting()
  Parts(tmp_path / "parts", STATE)("piece", compute)
  assert is_ours(tmp_path / "parts", STATE)
  state(tmp_path / "parts" / "state.json")
  for _ in range(2):
    Parts(tmp_path / "parts", STATE)("piece", compute)
  assert compute.calls == 2 and is_ours(tmp_path / "parts", STATE)
  (said,) = caplog.messages
  assert said.startswith(f"{tmp_path / 'parts'}: what is kept there is of other format") and "made anew" in said


def test_older_pieces_are_ours(tmp_path):
  Parts(tmp_path / "parts", STATE)
  path = tmp_path / "parts" / "state.json"
  path.write_text(path.read_text().replace('"format": 1,', ""))
  assert is_ours(tmp_path / "parts", STATE) and not is_ours(tmp_path / "parts", {"weights": 1})
