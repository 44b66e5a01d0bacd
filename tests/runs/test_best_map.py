"""The best map of a run, as its audit or its validation images know it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from fakeface_jax.data.schema import FAKE, REAL
from fakeface_jax.detector import checksum
from fakeface_jax.explain.methods import resolve_methods
from fakeface_jax.models.resnet import resnet
from fakeface_jax.runs import best_map as module
from fakeface_jax.runs.best_map import best_map, find_best_map, with_map
from tests.audit.test_maps import CORNER, MOUTH, SIDE, pictures, records, trained

DETECTOR = SimpleNamespace(variables={"params": np.arange(3.0)}, model=resnet(18))
WEIGHTS = f"{checksum(DETECTOR.variables):08x}"


def audited(workdir, best, weights=WEIGHTS):
  (workdir / "audit").mkdir()
  (workdir / "audit" / "audit.json").write_text(
      json.dumps({"about": {"weights": weights}, "localization": {"best": best} if best else {"reason": "no masks"}}))
  return best_map(workdir, DETECTOR)


@pytest.mark.parametrize("best", [("hirescam", "layer3_0/downsample_0"), ("occlusion", None)])
def test_it_is_what_the_audit_found(tmp_path, best):
  assert audited(tmp_path, {"method": best[0], "layer": best[1], "energy": [0.4, 0.3, 0.5]}) == best


@pytest.mark.parametrize("best", [
    None, {"reason": "no map passes"}, {"method": "deepcam", "layer": None}, {"method": "gradcam", "layer": "layer9"}])
def test_there_is_none_where_the_audit_found_none_that_is_known(tmp_path, best):
  assert audited(tmp_path, best) is None


def test_an_audit_of_other_weights_or_none_or_a_damaged_one_says_nothing(tmp_path, caplog):
  assert best_map(tmp_path, DETECTOR) is None and not caplog.text
  best = {"method": "gradcam", "layer": "layer4_1/conv2"}
  assert audited(tmp_path, best, "00000000") is None and not caplog.text
  (tmp_path / "audit" / "audit.json").write_text("[")
  assert best_map(tmp_path, DETECTOR) is None and "audit.json cannot be used" in caplog.text


def test_it_is_computed_with_the_others():
  settings = resolve_methods(DETECTOR.model)
  last = settings["gradcam"]["layers"]
  assert with_map(DETECTOR.model, settings, None) is settings
  assert with_map(DETECTOR.model, settings, ("gradcam", last[3])) is settings
  assert with_map(DETECTOR.model, settings, ("gradcam", "layer1_0/conv1"))["gradcam"]["layers"] == (
      *last, "layer1_0/conv1")
  more = with_map(DETECTOR.model, settings, ("hirescam", "layer3_0/downsample_0"))
  assert more["hirescam"]["layers"] == ("layer3_0/downsample_0",) and list(more)[:3] == list(settings)
  assert "occlusion" in with_map(DETECTOR.model, settings, ("occlusion", None))
  assert with_map(DETECTOR.model, settings, ("guided_gradcam", "layer1_0/conv1")) is settings


# --- without an audit


@pytest.fixture(scope="module")
def of_mouth():
  """A detector that goes by the mouth alone, and photographs whose fakes have stripes in a corner, too."""
  return trained(*pictures(64, 0, corner=(REAL, FAKE))), pictures(80, 1)


def found(detector, photographs, place, folder, monkeypatch):
  """The best map on validation photographs whose masks are at `place`, and what is kept of it."""
  mask = np.zeros((SIDE, SIDE), np.uint8)
  mask[place] = 255
  monkeypatch.setattr(module, "read_config", lambda workdir: None)
  monkeypatch.setattr(module, "split_of_run", lambda config, use: {"val": records(*photographs, mask)}[use])
  find_best_map(folder, detector)
  return best_map(folder, detector), json.loads((folder / "best_map.json").read_text())


def test_validation_images_tell_it_where_there_is_no_audit(of_mouth, tmp_path, monkeypatch):
  detector, photographs = of_mouth
  best, kept = found(detector, photographs, MOUTH, tmp_path, monkeypatch)
  assert best == ("hirescam", "conv1") and kept["about"]["images"] == 40  # all fakes are caught
  energy = kept["localization"]["best"]["energy"]
  assert energy[1] > 0.5 > kept["localization"]["best"]["centre"] and kept["localization"]["best"]["over_edges"][1] > 0
  monkeypatch.setattr(module, "_caught_fakes", None)  # it is there already
  find_best_map(tmp_path, detector)
  found_by_audit = {"method": "layercam", "layer": "conv2"}
  (tmp_path / "audit").mkdir()
  (tmp_path / "audit" / "audit.json").write_text(json.dumps(
      {"about": {"weights": kept["about"]["weights"]}, "localization": {"best": found_by_audit}}))
  assert best_map(tmp_path, detector) == ("layercam", "conv2")  # of more methods, on images of its own


def test_the_nearest_maps_are_tried_first_and_no_more_than_are_needed(of_mouth, tmp_path, monkeypatch):
  best, kept = found(*of_mouth, MOUTH, tmp_path, monkeypatch)
  assert best == ("hirescam", "conv1")
  how = kept["localization"]["best"]["how"]
  assert "Chosen among 2 maps" in how and "2 of 2 maps passed the trials" in how
  assert "weights" not in how  # which is not tried here


def test_there_is_none_where_no_layer_lies_on_the_masks_or_removal_does_nothing(of_mouth, tmp_path, monkeypatch):
  detector, photographs = of_mouth
  (tmp_path / "corner").mkdir()
  best, kept = found(detector, photographs, CORNER, tmp_path / "corner", monkeypatch)
  assert best is None and "The verdicts rest on something else" in kept["localization"]["reason"]
  monkeypatch.setattr("fakeface_jax.evaluation.intervals.mean_interval", lambda gain: [0, -0.1, 0.1])
  best, kept = found(detector, photographs, MOUTH, tmp_path, monkeypatch)
  assert best is None and "none shows what its verdicts rest on" in kept["localization"]["reason"]


def test_few_caught_fakes_tell_nothing(of_mouth, tmp_path, monkeypatch):
  detector, (pixels, labels) = of_mouth
  for count, reason in ((14, "only 7 validation fakes with a mask are caught"), (1, "no mask of a caught fake")):
    folder = tmp_path / str(count)
    folder.mkdir()
    best, kept = found(detector, (pixels[:count], labels[:count]), MOUTH, folder, monkeypatch)
    assert best is None and kept["localization"] == {"reason": reason}
