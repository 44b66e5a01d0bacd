"""The scripts that use a finished run, as a user calls them."""

import json

import numpy as np
import pytest

from fakeface_jax.runs.records import read_lines
from tests.conftest import run_script


@pytest.fixture
def fakes(faces_folder):
  return sorted((faces_folder / "test" / "fake").iterdir())


def lines_of(folder):
  return read_lines(folder / "predictions.jsonl")


def test_evaluate_gives_the_scores_of_training(run, finished, tmp_path):
  result = run_script("evaluate", "--workdir", run, "--out", tmp_path / "scores.json")
  assert result.returncode == 0, result.stderr
  scores = (tmp_path / "scores.json").read_text()
  assert json.loads(scores)["confusion_matrix"] == finished[1]["confusion_matrix"]
  again = run_script("evaluate", "--workdir", run, "--split=test[:4]", "--out", tmp_path / "scores.json")
  assert again.returncode == 1 and "scores.json is there already; --overwrite replaces it" in again.stderr
  assert (tmp_path / "scores.json").read_text() == scores
  again = run_script("evaluate", "--workdir", run, "--split=test[:4]", "--out", tmp_path / "scores.json", "--overwrite")
  assert again.returncode == 0 and json.loads((tmp_path / "scores.json").read_text())["n"] == 4


def test_explain_writes_panels_and_maps_and_lists_what_it_could_not_read(run, fakes, tmp_path):
  bad = tmp_path / "not_an_image.jpg"
  bad.write_text("text")
  result = run_script("explain", "--workdir", run, "--out", tmp_path / "panels", *fakes[:2], bad)
  assert result.returncode == 1 and "Traceback" not in result.stderr
  assert "not_an_image.jpg" in result.stderr
  lines = lines_of(tmp_path / "panels")
  assert [line["path"] for line in lines if "error" not in line] == [str(image) for image in fakes[:2]]
  explained = next(line for line in lines if "maps" in line)
  assert explained["probability"] > 0.5 and explained["target"] == "fake"
  assert explained["verdict"] == "cannot tell" and "too few to be 90 % sure" in explained["why"]
  maps = np.load(tmp_path / "panels" / explained["maps"])
  assert maps["probability"] == np.float32(explained["probability"]) > 0.5
  assert maps["gradcam/layer4_1/conv2"].shape == (1, 1) and maps["guided_gradcam"].dtype == np.float32


@pytest.mark.slow
def test_explain_by_methods_and_settings_of_choice_measures_their_scale_once(run, fakes, tmp_path):
  arguments = [
      "--workdir", run, "--out", tmp_path / "panels", "--methods", "occlusion,expected_gradients,feature_maps",
      "--set", "occlusion.window=16", "--set", "expected_gradients.samples=8", "--layers", "layer2.1", fakes[0]]
  result = run_script("explain", *arguments)
  assert result.returncode == 0, result.stderr
  scale = json.loads((run / "map_scale.json").read_text())
  assert {"occlusion window=16", "expected_gradients samples=8"} <= set(scale)
  (line,) = lines_of(tmp_path / "panels")
  maps = np.load(tmp_path / "panels" / line["maps"])
  assert maps["occlusion"].shape == (32, 32) and maps["feature_maps/layer2_1"].shape == (4, 4, 16)
  probability = maps["probability"]
  again = run_script("explain", *arguments, "--dtype=bfloat16")
  assert again.returncode == 1 and "made with other settings (dtype); --overwrite replaces them" in again.stderr
  again = run_script("explain", *arguments, "--dtype=bfloat16", "--overwrite")
  assert again.returncode == 0, again.stderr
  assert json.loads((run / "map_scale.json").read_text()) == scale
  (line,) = lines_of(tmp_path / "panels")
  rounded = np.load(tmp_path / "panels" / line["maps"])["probability"]
  assert rounded != probability and abs(rounded - probability) < 0.05


@pytest.mark.slow
def test_explain_sanity_writes_its_verdicts(run):
  result = run_script("explain", "--workdir", run, "--sanity", "--methods=gradcam,guided_backprop", "--each=1")
  assert result.returncode == 0, result.stderr
  assert set(json.loads((run / "sanity.json").read_text())["methods"]) == {"gradcam", "guided_backprop"}
  assert "guided backprop" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "answer"), [
    (["--methods=gradcam,cam"], "error: there is no method 'cam'; methods: gradcam, gradcam_plus_plus"),
    (["--layers=fc"], "error: 'fc' comes after global pooling and has no map; layers: conv1"),
    (["--layers=layer9"], "error: there is no layer 'layer9'; layers: conv1"),
    (["--set=occlusion"], "error: --set=occlusion is not of the form METHOD.SETTING=VALUE"),
    (["--set=occlusion.window=33"], "error: occlusion.window=33 is larger than the image of 32 x 32 pixels"),
    (["--set=occlusion.size=3"], "error: occlusion has no setting 'size'; its settings: window, stride, fill"),
    (["--target=both"], "error: --target='both' is not known; use real, fake, predicted"),
    (["--dtype=float16"], "error: --dtype='float16' is not known; use float32 or bfloat16"),
    (["--background=/nowhere"], "error: --background=/nowhere: no such file or folder"),
])
def test_mistakes_are_answered_in_one_line(finished, fakes, arguments, answer, tmp_path):
  result = run_script("explain", "--workdir", finished[0], "--out", tmp_path / "panels", *arguments, fakes[0])
  assert result.returncode == 1
  assert answer in result.stderr and "Traceback" not in result.stderr + result.stdout
