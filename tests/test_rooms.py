"""The rooms of the package and which of them may know which: imports point downwards only."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fakeface_jax"

# From the top down: a room imports from those below it only.
ROOMS = (
    "commands", "page", "audit", "runs", "drawing", "detector", "verdict", "pretraining", "training", "evaluation",
    "explain", "data", "models")
ROOMS_OF_DATA = (
    "splits", "pairs", "datasets", "batches", "collect", "forging", "builders", "checking", "drawn", "faces", "reading",
    "schema")


def imports(path):
  """Modules of this package that a file imports, anywhere in it."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "fakeface_jax":
      for name in node.names:
        yield f"{node.module}.{name.name}".split(".")[1:]


def upwards(rooms, depth, files):
  """Imports from a room above, as text; what is in no room of the list lies below all of them."""
  place = lambda parts: rooms.index(parts[depth]) if len(parts) > depth and parts[depth] in rooms else len(rooms)
  for path in files:
    own = path.relative_to(PACKAGE).with_suffix("").parts
    for parts in imports(path):
      if parts[:depth] == list(own[:depth]) and place(parts) < place(own):
        yield f"{'.'.join(own)} imports {'.'.join(parts)}"


@pytest.mark.parametrize(("rooms", "depth", "folder"), [(ROOMS, 0, "."), (ROOMS_OF_DATA, 1, "data")])
def test_imports_point_downwards(rooms, depth, folder):
  files = [path for path in (PACKAGE / folder).rglob("*.py") if path.name != "__init__.py"]
  assert list(upwards(rooms, depth, files)) == []
  assert all((PACKAGE / folder / room).exists() or (PACKAGE / folder / f"{room}.py").exists() for room in rooms)
