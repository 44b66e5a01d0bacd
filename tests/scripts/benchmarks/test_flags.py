"""What bench.py refuses of its flags before anything is measured."""

import pytest

from fakeface_jax.errors import UserError
from tests.test_readme import parsed


@pytest.mark.parametrize(("flags", "wrong"), [
    ("recipe --faces=", "--faces names nothing; expected some, by commas"),
    ("recipe --faces=a --rows=", "--rows names nothing"),
    ("transfer --faces=a --picture=matrix", "--picture=matrix: expected a name that ends in .png"),
    ("transfer --faces=a --picture=there.png", "there.png is there already"),
    ("transfer --faces=a --out=there.png", "there.png is there already"),
    ("transfer --faces=a --picture=there.png --overwrite", "a/train/real: no such folder"),
    ("transfer --faces=a --picture=~/new/matrix.png", "a/train/real: no such folder"),
])
def test_it_is_refused_at_once(tmp_path, monkeypatch, flags, wrong):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("HOME", str(tmp_path))
  (tmp_path / "there.png").touch()
  with parsed(f"python scripts/bench.py {flags}") as (module, positional), pytest.raises(UserError) as refused:
    module["main"](positional)
  assert wrong in str(refused.value)
  assert [path.name for path in tmp_path.iterdir()] == ["there.png"]
