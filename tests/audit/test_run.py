"""The whole study of a trained run, on data with all the flaws that data have."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fakeface_jax.audit import cases as audited_cases
from fakeface_jax.audit import maps as audited_maps
from fakeface_jax.audit import run as module
from fakeface_jax.audit.run import audit_run
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.detector import Detector, load
from fakeface_jax.drawing.panel import WIDTH
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation import robustness as robustness_module
from fakeface_jax.evaluation.placement import BASELINES
from fakeface_jax.explain.engine import Engine
from fakeface_jax.runs.best_map import best_map
from fakeface_jax.workdir import SANITY_FILE
from tests.conftest import SIZE, run_script

METHODS = {"gradcam": {}, "guided_backprop": {}, "occlusion": {"window": 16, "stride": 8}}
PARTS = ("detection", "localization", "faithfulness", "robustness", "cases")


@pytest.fixture(scope="module")
def flawed(tmp_path_factory):
  """12 reals and 12 fakes with masks, but for one without, one empty, and one of another size; and a broken file."""
  folder = tmp_path_factory.mktemp("flawed")
  random = np.random.default_rng(3)
  for kind in ("real", "fake", "mask"):
    (folder / kind).mkdir()
  for i in range(12):
    pixels = random.integers(60, 120, (SIZE, SIZE, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "real" / f"{i:02}.png")
    y, x = random.integers(0, SIZE - 16, 2)
    pixels[y : y + 16, x : x + 16] = 60 + 195 * (np.indices((16, 16)).sum(0) // 4 % 2)[..., None]
    Image.fromarray(pixels).save(folder / "fake" / f"{i:02}.png")
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[y : y + 16, x : x + 16] = 255 * (i != 1)
    if i:
      Image.fromarray(mask[:, : SIZE - 8 * (i == 2)]).save(folder / "mask" / f"{i:02}.png")
  (folder / "real" / "broken.png").write_bytes(b"no picture")
  return folder


@pytest.fixture(scope="module", autouse=True)
def less_of_the_same():
  """Two levels of one corruption, for the others are tested where they are made, and few cases."""
  jpeg = dataclasses.replace(module.CORRUPTIONS["jpeg"], levels=(95, 30))
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(module, "CORRUPTIONS", {"jpeg": jpeg})
    patch.setattr(audited_cases, "EACH", 2)
    yield


@pytest.fixture(scope="module")
def audited(finished, flawed, tmp_path_factory):
  """(the audit, its folder, what was left out) of the finished run on the flawed folder."""
  workdir = tmp_path_factory.mktemp("runs") / "run"
  shutil.copytree(finished[0], workdir)
  audit, out, left_out = audit_run(workdir, data=str(flawed), methods=METHODS, batch_size=16)
  return audit, out, left_out, workdir


def test_the_files_hold_all_of_it(audited):
  audit, out, _, workdir = audited
  assert out == workdir / "audit" and json.loads((out / "audit.json").read_text()) == audit
  assert set(audit) == {"about", *PARTS} and not any("reason" in audit[part] for part in PARTS)
  html = (out / "report.html").read_text()
  for part in PARTS[:-1]:
    assert audit[part]["verdict"].replace("'", "&#39;") in html
  for item in audit["cases"]["items"]:
    assert read_image(out / item["thumbnail"]).shape == (160, 160, 3)
    assert read_image(out / item["panel"]).shape[1] == WIDTH
  best = audit["localization"]["best"]
  surely = "reason" not in best and min(best[f"over_{name}"][1] for name in BASELINES) > 0
  assert best_map(workdir, load(workdir)) == ((best["method"], best["layer"]) if surely else None)
  assert html.count('src="data:image/jpeg;base64,') == 2 * len(audit["cases"]["items"])


def test_what_is_flawed_is_listed_and_the_rest_goes_on(audited):
  audit, _, left_out, _ = audited
  assert [name for name, _ in left_out] == ["real/broken.png", "mask/02.png"]
  assert audit["about"]["unreadable"] == [list(row) for row in left_out]
  assert (audit["about"]["images"], audit["about"]["real"], audit["about"]["fake"]) == (24, 12, 12)
  found = audit["localization"]
  assert found["images"] == 9 and sum(found["left_out"].values()) == 3 and found["left_out"]["empty mask"] == 1


def test_figures_agree_with_each_other(audited):
  audit = audited[0]
  matrix = audit["detection"]["scores"]["confusion_matrix"]
  assert sum(map(sum, matrix)) == 24
  level = audit["robustness"]["clean"]
  assert level["recall_fake"][0] == matrix[1][1] / 12 and audit["robustness"]["images"] == 24
  assert level["f1_macro"][0] == audit["detection"]["scores"]["f1_macro"]
  assert sum(group["images"] for group in audit["cases"]["groups"].values()) == 24
  rows = {(row["method"], row["layer"]) for row in audit["localization"]["maps"]}
  assert len(rows) == 12 and ("occlusion", None) in rows and ("gradcam", "layer4_1/conv2") in rows
  for item in audit["cases"]["items"]:
    assert (item["energy"] is None) == (item["label"] == "real" or item["path"] in {
        "fake/00.png", "fake/01.png", "fake/02.png"})
    if item["area"]:
      assert item["area"] == 0.25
  assert audit["detection"]["thresholds"][0]["validation_reals"] == 8
  assert audit["detection"]["conformal"]["validation"] == {"real": 8, "fake": 8}


def test_occlusion_finds_the_patch_that_was_planted(audited):
  """The fixture's fakes differ from its reals by their patch alone, so an honest map must lie on it."""
  (row,) = [row for row in audited[0]["localization"]["maps"] if row["method"] == "occlusion"]
  assert row["over_chance"]["energy"][1] > 0.05


