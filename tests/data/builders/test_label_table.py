import os
from pathlib import Path

import pytest

from fakeface_jax.data.builders.base import FaceFile
from fakeface_jax.data.builders.label_table import confirmed_faces, read_table, stem_of
from fakeface_jax.data.schema import FAKE, REAL
from fakeface_jax.errors import UserError

WORDS = {"real": REAL, "fake": FAKE}


def confirm(files, rows):
  """(kept, left out) of files such as 'real/a' and rows such as 'a real'."""
  faces = {}
  for file in files:
    kind, stem = file.split("/")
    faces.setdefault((stem, WORDS[kind]), []).append(FaceFile(Path(file), WORDS[kind]))
  rows = [(number, name, WORDS.get(word), word) for number, (name, word) in enumerate(map(str.split, rows), start=2)]
  kept, left_out = confirmed_faces(faces, rows, "t.csv", lambda face: face.path.as_posix())
  return [face.path.as_posix() for face in kept], left_out


def test_what_agrees_is_kept():
  assert confirm(["real/a", "fake/b"], ["b fake", "a real"]) == (["real/a", "fake/b"], [])


def test_an_id_may_stand_for_an_image_of_each_class():
  assert confirm(["real/1", "fake/1"], ["1 real", "1 fake"]) == (["real/1", "fake/1"], [])
  kept, left_out = confirm(["real/1", "fake/1"], ["1 real", "1 real"])
  assert kept == ["real/1"]
  assert left_out == [["t.csv, line 3", "names 1 again; its first row counts"], ["fake/1", "has no row in t.csv"]]


@pytest.mark.parametrize(("files", "rows", "kept", "left_out"), [
    (["real/a", "real/b"], ["a fake", "b real"], ["real/b"], [["real/a", "its folder says real, t.csv, line 2 fake"]]),
    (["real/a", "real/b"], ["b real", "c real"], ["real/b"], [
        ["t.csv, line 3", "names c, but there is no such real image"], ["real/a", "has no row in t.csv"]]),
    (["real/a", "real/b"], ["a true", "b real"], ["real/b"], [
        ["t.csv, line 2", "calls a 'true'; expected real or fake"]]),
    # rows that contradict each other, in either order
    (["real/a", "real/b"], ["a real", "a fake", "b real"], ["real/b"], [
        ["real/a", "its folder says real, t.csv, line 3 fake"]]),
    (["real/a", "real/b"], ["a fake", "a real", "b real"], ["real/b"], [
        ["real/a", "its folder says real, t.csv, line 2 fake"]]),
])
def test_what_does_not_agree_is_left_out_and_listed(files, rows, kept, left_out):
  assert confirm(files, rows) == (kept, left_out)


def test_folders_and_a_table_that_agree_on_nothing():
  with pytest.raises(UserError, match=r"t\.csv: none of its 1 rows agrees with the folders \(the first: real/a: its"):
    confirm(["real/a"], ["a fake"])
  with pytest.raises(UserError, match="none of its 0 rows"):
    confirm([], [])


def test_tables_as_programs_write_them(tmp_path):
  path = tmp_path / "t.csv"
  path.write_bytes("\ufeff, id ,label\r\n0,a b.jpg, real\r\n\r\n1,\"c,d\",fake\r\n2,e\r\n".encode())
  assert read_table(path, ("id", "label")) == [(2, "a b.jpg", "real"), (4, "c,d", "fake"), (5, "e", "")]


@pytest.mark.parametrize(("content", "reason"), [
    (b"id,label\n" + 200_000 * b"x" + b",real\n", "cannot be read as CSV"),
    (b"id;label\na;real\n", "has no column 'id'; its first line is id;label"),
    (b"", "has no column 'id'; its first line is empty"),
])
def test_what_is_no_table(content, reason, tmp_path):
  (tmp_path / "t.csv").write_bytes(content)
  with pytest.raises(UserError, match=reason) as error:
    read_table(tmp_path / "t.csv", ("id", "label"))
  assert str(error.value).startswith(f"{tmp_path / 't.csv'}: ") and "\n" not in str(error.value)
  with pytest.raises(UserError, match="No such file"):
    read_table(tmp_path / "none.csv", ("id",))


def test_names_with_and_without_suffix():
  assert [stem_of(name) for name in ("a.jpg", "a.JPEG", "a", "v1.2", "b.c.png")] == ["a", "a", "a", "v1.2", "b.c"]


def test_names_that_are_no_utf8_are_those_of_the_files(tmp_path):
  (tmp_path / "t.csv").write_bytes(b"id,label\nMu\xf1oz.jpg,real\n")
  assert read_table(tmp_path / "t.csv", ("id", "label")) == [(2, os.fsdecode(b"Mu\xf1oz.jpg"), "real")]
