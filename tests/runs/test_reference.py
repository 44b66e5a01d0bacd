"""What a run's verdicts rest on: made at the end of training, read again, and made again where it cannot be used."""

import json
import logging

import numpy as np
import pytest

from fakeface_jax.detector import load
from fakeface_jax.runs.reference import chosen, with_reference
from fakeface_jax.workdir import REFERENCE_FILE

FILE = REFERENCE_FILE


def a_picture(seed=3):
  """An image as those of `write_faces`, a fake."""
  pixels = np.random.default_rng(seed).integers(60, 120, (32, 32, 3)).astype(np.uint8)
  pixels[8:24, 8:24] = 60 + 195 * (np.indices((16, 16)).sum(0) // 4 % 2)[..., None]
  return pixels


def test_training_keeps_what_verdicts_rest_on_and_says_how_often_the_truth_remains(finished):
  workdir, _ = finished
  reference = load(workdir).reference
  assert len(reference.training.labels) == 64 and sorted(set(reference.training.names))[0] == "train/fake/000.png"
  assert np.bincount(reference.training.labels).tolist() == [32, 32]
  assert [name.split("/")[1] for name in reference.training.names] == [
      ("real", "fake")[label] for label in reference.training.labels]
  assert len(reference.training.distances) == 16 == len(reference.calibration.labels)
  found = json.loads((workdir / "test_metrics.json").read_text())["conformal"]
  assert found["n"] == 34 and found["validation"] == {"real": 8, "fake": 8}
  assert found["coverage"][0] == 1 and found["cannot_tell"][0] == 1  # 8 of a class are too few for 90 %


def test_a_picture_is_judged_with_its_neighbours_and_another_one_is_unlike_all(finished):
  detector = load(finished[0])
  like, unlike = detector.judge([a_picture(), np.full((50, 40, 3), 255, np.uint8)], 0.8)
  assert like.verdict == "fake" and like.distance <= like.limit
  assert [neighbour.label for neighbour in like.neighbours] == ["fake"] * 4
  assert like.probability == pytest.approx(detector.predict([a_picture()])[0], abs=1e-5)
  assert unlike.verdict == "cannot tell" and unlike.why.startswith("This picture is unlike what the detector was train")
  assert detector.judge([a_picture()])[0].why.startswith("The detector was checked on only 8 real and 8 fake")
  assert detector.judge([]) == []


def test_a_training_image_is_its_own_nearest_neighbour(finished):
  from fakeface_jax.data.reading.images import read_image
  from fakeface_jax.workdir import read_config

  detector, folder = load(finished[0]), read_config(finished[0]).data.path
  (judgement,) = detector.judge([read_image(f"{folder}/train/real/007.png")])
  assert judgement.neighbours[0].name == "train/real/007.png" and judgement.neighbours[0].distance < 0.1
  assert judgement.neighbours[1].distance > 10 * judgement.neighbours[0].distance


def test_explanations_carry_the_judgement_of_the_same_pass(finished):
  detector = load(finished[0])
  seen = detector.prepare([a_picture()])
  (result,) = detector.explain_seen(seen, methods=["gradcam"], confidence=0.8)
  (judgement,) = detector.judge([a_picture()], 0.8)
  assert result["judgement"].why == judgement.why
  assert result["judgement"].distance == pytest.approx(judgement.distance, rel=1e-4)
  assert "judgement" not in detector.explain_seen(seen, methods=["gradcam"])[0]


def spoil(path, how):
  arrays = dict(np.load(path))
  if how == "damaged":
    path.write_bytes(path.read_bytes()[:5000])
  elif how == "pickled":
    np.savez(path, **arrays | {"names": np.array(["a", None], object)})
  else:
    np.savez(path, **arrays | {
        "of other weights": {"weights": arrays["weights"] + 1}, "of another format": {"format": 99},
        "of several numbers": {"labels": arrays["labels"][:-1]}}[how])


@pytest.mark.parametrize(("how", "said"), [
    ("damaged", "it is damaged"), ("pickled", "it is damaged"), ("of several numbers", "it is damaged"),
    ("of other weights", "other weights"), ("of another format", "format 99, not")])
def test_a_file_that_cannot_be_used_is_made_again_and_that_is_said(run, caplog, how, said):
  before = load(run).reference.training
  spoil(run / FILE, how)
  detector = load(run)
  with caplog.at_level(logging.WARNING):
    assert detector.reference is None
  assert said in caplog.text and FILE in caplog.text and "it is made again when needed" in caplog.text
  assert detector.judge([a_picture()])[0].verdict == "cannot tell"
  again = with_reference(detector, run).reference.training
  np.testing.assert_allclose(again.distances, before.distances, rtol=1e-3)
  np.testing.assert_allclose(load(run).reference.training.rows, again.rows)


def test_where_the_data_are_gone_test_images_stand_in_and_likeness_is_not_judged(run, caplog):
  (run / FILE).unlink()
  config = json.loads((run / "config.json").read_text())
  config["data"]["path"] = "/nowhere"
  (run / "config.json").write_text(json.dumps(config))
  with caplog.at_level(logging.WARNING):
    detector = with_reference(load(run), run)
  assert "likeness to it is not judged" in caplog.text and "/nowhere" in caplog.text
  (judgement,) = detector.judge([a_picture()])
  assert judgement.verdict == "fake" and judgement.distance is None and judgement.neighbours == []
  assert "of 17 real test images that the detector was checked on" in judgement.why
  assert "training images are gone" in judgement.why
  assert not (run / FILE).exists()
  (run / "test_predictions.jsonl").unlink()
  assert with_reference(load(run), run).judge([a_picture()])[0].verdict == "cannot tell"


def test_half_of_each_class_is_chosen_by_the_seed():
  source = [{"label": int(i < 30)} for i in range(100)]
  some = chosen(source, 20, 0)
  assert [sum(source[i]["label"] == label for i in some) for label in (0, 1)] == [10, 10] and some == sorted(some)
  assert chosen(source, 20, 0) == some != chosen(source, 20, 1)
  assert len(chosen(source, 80, 0)) == 70  # all 30 fakes, and half of 80
  assert chosen(source, 1000, 0) == list(range(100))
