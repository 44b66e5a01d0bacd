"""What .github/CONTRIBUTING.md tells people to write works as it stands there."""

import re
import sys
import textwrap
import types

import numpy as np
from PIL import Image
from skimage.data import astronaut

from fakeface_jax import models
from fakeface_jax.data import datasets
from fakeface_jax.detector import Detector, load
from fakeface_jax.explain import methods
from fakeface_jax.training.fine_tuning import train
from tests.conftest import ROOT
from tests.explain.tiny import small

TEXT = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
METHOD, DATA_SET, NETWORK = (
    textwrap.dedent(block) for block in re.findall(r"^ *```python\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL))


def written(monkeypatch, name, text):
  """The module of that name, as if its file had that text."""
  module = types.ModuleType(name)
  monkeypatch.setitem(sys.modules, name, module)
  exec(text, module.__dict__)
  return module


def line_for(name):
  """The value of the line that a list of names gets, as the text has it."""
  return re.search(rf'^ *"{name}": (.*),$', TEXT, re.MULTILINE)[1]


def test_the_method(monkeypatch):
  own = written(monkeypatch, "fakeface_jax.explain.input_x_gradient", METHOD)
  made = eval(line_for("input_x_gradient"), {**vars(methods), **vars(own)})
  monkeypatch.setitem(methods.METHODS, "input_x_gradient", made)
  model, variables = small()
  detector = Detector(model, variables, 32, 32)
  (result,) = detector.explain([astronaut()], methods=["input_x_gradient", "gradient"])
  seen = (result["image"] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  np.testing.assert_allclose(result["input_x_gradient"], seen * result["gradient"], rtol=1e-4, atol=1e-6)


def test_the_data_set(monkeypatch, tmp_path):
  written(monkeypatch, "fakeface_jax.data.builders.toy", DATA_SET)
  monkeypatch.setitem(datasets.BUILDERS, "toy", eval(line_for("toy")))
  images = tmp_path / "manual" / "images"
  images.mkdir(parents=True)
  for i in range(20):
    Image.fromarray(astronaut()[i : i + 64, i : i + 64]).save(images / f"{'fake' if i % 2 else 'real'}_{i}.jpg")
  data = datasets.open_dataset("toy", path=tmp_path / "manual", data_dir=tmp_path / "records")
  records = [data["all"][i] for i in range(20)]
  assert sorted((record["source"].decode(), record["label"]) for record in records) == sorted(
      (f"toy/images/{path.name}", int(path.name.startswith("fake"))) for path in images.iterdir())


def test_the_network(monkeypatch, config, tmp_path):
  own = written(monkeypatch, "fakeface_jax.models.chain", NETWORK)
  monkeypatch.setitem(models.NETWORKS, "chain", eval(line_for("chain"), vars(own)))
  config = config.copy_and_resolve_references()
  config.model.name, config.epochs = "chain", 1
  train(config, str(tmp_path / "run"))
  (result,) = load(tmp_path / "run").explain([astronaut()])
  assert [result["gradcam"][layer].shape for layer in ("early", "middle", "late")] == [(32, 32), (16, 16), (8, 8)]
  assert result["guided_backprop"].any()


def test_every_paper_that_a_docstring_names_is_cited_with_its_place():
  cited = (ROOT / ".github" / "CITATION.md").read_text().splitlines()
  paper = re.compile(r"\b([A-Z][\w-]+)(?: et al\.| (?:&|and) [A-Z]\w+)?,? \(?((?:19|20)\d\d)\b")
  for path in sorted((ROOT / "fakeface_jax").rglob("*.py")):
    place = path.relative_to(ROOT / "fakeface_jax").as_posix()
    for name, year in paper.findall(" ".join(path.read_text().split())):
      if (name, year) != ("JPEG", "2000"):
        assert any(name in line and f", {year}." in line and place in line for line in cited), (name, year, place)


def test_the_places_of_papers_are_there():
  for place in re.findall(r"`([\w/]+\.py)`", (ROOT / ".github" / "CITATION.md").read_text()):
    assert (ROOT / "fakeface_jax" / place).is_file(), place
