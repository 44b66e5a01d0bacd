"""One picture, one answer: whichever door it is asked at, a photograph has one probability and one set of maps."""

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, coffee

from fakeface_jax.audit import cases as audited_cases
from fakeface_jax.audit import measures as audited_measures
from fakeface_jax.audit import run as audit_module
from fakeface_jax.audit.run import audit_run
from fakeface_jax.commands import evaluate as evaluate_module
from fakeface_jax.commands.evaluate import evaluate_run
from fakeface_jax.commands.explain import explain_items
from fakeface_jax.commands.items import items_of_files, items_of_run
from fakeface_jax.commands.train import report_run
from fakeface_jax.data.faces.framing import Framing
from fakeface_jax.data.reading.images import decode_image, read_image
from fakeface_jax.detector import Seen, flatten_maps, load
from fakeface_jax.errors import UserError
from fakeface_jax.explain.engine import Engine
from fakeface_jax.page.answers import Answers
from fakeface_jax.runs.records import read_lines
from fakeface_jax.runs.sanity import check_run
from fakeface_jax.verdict.conformal import CONFIDENCE
from tests.conftest import ROOT

RESIZE, CROP = 44, 32
BATCH_SIZES = (1, 8)
PATCH = (0.36, 0.38, 0.5, 0.58)  # of a fake, off the centre: left, top, right, bottom, as shares of the sides


def photograph(i):
  """A window of a photograph of a face (NASA's, in the public domain), of a shape of its own: a Pillow image."""
  random = np.random.default_rng(i)
  width, height = random.integers(50, 110, 2).tolist()
  side = random.integers(120, 200)
  left, top = random.integers(100, 190), random.integers(0, 90)
  return Image.fromarray(astronaut()[top : top + side, left : left + side]).resize((width, height))


def forged(picture):
  """The same with a patch that a small network learns to see, and its mask."""
  pixels, mask = np.array(picture), np.zeros((picture.height, picture.width), np.uint8)
  left, top, right, bottom = (round(share * side) for share, side in zip(PATCH, 2 * picture.size, strict=True))
  mask[top:bottom, left:right] = 255
  pixels[mask > 0] = (250, 20, 240)
  return Image.fromarray(pixels), Image.fromarray(mask)


def letterboxed(picture, colour):
  boxed = Image.new("RGB", (picture.width, picture.height + 30), colour)
  boxed.paste(picture, (0, 15))
  return boxed


def lying(picture):
  """What a camera held upright stores: the picture on its side, and in the EXIF data how to turn it."""
  exif = Image.Exif()
  exif[0x0112] = 6
  return picture.transpose(Image.Transpose.ROTATE_90), exif.tobytes()


def see_through(picture):
  picture = picture.copy()
  picture.putalpha(Image.fromarray(np.tile(np.linspace(60, 255, picture.width).astype(np.uint8), (picture.height, 1))))
  return picture


def deep_grey(picture):
  return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)


