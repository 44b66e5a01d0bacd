import json

import jax
import numpy as np
import pytest

from fakeface_jax.commands.items import Item
from fakeface_jax.detector import Detector
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.sanity import randomization_steps, rank_correlation, sanity, similarity
from fakeface_jax.models import init_variables
from fakeface_jax.models.resnet import resnet
from fakeface_jax.runs.sanity import check_run, trust, trust_of_run


@pytest.fixture(scope="module")
def detector():
  model = resnet(18)
  return Detector(model, init_variables(model, jax.random.key(2), 96), resize=96, crop=96, batch_size=2)


def pictures(count):
  smooth = np.random.default_rng(3).integers(0, 256, (count, 6, 6, 3)).astype(np.uint8)
  return list(smooth.repeat(16, 1).repeat(16, 2))


def test_weights_are_randomised_from_the_head_down_to_the_stem(detector):
  steps = dict(randomization_steps(detector.model, detector.variables, jax.random.key(0), 32))
  assert list(steps) == ["head", *reversed(detector.model.blocks), "stem"]
  same = lambda a, b: all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), a, b)))
  trained = detector.variables["params"]
  after = steps["layer3_0"]["params"]
  for name in trained:
    random = name in ("head", "layer4_1", "layer4_0", "layer3_1", "layer3_0")
    assert same(after[name], trained[name]) is not random, name
  assert not any(same(steps["stem"]["params"][name], trained[name]) for name in trained if name not in ("bn1",))


def test_guided_backprop_fails_and_a_gradient_does_not(detector):
  result = sanity(detector, detector.prepare(pictures(2)), methods=["gradient", "guided_backprop", "guided_gradcam"])
  assert result["images"] == 2 and len(result["steps"]) == 10
  guided, plain = result["methods"]["guided_backprop"], result["methods"]["gradient"]
  assert len(guided["rank_correlation"]) == len(guided["ssim"]) == 10
  # The head is linear in the features: the maps hardly change, and the guided ones not for long after it.
  assert guided["rank_correlation"][1] > 0.9
  assert guided["same_when_random"] > plain["same_when_random"] + 0.1
  assert guided["same_when_random"] == pytest.approx(np.mean(guided["rank_correlation"][2:]))
  if not guided["depends_on_weights"]:
    assert not result["methods"]["guided_gradcam"]["depends_on_weights"]


def test_the_detector_is_the_same_afterwards(detector):
  before = detector.predict(pictures(2))
  detector.sanity(pictures(1), methods=["gradcam"])
  np.testing.assert_array_equal(detector.predict(pictures(2)), before)


def test_an_unknown_target_is_answered(detector):
  with pytest.raises(UserError, match=r"^target='both' is not known; use real, fake, predicted"):
    detector.sanity(pictures(1), target="both")


def test_rank_correlation_and_similarity_of_known_pairs():
  random = np.random.default_rng(0)
  a = random.random((20, 20))
  assert rank_correlation(a, a**3) == pytest.approx(1) and rank_correlation(a, -a) == pytest.approx(-1)
  assert abs(rank_correlation(a, random.random((20, 20)))) < 0.2
  assert similarity(a, 2 * a + 1) == pytest.approx(1)
  assert similarity(a, random.random((20, 20))) < 0.3
  assert similarity(np.eye(3), np.eye(3)) == pytest.approx(1)  # coarser than the window


def test_sentences_name_what_fails_in_words():
  methods = {"gradcam": {}, "guided_backprop": {}, "guided_gradcam": {}}
  (known,), unreliable = trust({}, methods)
  assert known.startswith("Guided backprop and Guided Grad-CAM: networks with random weights draw much the same")
  assert unreliable == ("guided_backprop", "guided_gradcam")
  measured = {"gradcam": True, "guided_backprop": False, "guided_gradcam": True}
  (failing, passing), unreliable = trust(measured, methods)
  assert unreliable == ("guided_backprop",)
  assert failing.startswith("Guided backprop: this network draws nearly the same with random numbers")
  assert "it shows what stands out" in failing
  assert passing.endswith("changed the pictures of Grad-CAM and Guided Grad-CAM, as it should.")
  assert trust({}, {"occlusion": {}}) == ((), ())


def test_a_run_keeps_its_check_and_its_panels_say_it(detector, tmp_path, capsys):
  def refuse():
    raise UserError("x.jpg: empty")

  broken = Item("x.jpg", "x", refuse)
  items = [Item("a.png", "a", lambda: pictures(1)[0]), broken]
  failures = check_run(detector, items, tmp_path, methods=["eigencam"], layers=None, target="fake")
  assert failures == [("x.jpg", "x.jpg: empty")]
  assert "Eigen-CAM" in capsys.readouterr().out
  result = json.loads((tmp_path / "sanity.json").read_text())
  depends = result["methods"]["eigencam"]["depends_on_weights"]
  (sentence,), unreliable = trust_of_run(tmp_path, {"eigencam": {}})
  assert unreliable == (() if depends else ("eigencam",))
  assert ("as it should" in sentence) is depends and (tmp_path / "sanity.png").exists()