def test_given_again_nothing_is_computed_twice(audited, flawed, monkeypatch):
  audit, out, _, workdir = audited

  def never(*arguments, **named):
    raise AssertionError("computed again")

  monkeypatch.setattr(module, "corrupted_probabilities", never)
  monkeypatch.setattr(audited_maps, "sanity", never)
  for name in ("faithfulness_of_map", "probability_without"):
    monkeypatch.setattr(audited_maps.faithfulness, name, never)
  monkeypatch.setattr(Detector, "explain_seen", never)
  monkeypatch.setattr(Engine, "explain", never)
  (out / "report.html").write_text("the user's now")
  with pytest.raises(UserError, match=r"report\.html is there already; overwrite=True replaces it, or choose another"):
    audit_run(workdir, data=str(flawed), methods=METHODS, batch_size=16)
  assert (out / "report.html").read_text() == "the user's now"
  again, *_ = audit_run(workdir, data=str(flawed), methods=METHODS, batch_size=16, overwrite=True)
  assert again == audit and (out / "report.html").read_text() != "the user's now"


@pytest.mark.parametrize("name", ["parts/state.json", "parts/mine.npz", "cases/0001.jpg"])
def test_what_a_folder_holds_besides_is_not_touched(finished, tmp_path, name):
  (tmp_path / name).parent.mkdir()
  (tmp_path / name).write_text('{"weights": 1}')
  for overwrite in (False, True):
    with pytest.raises(UserError, match=f"holds {name.split('/')[0]}, which this command did not write and would"):
      audit_run(finished[0], out=tmp_path, methods=["gradcam"], overwrite=overwrite)
  assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name.split("/")[1]]
  assert (tmp_path / name).read_text() == '{"weights": 1}'


@pytest.mark.slow
def test_interrupted_it_goes_on(finished, flawed, tmp_path, monkeypatch):
  calls, usual = [], robustness_module.corrupted_probabilities

  def stopping(detector, images, name, level):
    calls.append((name, level))
    if len(calls) == 2:
      raise KeyboardInterrupt
    return usual(detector, images, name, level)

  monkeypatch.setattr(module, "corrupted_probabilities", stopping)
  options = {"data": str(flawed), "methods": ["gradcam"], "batch_size": 16, "out": tmp_path / "audit"}
  with pytest.raises(KeyboardInterrupt):
    audit_run(finished[0], **options)
  assert not (tmp_path / "audit" / "report.html").exists()
  audit, *_ = audit_run(finished[0], **options)
  assert calls[1] == calls[2] and len(calls) == len(set(calls)) + 1
  assert sum(len(row["levels"]) for row in audit["robustness"]["corruptions"]) == len(set(calls))


@pytest.mark.slow
def test_data_without_masks_that_the_epoch_was_chosen_on(finished, tmp_path):
  audit, out, left_out = audit_run(finished[0], split="val", out=tmp_path, methods=["gradcam"], batch_size=16)
  assert audit["about"]["command"].endswith(f"{finished[0]} --split val --methods gradcam --out {tmp_path}")
  assert left_out == [] and audit["about"]["split"] == "val" and audit["about"]["images"] == 16
  assert "validation images themselves" in audit["detection"]["thresholds"]["reason"]
  assert audit["localization"]["reason"] == "no fake has a mask to compare the maps with"
  assert "verdict" in audit["faithfulness"] and audit["cases"]["map"] == "Grad-CAM of layer4_1/conv2"
  assert (out / "report.html").read_text().count("no fake has a mask to compare the maps with") >= 1


def test_one_class_missing(finished, tmp_path):
  audit, *_ = audit_run(finished[0], split="test[:1]", out=tmp_path, methods=["gradcam"], batch_size=16)
  absent = "fake" if audit["about"]["real"] else "real"
  assert audit["about"]["images"] == 1 and f"no {absent} image" in audit["detection"]["verdict"]
  assert audit["robustness"]["clean"]["f1_macro"] is None and len(audit["cases"]["items"]) == 1
  if absent == "fake":
    assert audit["localization"]["reason"] == audit["faithfulness"]["reason"] == "there is no fake"


@pytest.mark.parametrize(("change", "words"), [
    (lambda run: shutil.rmtree(run / "checkpoints"), "checkpoint"),
    (lambda run: (run / "config.json").unlink(), "no run folder")])
def test_a_run_that_cannot_be_audited(run, change, words):
  for name in ("weights.safetensors", SANITY_FILE):
    (run / name).unlink(missing_ok=True)
  change(run)
  with pytest.raises(UserError, match=words):
    audit_run(run)
  assert not (run / "audit" / "report.html").exists()


@pytest.mark.slow
def test_the_command(audited, flawed):
  _, out, _, workdir = audited
  finished = run_script(
      "audit", "--workdir", workdir, "--data", flawed, "--methods", "gradcam,guided_backprop", "--overwrite")
  assert finished.returncode == 1 and "2 could not be read" in finished.stderr and "mask/02.png" in finished.stderr
  assert "Traceback" not in finished.stderr
  lines = finished.stdout.splitlines()
  assert [line.split(":")[0] for line in lines[:4]] == ["detection", "localization", "faithfulness", "robustness"]
  assert lines[4] == f"written to {out / 'report.html'}"
  unknown = run_script("audit", "--workdir", workdir, "--methods", "gradcamm")
  assert unknown.returncode == 1 and "there is no method 'gradcamm'" in unknown.stderr
