"""Pictures by Matplotlib leave a notebook's own alone, and need no back end."""

import subprocess
import sys

import pytest
from PIL import Image

from tests.conftest import ROOT

DRAW = r"""
import os, sys
from fakeface_jax.commands.train import draw_curves
from fakeface_jax.drawing.figure import save_figure
from fakeface_jax.drawing.lettering import legible
row = {"train_loss": 1, "val_loss": 1, "train_accuracy": 0.5, "val_accuracy": 0.5, "learning_rate": 0.1}
assert legible("Müller \u5f20") == "Müller \\u5f20"
save_figure(draw_curves([row | {"epoch": 1}, row | {"epoch": 2}]), sys.argv[1])
assert "matplotlib.pyplot" not in sys.modules
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams._get("backend") == os.environ["MPLBACKEND"])
"""


@pytest.mark.parametrize(("backend", "kept"), [
    ("module://nowhere.to_be_found", True), ("nonsense", False), ("svg", True)])
def test_a_back_end_that_is_another_or_none_is_left_as_it_was(tmp_path, monkeypatch, backend, kept):
  monkeypatch.setenv("MPLBACKEND", backend)
  result = subprocess.run(
      [sys.executable, "-c", DRAW, tmp_path / "curves.png"], capture_output=True, text=True, cwd=ROOT)
  assert result.returncode == 0, result.stderr
  assert result.stdout.split() == [backend, str(kept)]
  with Image.open(tmp_path / "curves.png") as picture:
    assert picture.size == (1430, 396)


def test_the_figures_of_others_stay_open(tmp_path):
  import matplotlib
  import matplotlib.pyplot as plt

  from fakeface_jax.drawing.figure import new_figure, save_figure

  before = matplotlib.rcParams._get("backend")
  theirs = plt.figure()
  figure = new_figure(figsize=(2, 1))
  figure.subplots().plot([1, 2])
  save_figure(figure, tmp_path / "x.png")
  assert plt.get_fignums() == [theirs.number] and matplotlib.rcParams._get("backend") in (before, "agg")
  plt.close(theirs)
