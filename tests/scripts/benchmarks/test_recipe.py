"""Which detectors the ablation trains, with what changed, and how each row is judged; training is tested elsewhere."""

import json
import shlex
from zlib import crc32

import jax
import numpy as np
import pytest
from benchmarks import recipe, worlds

from configs import photographs
from fakeface_jax.commands.app import flags
from fakeface_jax.config_fields import FINE_TUNING, problems_of
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables, make_model
from fakeface_jax.models.pretrained import save_safetensors
from fakeface_jax.workdir import flatten_config
from tests.scripts.benchmarks.worlds import Trainings, faces
from tests.test_readme import parsed


class Bright:
  """A detector that takes bright pictures for fakes; `resize` None, 32 px."""

  resize, crop = None, 32

  def __init__(self):
    self.engine, self.seen = self, []

  def logits(self, pixels):
    self.seen.append(pixels)
    bright = pixels.astype(float).mean((1, 2, 3))
    return np.stack([np.full(len(pixels), 40.0), bright], axis=1)

  def prepare(self, images):
    return type("Seen", (), {"pixels": np.stack(images)})


@pytest.fixture
def bench(monkeypatch, tmp_path):
  """(`Trainings`, {name of a run: its detector}, function of rows -> `bench_recipe` of two folders)."""
  trainings, detectors = Trainings(monkeypatch), {}
  ask = worlds.fine_tune

  def fine_tune(config, run):
    if config.data.pairs and run.name.startswith("gan"):
      raise UserError("config.data.pairs: no fake of the train split ...")
    ask(config, run)
    run.mkdir(parents=True, exist_ok=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps({"images_per_second": rate}) + "\n" for rate in (20, 40)))
    (run / "seconds.json").write_text(json.dumps({"parts": {"epochs": 50.0, "test": 10.0}, "compiling": 30.0}))

  monkeypatch.setattr(worlds, "fine_tune", fine_tune)
  monkeypatch.setattr(recipe, "load", lambda run: detectors.setdefault(run.name, Bright()))
  made = {name: faces(tmp_path / name) for name in ("gan", "swap")}

  def run(*rows, folders=("gan", "swap"), **settings):
    return recipe.bench_recipe([made[name] for name in folders], rows=rows, workdir=tmp_path / "runs", **settings)

  return trainings, detectors, run


@pytest.mark.parametrize("row", recipe.FIELDS)
def test_each_row_changes_fields_that_train_py_takes(row):
  fields = flatten_config(photographs.get_config().to_dict())
  changed = recipe.FIELDS[row]
  given = [shlex.quote(f"--config.{name}={value}") for name, value in changed.items()]
  with parsed(" ".join(["python scripts/train.py --config configs/photographs.py", *given])):
    now = flatten_config(flags.FLAGS.config.to_dict())
  assert {name for name in fields if fields[name] != now[name]} == set(changed)
  assert problems_of(now | {"data.path": "faces"}, FINE_TUNING) == {}


def test_a_set_without_pairs_has_no_figure_in_that_row_even_alone(bench):
  _, _, run = bench
  text, figures = run("pairs in a batch", folders=("gan",))
  assert figures["pairs in a batch"] == {"sets": {}, "after": {"jpeg 75": {}, "blur 1": {}, "noise 10": {}}}
  assert text.splitlines()[2].split() == ["pairs", "in", "a", "batch", "no", "pairs"]


def test_one_thing_is_changed_at_a_time_and_every_folder_has_a_run(bench):
  trainings, _, run = bench
  text, figures = run(recipe.BASE, "pairs in a batch", "random weights")
  assert trainings.runs == [f"{name}, {row}" for row in (recipe.BASE, "pairs in a batch", "random weights")
                            for name in ("gan", "swap") if (row, name) != ("pairs in a batch", "gan")]
  base, random = trainings.asked[0], trainings.asked[3]
  assert random == base | {"pretrained": "", "data.augment": "crop,flip"}
  assert base["data.train_crop"] == 128 and base["data.train_split"] == "train[:85%]"
  assert list(figures["pairs in a batch"]["sets"]) == ["swap"] and "no pairs" in text
  assert figures[recipe.BASE]["sets"]["gan"]["roc_auc"] == 1  # fakes are brighter
  assert figures[recipe.BASE]["after"]["noise 10"]["swap"]["roc_auc"] == 1 and "after a blur of 1 px" in text
  assert figures[recipe.BASE]["minutes"] == 2 and figures[recipe.BASE]["images_per_second"] == 30  # of both folders
  assert " ".join(text.splitlines()[2].split()) == "the recipe 1.00 (1.00 to 1.00) 1.00 (1.00 to 1.00) 2.0 30"