FORMS = {  # file name: (how it is made, options of its encoder)
    "plain.png": (lambda picture: picture, {}),
    "letter boxed.png": (lambda picture: letterboxed(picture, "black"), {}),
    "Muñoz 写真.jpg": (lambda picture: letterboxed(picture, "white"), {"quality": 85, "subsampling": "4:2:0"}),
    "progressive.jpeg": (lambda picture: picture, {"progressive": True, "subsampling": "4:2:0"}),
    "grey.jpg": (lambda picture: picture.convert("L"), {}),
    "inks.jpg": (lambda picture: picture.convert("CMYK"), {}),
    "deep.png": (deep_grey, {}),
    "palette.png": (lambda picture: see_through(picture).quantize(60, Image.Quantize.FASTOCTREE), {}),
    "see_through.webp": (see_through, {"lossless": True}),
    "first frame.gif": (lambda picture: picture.quantize(60), {}),
    "deep.tiff": (deep_grey, {}),
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
  """A folder of photographs of all shapes and many formats, none of them square or of the network's size."""
  folder, number = tmp_path_factory.mktemp("photographs"), 0
  for split, count in (("train", 24), ("val", 8), ("test", 5)):
    places = {kind: folder / split / kind for kind in ("real", "fake", "mask")}
    for place in places.values():
      place.mkdir(parents=True)
    for i in range(count):
      photograph(number).save(places["real"] / f"{i:02}.png")
      fake, mask = forged(photograph(number + 1))
      fake.save(places["fake"] / f"{i:02}.jpg", quality=95, subsampling="4:4:4")
      mask.save(places["mask"] / f"{i:02}.png")
      number += 2
  for name, (form, options) in FORMS.items():
    form(photograph(number)).save(folder / "test" / "real" / name, **options)
    number += 1
  picture, mask = forged(photograph(number))
  stored, exif = lying(picture)
  stored.save(folder / "test" / "fake" / "lying.jpg", exif=exif, quality=95)
  mask.save(folder / "test" / "mask" / "lying.png")
  return folder


@pytest.fixture(scope="module")
def run(faces, tmp_path_factory):
  from configs import scratch
  from fakeface_jax.training.fine_tuning import train

  config = scratch.get_config()
  config.data.name, config.data.path = "folder", str(faces)
  config.data.dir = str(tmp_path_factory.mktemp("records"))
  config.data.resize, config.data.crop = RESIZE, CROP
  config.batch_size, config.epochs = 16, 3
  workdir = tmp_path_factory.mktemp("runs") / "run"
  _, unreadable = train(config, str(workdir))
  assert unreadable == []
  report_run(workdir)
  return workdir


@pytest.fixture(scope="module")
def files(run, faces):
  """The test images' files, in the order of the run's test split."""
  return [faces / line["path"] for line in read_lines(run / "test_predictions.jsonl")]


@pytest.fixture(scope="module")
def answers(run, files):
  """[(probability, {map: array})] of one door, to which all others are held: `explain` in Python, one at a time."""
  detector = load(run, 1)
  results = [detector.explain([read_image(file)])[0] for file in files]
  return [(result["probability"], flatten_maps(result)) for result in results]


def same(answer, probability, maps=None):
  expected, expected_maps = answer
  assert probability == pytest.approx(expected, abs=1e-5)
  assert maps is None or set(maps) == set(expected_maps)
  for name, values in (maps or {}).items():
    reference = expected_maps[name]
    assert values.shape == reference.shape and np.abs(values - reference).max() <= 1e-4 * np.abs(reference).max(), name


def test_the_probabilities_tell_one_cut_from_another(run, files, answers):
  """Else nothing below would mean anything: cut twice, or squeezed into the square, pictures have other answers."""
  detector = load(run)
  images = [read_image(file) for file in files]
  twice = detector.predict(detector.prepare(images).pixels)
  squeezed = detector.predict([np.array(Image.fromarray(image).resize((RESIZE, RESIZE))) for image in images])
  once = np.array([probability for probability, _ in answers])
  assert np.median(np.abs(twice - once)) > 0.01 and np.median(np.abs(squeezed - once)) > 0.01


def test_the_test_split_of_training(run, answers):
  lines = read_lines(run / "test_predictions.jsonl")
  assert len(lines) == 10 + len(FORMS) + 1
  for answer, line in zip(answers, lines, strict=True):
    same(answer, line["probability"])


@pytest.mark.parametrize("batch_size", [None, 2, 8])
def test_evaluate(run, answers, batch_size, monkeypatch):
  said = []
  monkeypatch.setattr(evaluate_module, "scores", lambda labels, probabilities: said.extend(probabilities) or {})
  evaluate_run(run, batch_size=batch_size)
  for answer, probability in zip(answers, said, strict=True):
    same(answer, probability)


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_predict_and_explain_in_python(run, files, answers, batch_size):
  detector, images = load(run, batch_size), [read_image(file) for file in files]
  explained = detector.explain(images)
  for answer, probability, result in zip(answers, detector.predict(images), explained, strict=True):
    same(answer, probability)
    same(answer, result["probability"], flatten_maps(result))


def explained(detector, items, out):
  """{name: (probability, maps)} of what `scripts/explain.py` writes."""
  assert explain_items(detector, items, out) == []
  found = {}
  for line in read_lines(out / "predictions.jsonl"):
    with np.load(out / line["maps"]) as maps:
      maps = {name: maps[name] for name in maps.files}
    assert maps.pop("probability") == np.float32(line["probability"])
    del maps["image"], maps["logits"]
    found[line["path"]] = line["probability"], maps
  return found


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_explain_on_files_and_on_the_items_of_the_run(run, files, faces, answers, batch_size, tmp_path):
  detector = load(run, batch_size)
  of_files = explained(detector, items_of_files(files), tmp_path / "files")
  of_run = explained(detector, items_of_run(run, each=2), tmp_path / "run")
  assert len(of_files) == len(files) and len(of_run) >= 4
  known = {file.relative_to(faces).as_posix(): answer for file, answer in zip(files, answers, strict=True)}
  for found, name in ((of_files, lambda path: Path(path).relative_to(faces).as_posix()), (of_run, str)):
    for path, (probability, maps) in found.items():
      same(known[name(path)], probability, maps)


@pytest.fixture
def asked_of_the_engine(monkeypatch):
  """The pixels of which maps were asked, as bytes."""
  asked, usual = set(), Engine.explain

  def explain(engine, pixels, target, methods, background=None, pooled=()):
    asked.update(picture.tobytes() for picture in pixels if methods)
    return usual(engine, pixels, target, methods, background, pooled)

  monkeypatch.setattr(Engine, "explain", explain)
  return asked


def seen_of(run, folder):
  images = [read_image(path) for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != "mask"]
  return {picture.tobytes() for picture in load(run).prepare(images).pixels}


@pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.slow), 8])
def test_the_audit_and_the_pages_of_its_cases(
    run, faces, files, answers, batch_size, tmp_path, monkeypatch, asked_of_the_engine):
  drawn = {}

  def draw_panel(result, name, scale, note, check, mask, label, **_):
    drawn[name] = result, mask
    return Image.new("RGB", (8, 8))

  monkeypatch.setattr(audited_cases, "draw_panel", draw_panel)
  monkeypatch.setattr(audit_module, "CORRUPTIONS", {})
  monkeypatch.setattr(audited_cases, "EACH", 99)
  monkeypatch.setattr(audited_measures, "disturbances", lambda pixels: [pixels])  # how steady maps are aside
  audit, *_ = audit_run(run, methods=["gradcam"], out=tmp_path, batch_size=batch_size)
  known = {file.relative_to(faces).as_posix(): answer for file, answer in zip(files, answers, strict=True)}
  assert len(audit["cases"]["items"]) == len(drawn) == len(known) and audit["localization"]["images"] == 6
  for item in audit["cases"]["items"]:
    result, mask = drawn[item["path"]]
    same(known[item["path"]], item["probability"])
    same(known[item["path"]], result["probability"], flatten_maps(result))
    if item["label"] == "fake":  # the patch and its mask are cut alike
      painted = np.abs(result["image"].astype(int) - (250, 20, 240)).max(-1) < 90
      assert (painted & (mask > 0)).sum() / (painted | (mask > 0)).sum() > 0.75
      centres = [np.mean(np.nonzero(region), axis=1) for region in (painted, mask > 0)]
      assert np.abs(centres[0] - centres[1]).max() < 0.7
  assert asked_of_the_engine == seen_of(run, faces / "test")


