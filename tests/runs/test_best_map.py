"""The best map of a run, as its audit knows it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from fakeface_jax.detector import checksum
from fakeface_jax.explain.methods import resolve_methods
from fakeface_jax.models.resnet import resnet
from fakeface_jax.runs.best_map import best_map, with_map

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
