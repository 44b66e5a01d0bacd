"""What is the user's stays, and no two results have one name."""

import os

import pytest

from fakeface_jax.errors import UserError
from fakeface_jax.outputs import check_new, free_stems, unique_stems, write_new


def test_a_file_that_is_there_is_replaced_only_where_that_is_asked_for(tmp_path):
  path = tmp_path / "new" / "scores.json"
  check_new(path)
  assert not path.parent.exists()  # nothing is left behind by a command that fails before its end
  write_new(path, "first")
  for replace in (lambda: check_new(path), lambda: write_new(path, "second")):
    with pytest.raises(UserError, match=r"scores\.json is there already; overwrite=True replaces it, or choose"):
      replace()
  assert path.read_text() == "first"
  write_new(path, b"second", overwrite=True)
  assert path.read_text() == "second" and os.listdir(path.parent) == ["scores.json"]


def test_what_cannot_be_written_is_said_before_any_work(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match=r"cannot be written: .*file is no folder that you may write to"):
    check_new(tmp_path / "file" / "scores.json")
  with pytest.raises(UserError, match="is there and no file; name a new file"):
    check_new(tmp_path, overwrite=True)
  (tmp_path / "link").symlink_to(tmp_path / "nowhere")
  with pytest.raises(UserError, match="link is there and no file"):
    check_new(tmp_path / "link", overwrite=True)


@pytest.mark.parametrize(("paths", "stems"), [
    (["a/x.jpg", "b/x.jpg", "b/y.png", "c/b/x.png"], ["a_x", "b_x", "y", "b_x_2"]),
    (["d/x.jpg", "d/x.png", "e/d_x_2.jpg"], ["d_x", "d_x_2", "d_x_2_2"]),
    (["d/X.jpg", "e/x.png"], ["d_X", "e_x"]),
    (["d/a_b.jpg", "d/A_B_2.jpg", "e/D_A_B.jpg", "d/a_b.png"], ["d_a_b", "A_B_2", "D_A_B_2", "d_a_b_3"]),
    (["x/é.jpg", "x/e\u0301.jpg", "x/STRASSE.jpg", "x/straße.png"], ["x_é", "x_e\u0301_2", "x_STRASSE", "x_straße_2"])])
def test_names_of_results_do_not_collide(paths, stems):
  assert unique_stems(paths) == stems


def test_a_stem_stands_for_several_files_and_gives_way_to_what_is_there():
  suffixes = (".png", ".feature_maps.png", ".npz")
  assert free_stems(["x", "x.feature_maps", "y", "z"], suffixes, ["Y.NPZ", "other.png"]) == [
      "x", "x.feature_maps_2", "y_2", "z"]


@pytest.mark.parametrize("letter", ["n", "ü", "張", "\udcf1"])
def test_long_names_leave_room_for_what_comes_after(letter, tmp_path):
  name = letter * (245 // len(os.fsencode(letter)))
  stems = free_stems([name] * 3 + [""], (".feature_maps.png",))
  assert len(set(stems)) == 4 and stems[3] == "image"
  for stem in stems:
    write_new(tmp_path / f"{stem}.feature_maps.png", "")
  assert len(os.listdir(tmp_path)) == 4