def test_the_sanity_check_and_the_scale_of_the_maps(run, faces, files, asked_of_the_engine, tmp_path):
  check_run(load(run), items_of_files(files[:3]), tmp_path, methods=["gradient"], layers=None, target="fake")
  assert asked_of_the_engine == {
      picture.tobytes() for picture in load(run).prepare(list(map(read_image, files[:3]))).pixels}
  asked_of_the_engine.clear()
  (run / "map_scale.json").rename(tmp_path / "map_scale.json")
  report_run(run)
  assert asked_of_the_engine == seen_of(run, faces / "val" / "fake")
  before, after = (json.loads((folder / "map_scale.json").read_text()) for folder in (tmp_path, run))
  assert after == pytest.approx(before)


OTHER_DEVICES = """
import sys, numpy as np, jax
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.detector import flatten_maps, load
from fakeface_jax.commands import evaluate
run, out, *files = sys.argv[1:]
images, found = [read_image(file) for file in files], {}
for batch_size in (1, 8):
  detector = load(run, batch_size)
  found[f"{batch_size} predict"] = detector.predict(images)
  for i, result in enumerate(detector.explain(images)):
    found |= {f"{batch_size} {i} {name}": values for name, values in flatten_maps(result).items()}
evaluate.scores = lambda labels, probabilities: found.update(evaluate=probabilities) or {}
evaluate.evaluate_run(run)
np.savez(out, devices=jax.device_count(), **found)
"""


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 4])
def test_other_numbers_of_devices(run, files, answers, devices, tmp_path):
  environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "NPROC": "8"}
  subprocess.run(
      [sys.executable, "-c", OTHER_DEVICES, str(run), str(tmp_path / "found.npz"), *map(str, files)], check=True,
      env=environment, cwd=ROOT, timeout=280)
  found = np.load(tmp_path / "found.npz")
  assert found["devices"] == devices
  for i, (answer, evaluated) in enumerate(zip(answers, found["evaluate"], strict=True)):
    same(answer, evaluated)
    for batch_size in BATCH_SIZES:
      maps = {name: found[f"{batch_size} {i} {name}"] for name in answer[1]}
      same(answer, found[f"{batch_size} predict"][i], maps)


