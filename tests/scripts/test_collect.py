"""scripts/collect.py as a user calls it."""

import pytest

from tests.conftest import run_script

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("arguments", "answer"), [
    (["--out=out", "--real=unsplash:portrait"], "error: unsplash:portrait: needs the access key"),
    (["--out=out", "--fake=https://x.org/face"], "error: https://x.org/face: write url:https://x.org/face"),
    (["--out=out"], "error: nothing to collect from; give --real= and --fake="),
    (["--real=folder:."], "error: --out is needed: Folder for real/, fake/"),
])
def test_mistakes_are_answered_in_one_line(arguments, answer, tmp_path):
  result = run_script("collect", *arguments, cwd=tmp_path, environment={"UNSPLASH_ACCESS_KEY": ""})
  assert result.returncode != 0
  assert answer in result.stderr.replace("\n", " ") and "Traceback" not in result.stderr + result.stdout
  assert list(tmp_path.iterdir()) == []
