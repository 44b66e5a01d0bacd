"""A run that is tested on other data than it was trained on, from training to what is drawn of it."""


import numpy as np
import pytest

from fakeface_jax.commands.evaluate import evaluate_run
from fakeface_jax.commands.items import items_of_run
from fakeface_jax.commands.train import report_run
from fakeface_jax.runs.records import read_lines, split_of_run
from fakeface_jax.training.fine_tuning import train
from tests.data.replicas import write_hard


@pytest.fixture(scope="module")
def crossed(config, tmp_path_factory):
  """(config, workdir, scores, left out) of a run on a part of the folder, tested on a hard set with an odd row."""
  folder = write_hard(tmp_path_factory.mktemp("hard"), fakes=5, reals=4)
  with open(folder / "data.csv", "a") as file:
    file.write("real_77,real\n")
  config = config.copy_and_resolve_references()
  config.data.train_size, config.epochs = 32, 1
  config.data.test_name, config.data.test_path = "hard_fake_real", str(folder)
  workdir = tmp_path_factory.mktemp("runs") / "crossed"
  scores, left_out = train(config, str(workdir))
  report_run(workdir)
  return config, workdir, scores, left_out


def test_training_scores_the_other_data_and_lists_what_they_lack(crossed):
  _, workdir, scores, left_out = crossed
  assert scores["n"] == 9 and np.sum(scores["confusion_matrix"], axis=1).tolist() == [4, 5]
  assert left_out == [["hard_fake_real/data.csv, line 11", "names real_77, but there is no such real image"]]
  lines = read_lines(workdir / "test_predictions.jsonl")
  assert all(line["path"].startswith(f"hard_fake_real/{('real', 'fake')[line['label']]}/") for line in lines)


def test_reports_find_the_same_images(crossed):
  config, workdir, _, _ = crossed
  assert [len(split_of_run(config, use)) for use in ("train", "val", "test")] == [32, 16, 9]
  items = items_of_run(workdir, each=2)
  assert items and all(item.name.startswith("hard_fake_real/") and item.read().shape == (96, 96, 3) for item in items)
  assert (workdir / "examples.png").exists()
  assert np.load(workdir / "background.npz")["images"].shape == (16, 32, 32, 3)  # of its own validation images


def test_evaluate_repeats_the_test_and_takes_any_other_data(crossed, faces_folder):
  _, workdir, scores, left_out = crossed
  title, again, still_left_out = evaluate_run(workdir)
  assert title == "hard_fake_real, test: 9 images" and still_left_out == left_out
  assert again["confusion_matrix"] == scores["confusion_matrix"]
  assert evaluate_run(workdir, "hard_fake_real")[0] == title
  assert evaluate_run(workdir, "folder")[0] == "folder, test: 34 images"
  assert evaluate_run(workdir, "folder", "val")[0] == "folder, val: 16 images"
  assert evaluate_run(workdir, str(faces_folder))[0] == f"{faces_folder}, test: 34 images"
