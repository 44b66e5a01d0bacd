"""What the figures of a run show: the lines and words that are drawn."""

import re

import numpy as np
import pytest

from fakeface_jax.commands import train as module
from fakeface_jax.commands.train import draw_curves, draw_examples
from fakeface_jax.runs import sanity
from fakeface_jax.runs.records import read_lines
from fakeface_jax.runs.sanity import _draw, spread
from fakeface_jax.workdir import read_config


@pytest.fixture
def figures(monkeypatch):
  """The figures that are saved."""
  saved = []
  monkeypatch.setattr(sanity, "save_figure", lambda figure, path: saved.append(figure))
  return saved


def test_curves_show_the_same_measures_for_training_and_validation():
  rows = [{"epoch": epoch, "train_loss": 0.5 / epoch, "val_loss": 0.6 / epoch, "train_accuracy": 0.7 + 0.1 * epoch,
           "val_accuracy": 0.6 + 0.1 * epoch, "val_f1_macro": 0.1, "learning_rate": 1e-3} for epoch in (1, 2)]
  figure = draw_curves(rows)
  for axes, title, values in zip(
      figure.axes, ("loss (cross-entropy)", "accuracy"), ([[0.5, 0.25], [0.6, 0.3]], [[0.8, 0.9], [0.7, 0.8]]),
      strict=False):
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert axes.get_title() == title and list(lines)[:2] == ["training", "validation"]
    np.testing.assert_allclose([lines["training"], lines["validation"]], values)


def test_examples_say_what_is_true_and_what_is_said(finished, monkeypatch):
  workdir, _ = finished
  lines = read_lines(workdir / "test_predictions.jsonl")
  lines = [line | {"probability": 1.0 * line["label"]} for line in lines]
  monkeypatch.setattr(module, "read_predictions", lambda workdir, source: lines)
  figure = draw_examples(workdir, read_config(workdir), each=1)
  titles = [axes.get_title() for axes in figure.axes]
  assert titles == ["is fake,\nsaid over 99.9\N{NO-BREAK SPACE}% fake", "", "",
                    "is real,\nsaid under 0.1\N{NO-BREAK SPACE}% fake", titles[4]]
  assert re.fullmatch(r"is (real|fake),\nsaid (under 0|over 99)\.\d\s% fake", titles[4])


def scores(depends, *values):
  return {"depends_on_weights": depends, "rank_correlation": list(values), "ssim": [value / 2 for value in values]}


def test_the_sanity_check_draws_passes_and_fails_apart_and_names_each_line_at_its_end(figures):
  methods = {"gradcam": scores(True, 0.3, -0.9), "guided_backprop": scores(False, 0.9, 0.9),
             "occlusion": scores(True, 0.1, -0.9)}
  _draw({"steps": ["head", "layer4_1"], "methods": methods, "images": 1}, "sanity.png")
  (figure,) = figures
  shown = {}
  for axes in figure.axes:
    assert axes.get_ylim()[0] == -1
    title, measure = axes.get_title().split("\n")
    names = [text.get_text() for text in axes.texts]
    places = [text.xyann[1] for text in axes.texts]
    assert [tuple(text.xy) for text in axes.texts] == [(2, line.get_ydata()[-1]) for line in axes.lines]
    assert len(places) < 2 or abs(places[0] - places[1]) > 0.08
    shown[title.split()[0], measure.split()[0]] = names
  passing, failing = ["Grad-CAM", "occlusion"], ["guided backprop"]
  assert shown == {("change", "rank"): passing, ("change", "SSIM"): passing, ("FAIL:", "rank"): failing,
                   ("FAIL:", "SSIM"): failing}
  _draw({"steps": ["head", "layer4_1"], "methods": {"gradcam": methods["gradcam"]}, "images": 1}, "sanity.png")
  assert len(figures[1].axes) == 2


def test_labels_are_spread_no_more_than_they_need_to_be():
  np.testing.assert_allclose(spread([0.5, -0.2, 0.9], 0.1), [0.5, -0.2, 0.9])
  np.testing.assert_allclose(spread([0.5, 0.5, 0.5, 2.0], 0.1), [0.4, 0.5, 0.6, 2.0])
  np.testing.assert_allclose(spread([0.30, 0.20, 0.25, 0.45], 0.2), [0.4, 0.0, 0.2, 0.6], atol=1e-12)
