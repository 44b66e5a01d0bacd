"""What the command line answers to mistakes: one line, no traceback, an exit code other than 0."""

import pytest

from tests.conftest import run_script


@pytest.mark.parametrize(("script", "arguments", "answer"), [
    ("train", ["--config.data.nme=x"], "error: there is no flag --config.data.nme; did you mean --config.data.name=x?"),
    ("train", ["--config.epochs=many"], "flag --config.epochs=many: invalid literal for int()"),
    ("train", ["--config=missing.py"], "missing.py"),
    ("train", ["extra"], "error: unexpected argument 'extra'"),
    ("train", ["--config.model.depth=19"], "error: there is no ResNet of depth 19; depths are 18, 34, 50, 101, 152"),
    ("train", ["--config.batch_size=7"], "error: --config.batch_size=7 cannot be split over 2 devices"),
    ("train", ["--config.data.name=nowhere"], "error: there is no data set and no folder 'nowhere'"),
    ("train", ["--config.data.name=folder", "--config.data.path=/nowhere"], "/nowhere"),
    ("explain", ["--workdir=nowhere"], "error: nowhere is no run folder"),
    ("explain", ["--target=both"], "error: there is no trained run below runs/"),
    ("evaluate", ["--workdir=nowhere"], "error: nowhere is no run folder"),
])
def test_mistakes_are_answered_in_one_line(script, arguments, answer, tmp_path):
  result = run_script(script, *arguments, cwd=tmp_path)
  assert result.returncode != 0
  assert answer in result.stderr.replace("\n", " ")
  assert "Traceback" not in result.stderr + result.stdout