def test_what_is_seen_is_no_photograph(run, files):
  detector = load(run)
  seen = detector.prepare([read_image(files[0])])
  for door in (detector.prepare, detector.predict, detector.explain, detector.sanity):
    with pytest.raises(UserError, match="images is Seen; expected a list of images"):
      door(seen)
  assert isinstance(seen[:1], Seen) and len(Seen.joined([seen, seen])) == 2


def test_a_photograph_that_a_user_decoded_has_the_answer_of_its_file():
  """Pillow and the fast path of JPEGs decode to the same bits, whatever the sampling of the colours."""
  for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
    for progressive in (False, True):
      for size in ((75, 50), (33, 87)):
        file = io.BytesIO()
        photograph(3).resize(size).save(file, "JPEG", subsampling=subsampling, progressive=progressive)
        scratch = np.empty(10**5, np.uint8)
        for given in (None, scratch):
          np.testing.assert_array_equal(
              decode_image(file.getvalue(), "it", scratch=given), np.asarray(Image.open(file).convert("RGB")))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
  """A photograph of two faces, one on the right and one below it on the left, smaller."""
  face = Image.fromarray(astronaut()[:220, 110:330])
  picture = Image.fromarray(coffee()).resize((900, 600))
  picture.paste(face, (600, 40))
  picture.paste(face.resize((150, 150)), (80, 400))
  path = tmp_path_factory.mktemp("scene") / "two faces.png"
  picture.save(path)
  return path


def test_the_faces_of_a_photograph(run, scene, tmp_path):
  """Cut by hand, in Python, by the command and on the page: the same faces, and one answer for each."""
  framing = Framing(0.2, 0.2, 0.8, 0.8, 160, 1.0, (0.02, 0.02, 0.05), ((0, 0), (0, 0), (0.5, 0.5)))
  detector, photograph = dataclasses.replace(load(run), framing=framing), read_image(scene)
  looks = detector.look(photograph)
  assert [round(look.window[0], -2) for look in looks] == [600, 100]
  expected = [(look.window, look.judgement.verdict, look.judgement.probability) for look in looks]
  for look in looks:
    left, top, side = look.window
    by_hand = detector.predict([photograph[top : top + side, left : left + side]])
    assert by_hand == pytest.approx(look.judgement.probability, abs=1e-5)
  answers = Answers(run, CONFIDENCE)
  answers.detector = detector
  on_page = answers.look(scene)
  assert [(look.window, look.judgement.verdict) for look in on_page.looks] == [row[:2] for row in expected]
  assert [look.judgement.probability for look in on_page.looks] == pytest.approx([row[2] for row in expected], abs=1e-5)
  assert explain_items(detector, items_of_files([scene]), tmp_path, faces="auto") == []
  lines = read_lines(tmp_path / "predictions.jsonl")
  assert [(line["face"], line["faces"], line["verdict"], line["maps"]) for line in lines] == [
      (1, 2, expected[0][1], "two faces.npz"), (2, 2, expected[1][1], "two faces.face2.npz")]
  assert [line["probability"] for line in lines] == pytest.approx([row[2] for row in expected], abs=1e-5)
  over = read_image(tmp_path / lines[1]["photograph"])
  assert over.shape == photograph.shape
  np.testing.assert_allclose(over[:350].astype(int), photograph[:350], atol=80)  # only JPEG's traces outside the face
  result = answers._result(on_page, 1, "gradcam")
  with np.load(tmp_path / lines[1]["maps"]) as maps:
    np.testing.assert_allclose(
        maps["gradcam/layer4_1/conv2"], result["gradcam"]["layer4_1/conv2"], rtol=1e-3, atol=1e-6)
  (whole,) = detector.look(photograph, faces="none")
  assert detector.predict([photograph]) == pytest.approx(whole.judgement.probability, abs=1e-5)
