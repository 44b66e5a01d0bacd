"""The command line of scripts/forge.py."""

import pytest

from tests.conftest import run_script
from tests.data.forging.test_photographs import write

pytestmark = pytest.mark.slow


def test_a_folder_is_forged_and_what_cannot_be_read_listed(tmp_path):
  root = write(tmp_path / "faces", 6)
  (root / "03.jpg").write_bytes((root / "03.jpg").read_bytes()[:100])
  result = run_script("forge", root, tmp_path / "out", "--per_image=2", "--seed=3")
  assert result.returncode == 1
  assert "10 fakes of 5 photographs" in result.stdout and "fakes/s; a core" in result.stdout
  assert "1 could not be read:" in result.stderr and "03.jpg" in result.stderr and "Traceback" not in result.stderr
  assert (tmp_path / "out" / "contact_sheet.png").exists()
  assert len((tmp_path / "out" / "index.csv").read_text().splitlines()) == 11


@pytest.mark.parametrize(("arguments", "answer"), [
    (["only"], "error: expected FOLDER OUT, got only"),
    (["nowhere", "out"], "error: nowhere: no such folder; expected photographs"),
])
def test_mistakes_are_answered_in_one_line(arguments, answer, tmp_path):
  result = run_script("forge", *arguments, cwd=tmp_path)
  assert result.returncode == 1 and answer in result.stderr and "Traceback" not in result.stderr
