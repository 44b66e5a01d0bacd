"""Scripts as shells, containers and notebooks start them."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, run_script

pytestmark = pytest.mark.slow

SCRIPT = [sys.executable, str(ROOT / "scripts" / "contact_sheet.py")]


@pytest.mark.parametrize("platform", ["cuda", "nonsense"])
def test_a_platform_that_is_not_there_costs_one_line(platform, tmp_path):
  result = run_script("train", environment={"JAX_PLATFORMS": platform}, cwd=tmp_path)
  assert result.returncode == 1 and result.stderr.startswith(f"error: JAX_PLATFORMS={platform} cannot be had here")
  assert "unset JAX_PLATFORMS, or set it to cpu" in result.stderr and len(result.stderr.splitlines()) == 1


def test_a_home_folder_that_is_none_is_made_up_for_and_that_is_said(faces_folder, tmp_path):
  kept = {name: value for name, value in os.environ.items()
          if name not in ("JAX_COMPILATION_CACHE_DIR", "TFDS_DATA_DIR", "XDG_CACHE_HOME")}
  elsewhere = tmp_path / "a place with spaces"
  elsewhere.mkdir()
  result = subprocess.run(
      [*SCRIPT, "--data", faces_folder, "--out", "sheet.png"], capture_output=True, text=True, cwd=elsewhere,
      env={**kept, "HOME": "/dev/null", "TMPDIR": str(tmp_path), "MPLBACKEND": "nonsense", "TERM": "dumb",
           "COLUMNS": "x", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
  assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
  assert f"/dev/null cannot be written to: caches and prepared data go to {tmp_path}/fakeface_jax_" in result.stderr
  assert (elsewhere / "sheet.png").exists() and [path.name for path in elsewhere.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize("redirections", ["<&- >&- 2>&-", "2>&1 <&- >/dev/full"])
def test_closed_streams_are_no_files_of_ours(redirections, faces_folder, tmp_path):
  command = f"'{SCRIPT[0]}' '{SCRIPT[1]}' --data '{faces_folder}' --out sheet.png {redirections}"
  buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as users have it
  result = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=buffered)
  assert (tmp_path / "sheet.png").read_bytes()[:4] == b"\x89PNG"
  assert result.returncode == (0 if "&- >&-" in redirections else 1)


def test_a_reader_that_goes_away_early_costs_nothing(tmp_path):
  command = f"'{SCRIPT[0]}' '{ROOT}/scripts/check_data.py' '{tmp_path}/faces' 2> errors | true"
  from tests.conftest import write_faces

  write_faces(tmp_path / "faces", {"train": 4, "val": 2})
  subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
  assert "Traceback" not in (tmp_path / "errors").read_text() and "Broken" not in (tmp_path / "errors").read_text()


@pytest.mark.parametrize(("reader", "code", "message"), [
    ("| true", 141, ""),
    (">/dev/full", 1, "error: No space left on device; make room there and give the same command again\n")])
def test_help_that_is_not_read_to_its_end_leaves_no_traceback(reader, code, message, tmp_path):
  command = f"set -o pipefail; '{SCRIPT[0]}' '{ROOT}/scripts/explain.py' --help 2> errors {reader}"
  buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
  result = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=buffered, stdout=subprocess.DEVNULL)
  assert (result.returncode, (tmp_path / "errors").read_text()) == (code, message)


def press(*pauses):
  """(exit code, what a terminal showed) of a script that works for ever, with Ctrl-C after each pause, in seconds."""
  code = (
      "import sys, time; sys.path.insert(0, sys.argv[1]); sys.modules['__main__'].__doc__ = ''\n"
      "from fakeface_jax.commands import app\n"
      "def main(arguments):\n"
      "  try:\n"
      "    print('works', flush=True)\n"
      "    time.sleep(60)\n"
      "  finally:\n"
      "    time.sleep(60 if len(sys.argv) > 2 else 0)\n"
      "app.run(main)\n")
  ours, theirs = pty.openpty()
  command = [sys.executable, "-c", code, str(ROOT), *["stays"][: len(pauses) - 1]]
  process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
  os.close(theirs)
  shown = b""
  while b"works" not in shown:
    shown += os.read(ours, 1000)
  for pause in pauses:
    time.sleep(pause)
    os.kill(process.pid, signal.SIGINT)
  process.wait(timeout=60)
  while True:
    try:
      shown += os.read(ours, 1000)
    except OSError:
      return process.returncode, shown.decode()


def test_the_first_ctrl_c_ends_the_work_and_the_second_the_process():
  code, shown = press(0.2)
  assert code == 130 and shown.splitlines()[-1] == "interrupted; the same command goes on from what was saved"
  code, shown = press(0.2, 0.3)
  assert code == 130 and shown.split() == ["works", "interrupted"] and "Traceback" not in shown
