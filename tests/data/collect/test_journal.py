import json
import types

import pytest

from fakeface_jax.data.collect.journal import FILE, Journal
from fakeface_jax.errors import UserError

SETTINGS = {"size": 64, "against": None}


def keep(journal, number, label="real"):
  journal.keep(b"picture", key=f"key {number}", **{"class": label}, file=journal.next_file(label), address=f"a{number}",
               page="", author='Ann "A", B', author_page="", licence="", fetched_at="", sha256=f"s{number}", phash="",
               crop="", hashes=[], report_to=f"r{number}")


def test_what_was_done_is_there_again(tmp_path):
  with Journal(tmp_path, SETTINGS) as journal:
    keep(journal, 1)
    keep(journal, 2, "fake")
    journal.leave_out(key="key 3", **{"class": "fake"}, address="a3", page="", reason="no face found", detail="",
                      fetched_at="", sha256="s3")
    journal.page("unsplash:x", {"number": 1, "pages": 4, "photos": []})
    journal.reported("key 1")
    tables = {path.name: path.read_text() for path in tmp_path.glob("*.csv")}
  assert tables["data.csv"] == "images_id,label\nreal_00001,real\nfake_00001,fake\n"
  assert '"Ann ""A"", B"' in tables["MANIFEST.csv"] and tables["left_out.csv"].endswith("fake,a3,,no face found,,,s3\n")
  with Journal(tmp_path, SETTINGS) as journal:
    assert {path.name: path.read_text() for path in tmp_path.glob("*.csv")} == tables
    assert journal.done == {"key 1", "key 2", "key 3"} and journal.owed == {"key 2": "r2"}
    assert journal.originals == {"s1": "real/real_00001.jpg", "s2": "fake/fake_00001.jpg", "s3": "a3"}
    assert journal.pages["unsplash:x"] == [{"source": "unsplash:x", "number": 1, "pages": 4, "photos": []}]
    assert journal.next_file("real") == "real/real_00002.jpg" and journal.number("real") == 1


def test_half_a_line_at_the_end_is_cut_off_and_written_over(tmp_path):
  with Journal(tmp_path, SETTINGS) as journal:
    keep(journal, 1)
    keep(journal, 2)
  whole = (tmp_path / FILE).read_bytes()
  for length in (len(whole) - 1, len(whole) - 40):
    (tmp_path / FILE).write_bytes(whole[:length])
    with Journal(tmp_path, SETTINGS) as journal:
      assert journal.done == {"key 1"} and journal.next_file("real") == "real/real_00002.jpg"
      keep(journal, 2)
    assert (tmp_path / FILE).read_bytes() == whole


def test_a_line_that_does_not_fit_onto_the_disk_takes_its_picture_along(tmp_path, monkeypatch):
  with Journal(tmp_path, SETTINGS) as journal:
    keep(journal, 1)
    sound = journal._file
    full = types.SimpleNamespace(write=lambda line: sound.write(line[:20]), close=sound.close)
    monkeypatch.setattr(journal, "_file", full)
    with pytest.raises(OSError, match="No space left on device"):
      keep(journal, 2)
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["real_00001.jpg"]
  with Journal(tmp_path, SETTINGS) as journal:
    assert journal.done == {"key 1"}


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
  with Journal(tmp_path, SETTINGS) as journal:
    keep(journal, 1)
  *lines, last = (tmp_path / FILE).read_text().splitlines()
  (tmp_path / FILE).write_text("\n".join([*lines, last[:50], last]) + "\n")
  with pytest.raises(UserError, match=r"collect\.jsonl: line 3 is damaged"):
    Journal(tmp_path, SETTINGS)


def test_only_one_command_works_in_a_folder(tmp_path):
  with Journal(tmp_path, SETTINGS), pytest.raises(UserError, match="another command is collecting into it"):
    Journal(tmp_path, SETTINGS)
  with Journal(tmp_path, SETTINGS):
    pass


@pytest.mark.parametrize("name", [
    "real", "data.csv", "MANIFEST.csv", "left_out.csv", "contact_sheet.png", ".against.json"])
def test_a_folder_of_something_else_is_left_alone(tmp_path, name):
  (tmp_path / name).mkdir()
  with pytest.raises(UserError, match=rf"holds {name}, but no collect\.jsonl: it was not made by this command; choose"):
    Journal(tmp_path, SETTINGS)
  assert [path.name for path in tmp_path.iterdir()] == [name]


def test_pictures_put_there_by_hand_stay(tmp_path):
  with Journal(tmp_path, SETTINGS) as journal:
    keep(journal, 1)
    for number in (2, 3):
      (tmp_path / "real" / f"real_0000{number}.jpg").write_text("mine")
    keep(journal, 2)
  assert (tmp_path / "real" / "real_00004.jpg").read_text() == "picture"
  assert all((tmp_path / "real" / f"real_0000{number}.jpg").read_text() == "mine" for number in (2, 3))


def test_other_options_do_not_go_into_the_same_collection(tmp_path):
  with Journal(tmp_path, SETTINGS):
    pass
  with pytest.raises(UserError, match=r"made with other options \(size=64 there, 128 now\); choose another folder"):
    Journal(tmp_path, SETTINGS | {"size": 128})
  assert json.loads((tmp_path / FILE).read_text()) == {"settings": SETTINGS}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match=r"file/out cannot be used: .*; choose one with room that you may write to"):
    Journal(tmp_path / "file" / "out", SETTINGS)