def test_weights_that_are_given_have_a_row_of_their_own(bench, tmp_path):
  trainings, _, run = bench
  weights, of_another = tmp_path / "imagenet.safetensors", tmp_path / "deep.safetensors"
  for path, depth in ((weights, 18), (of_another, 34)):
    config = photographs.get_config()
    config.model.depth = depth
    model = make_model(config.model)
    save_safetensors(path, init_variables(model, jax.random.key(0), 32))
  with pytest.raises(UserError, match="deep"):
    run("random weights", pretrained=of_another)
  assert not trainings.asked
  _, figures = run("random weights", folders=("swap",), pretrained=weights)
  assert [fields["pretrained"] for fields in trainings.asked] == ["", str(weights)]
  assert list(figures) == ["random weights", recipe.GIVEN] and figures[recipe.GIVEN]["minutes"] == 1
  assert list(run(recipe.GIVEN, folders=("swap",), pretrained=weights)[1]) == [recipe.GIVEN]
  with pytest.raises(UserError, match="none"):
    run("random weights", pretrained=tmp_path / "none.safetensors")


def test_rows_that_train_nothing_of_their_own(bench):
  trainings, detectors, run = bench
  text, figures = run(recipe.CROPS)
  assert len(text.splitlines()) == 3 and "after" not in text
  assert trainings.runs == [f"gan, {recipe.PLAIN}", f"swap, {recipe.PLAIN}"]
  assert list(figures) == [recipe.CROPS] and "minutes" not in figures[recipe.CROPS]
  first = detectors[f"gan, {recipe.PLAIN}"].seen[0]
  assert first.shape == (10, 32, 32, 3)


def differences_of(place, name):
  """Where those of the folder place/name are: another folder of that name has others."""
  return place / "runs" / "differences" / f"{name} {crc32(bytes(place / name)):08x}"


def test_differences_are_trained_on_and_judged_alone_and_beside(bench, tmp_path):
  trainings, _, run = bench
  _, figures = run(recipe.DIFFERENCES, recipe.BESIDE)
  assert [fields["data.path"] for fields in trainings.asked] == [
      str(place) for place in (tmp_path / "gan", tmp_path / "swap", *(
          differences_of(tmp_path, name) for name in ("gan", "swap")))]
  assert figures[recipe.DIFFERENCES]["sets"]["gan"]["roc_auc"] == 0.5  # of one colour: no differences
  assert figures[recipe.BESIDE]["sets"]["gan"]["roc_auc"] == 1
  assert read_image(differences_of(tmp_path, "gan") / "val" / "fake" / "0.png.png").tolist() == [
      [[128] * 3] * 32] * 32


def test_differences_are_those_to_the_first_of_a_block():
  image = np.arange(0, 60, dtype=np.uint8).reshape(4, 5, 3)
  found = recipe.differences(image)
  assert found.shape == (4, 5, 3)
  assert found[0, 0].tolist() == found[2, 4].tolist() == [128] * 3
  assert found[0, 1].tolist() == [128 + 4 * 3] * 3 and found[1, 0].tolist() == [128 + 4 * 15] * 3
  assert recipe.differences(np.array([[[0] * 3, [255] * 3]], np.uint8)).tolist() == [[[128] * 3, [255] * 3]]


def test_the_places_of_crops_are_the_corners_and_the_middle():
  detector = Bright()
  image = np.zeros((40, 48, 3), np.uint8)
  image[8, 16] = 255  # in all crops but one: that from the left top has it at the end
  detector.crop = 24
  pixels = recipe._seen(detector, image, recipe.PLACES)
  places = [tuple(np.argwhere(crop[..., 0] == 255)[0]) if crop.any() else None for crop in pixels[::2]]
  assert places == [(8, 16), None, (0, 4), None, None]
  np.testing.assert_array_equal(pixels[1::2], pixels[::2, :, ::-1])


def test_an_image_that_cannot_be_read_is_told_of_and_left_out(tmp_path, caplog):
  folder = faces(tmp_path / "gan") / "val"
  (folder / "fake" / "0.png").write_bytes(b"no picture")
  said, labels = recipe.logits_of(Bright(), folder, None, None)
  there = len(list(folder.glob("*/*")))
  assert len(said) == len(labels) == there - 1
  assert "0.png" in caplog.text and "left out" in caplog.text


def test_an_unknown_row_is_refused(tmp_path):
  with pytest.raises(UserError, match="--rows: there is no 'magic'; use some of the recipe, "):
    recipe.bench_recipe([faces(tmp_path / "gan")], rows=["magic"])


def test_what_is_judged_after_a_corruption_is_the_corrupted_photograph(tmp_path):
  detector, folder = Bright(), faces(tmp_path / "gan", count=1) / "val"
  recipe.logits_of(detector, folder, None, None)
  recipe.logits_of(detector, folder, None, ("noise", 10))
  clean, noisy = np.concatenate(detector.seen[:2]).astype(int), np.concatenate(detector.seen[2:]).astype(int)
  assert 3 < np.abs(noisy - clean)[..., 0].mean() < 12 and clean.shape == noisy.shape
