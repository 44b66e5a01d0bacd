"""What the command line answers to mistakes: one line, no traceback, an exit code other than 0."""

import pytest

from tests.conftest import run_script


@pytest.mark.slow
@pytest.mark.parametrize(("script", "arguments", "answer"), [
    ("train", ["--config.data.nme=x"], "error: there is no flag --config.data.nme; did you mean --config.data.name=x?"),
    ("train", ["--config.epochs=many"], "flag --config.epochs=many: invalid literal for int()"),
    ("train", ["--config=missing.py"], "missing.py"),
    ("train", ["extra"], "error: unexpected argument 'extra'"),
    ("train", ["--config.model.depth=19"], "error: --config.model.depth=19: expected 18, 34, 50, 101 or 152"),
    ("train", ["--config.seed=-1"], "error: --config.seed=-1: expected a whole number from 0 to 2,147,483,647"),
    ("train", ["--config=raising.py"], "what now"),
    ("train", ["--config=other.py"], "'to_dict'; expected a get_config() that returns a ConfigDict"),
    ("train", ["--config.batch_size=7"], "error: --config.batch_size=7 cannot be split over 2 devices"),
    ("train", ["--config.data.name=nowhere"], "error: there is no data set and no folder 'nowhere'"),
    ("train", ["--config.data.name=folder", "--config.data.path=/nowhere"], "/nowhere"),
    ("explain", ["--workdir=nowhere"], "error: nowhere is no run folder"),
    ("explain", ["--target=both"], "error: there is no trained run below runs/"),
    ("explain", ["a.png", ""], "error: an argument is empty (''); name a file or folder, '.' for the current one"),
    ("evaluate", ["--workdir=nowhere"], "error: nowhere is no run folder"),
    ("evaluate", ["--batch_size=0"], "flag --batch_size=0: 0 is not a positive integer"),
    ("evaluate", ["--out=."], "error: --out=. is there and no file; name a new file"),
    ("check_data", ["folder", "--out=."], "error: --out=. is there and no file; name a new file"),
    ("bench", ["layers", "--out=."], "error: --out=. is there and no file; name a new file"),
    ("contact_sheet", ["--out=sheet.jpg"], "error: --out sheet.jpg is no name of a PNG file"),
])
def test_mistakes_are_answered_in_one_line(script, arguments, answer, tmp_path):
  (tmp_path / "raising.py").write_text("raise ZeroDivisionError('what now')")
  (tmp_path / "other.py").write_text("def get_config():\n  return 5")
  result = run_script(script, *arguments, cwd=tmp_path)
  assert result.returncode != 0
  assert answer in result.stderr.replace("\n", " ")
  assert "Traceback" not in result.stderr + result.stdout
