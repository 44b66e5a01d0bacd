"""Whatever cannot be written, and wherever: one line at the door of the script."""

import errno
import os

import pytest

from fakeface_jax.commands import app
from fakeface_jax.errors import of_disk
from fakeface_jax.workdir import write_whole


@pytest.mark.parametrize(("number", "advice"), [
    (errno.ENOSPC, "make room there and give the same command again"),
    (errno.EDQUOT, "make room there and give the same command again"),
    (errno.EROFS, "change its permissions or choose a place that you may write to"),
    (errno.EACCES, "change its permissions or choose a place that you may write to")])
def test_an_error_of_the_disk_is_one_line_that_names_the_file_and_what_to_do(
    tmp_path, monkeypatch, capsys, number, advice):
  def full(self, data):
    raise OSError(number, os.strerror(number))  # as `write` does: without a name

  def main(arguments):
    write_whole(tmp_path / "scores.json", "{}")

  monkeypatch.setattr(app, "_set_up_messages", lambda: None)
  monkeypatch.setattr(app, "_set_up_compilation_cache", lambda: None)
  monkeypatch.setattr("pathlib.Path.write_bytes", full)
  assert app._guard(main, []) == 1
  assert capsys.readouterr().err == f"error: {tmp_path / 'scores.json'}: {os.strerror(number)}; {advice}\n"
  assert list(tmp_path.iterdir()) == []


def test_a_librarys_error_of_another_type_is_understood_too():
  error = ValueError("RESOURCE_EXHAUSTED: Error writing\n  more: No space left on device [tensorstore]")
  assert of_disk(error).endswith("[tensorstore]; make room there and give the same command again")
  assert of_disk(RuntimeError("shapes differ")) == "shapes differ"
