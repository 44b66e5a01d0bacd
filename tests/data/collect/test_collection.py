import csv
import errno
import hashlib
import io
import itertools
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

from fakeface_jax.data.collect import collection, journal, known_pictures
from fakeface_jax.data.collect.collection import collect
from fakeface_jax.data.collect.fetching import Fetcher
from fakeface_jax.data.faces.detect import Box
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.errors import UserError
from fakeface_jax.workdir import whole_file
from tests.conftest import ROOT
from tests.data.collect.site import KEY, Clock, UnsplashApi, detect, face, jpeg

SIZE = 64
PHOTOS = {f"p{number}": jpeg(face(number)) for number in range(8)}


def table(path):
  with path.open(encoding="utf-8", newline="") as file:
    return list(csv.DictReader(file))


def write_images(folder, images):
  folder.mkdir(parents=True, exist_ok=True)
  for name, data in images.items():
    (folder / name).write_bytes(data)
  return f"folder:{folder}"


def generated(site, seeds):
  """The source of an address that gives a face for every seed, one per request, and then fails."""
  faces = iter([jpeg(face(seed)) for seed in seeds])
  site.routes["/face"] = lambda query, headers: (200, {}, next(faces))
  return f"url:{site.address}/face"


def run(out, site, clock, fake, count=4, **options):
  """Collects from Unsplash's API on the site, and from `fake`."""
  options = {"detect": detect, "key": KEY, "api": f"{site.address}/api"} | options
  sources = {"real": ["unsplash:portrait"], "fake": [fake]}
  return collect(out, sources, count, size=SIZE, fetcher=Fetcher(clock), **options)


def test_both_classes_come_out_alike_with_their_papers(site, clock, tmp_path):
  api = UnsplashApi(site, PHOTOS, clock)
  result = run(tmp_path / "out", site, clock, generated(site, range(100, 108)))
  assert (result.kept, result.left_out, result.stopped, result.unreadable) == ({"real": 4, "fake": 4}, {}, [], [])
  names = [(f"{label}_0000{number}", label) for number, label in itertools.product((1, 2, 3, 4), ("real", "fake"))]
  rows = table(tmp_path / "out" / "MANIFEST.csv")
  assert sorted(row["file"] for row in rows) == sorted(f"{label}/{name}.jpg" for name, label in names)
  data = table(tmp_path / "out" / "data.csv")
  assert sorted((row["images_id"], row["label"]) for row in data) == sorted(names)
  real, fake = rows[:2]
  assert (real["author"], real["page"]) == ("Zoë p0", "https://unsplash.com/photos/p0")
  assert real["sha256"] == hashlib.sha256(PHOTOS["p0"]).hexdigest()
  assert real["crop"] == fake["crop"] == "22 19 75"  # a face of 60 px in the middle of 120, and a quarter more
  assert fake["licence"] == "not stated" and fake["address"] == f"{site.address}/face"
  pictures = [Image.open(io.BytesIO((tmp_path / "out" / row["file"]).read_bytes())) for row in rows]
  assert {(picture.format, picture.size, len(picture.getexif())) for picture in pictures} == {("JPEG", (SIZE, SIZE), 0)}
  assert all(picture.quantization == pictures[0].quantization for picture in pictures)
  assert sorted(api.reported) == ["p0", "p1", "p2", "p3"]
  assert sum(clock.slept) == pytest.approx(3 * 2.0)  # between four requests, 2 s each; Unsplash is not kept waiting


def test_what_is_unfit_is_left_out_with_its_reason(site, clock, tmp_path):
  UnsplashApi(site, PHOTOS, clock)
  fakes = write_images(tmp_path / "in", {
      "a.jpg": jpeg(face(51)), "b_copy.jpg": jpeg(face(51)), "c_again.jpg": jpeg(face(51), quality=60),
      "d_smaller.png": jpeg(np.asarray(Image.fromarray(face(51)).resize((110, 110)))),
      "e_dark.jpg": jpeg(face(52, dark=True)), "f_small.jpg": jpeg(face(50, side=80)),
      "g_broken.jpg": jpeg(face(53))[:900], "h_other_class.jpg": jpeg(face(0), quality=70),
      "i_wide.jpg": jpeg(face(54, width=200))})
  result = run(tmp_path / "out", site, clock, fakes, count=2)
  assert result.kept == {"real": 2, "fake": 2}
  assert result.left_out == {
      "near-duplicate": 3, "copy": 1, "no face found": 1, "face too small": 1, "cannot be read": 1}
  (name, reason), = result.unreadable
  assert name.endswith("g_broken.jpg") and "truncated or damaged" in reason
  rows = {row["address"].rpartition("/")[2]: (row["reason"], row["detail"])
          for row in table(tmp_path / "out" / "left_out.csv")}
  assert rows["b_copy.jpg"] == ("copy", "of fake/fake_00001.jpg")
  assert rows["f_small.jpg"] == ("face too small", "50 px with its surroundings, 64 px needed")
  assert rows["h_other_class.jpg"][1].startswith("of real/real_00001.jpg; ")
  assert rows["d_smaller.png"][1].startswith("of fake/fake_00001.jpg; ")


def test_a_face_at_the_edge_is_neither_moved_nor_padded(site, clock, tmp_path):
  fakes = write_images(tmp_path / "in", {"a.jpg": jpeg(face(1))})
  result = collect(tmp_path / "out", {"fake": [fakes]}, 1, size=SIZE, detect=lambda image: [Box(5, 30, 65, 90, 1.0)])
  assert result.left_out == {"face too near the edge": 1}
  assert result.stopped == [f"fake: 0 of 1 images ({fakes}: has no more images)"]


def test_no_picture_of_the_training_set_comes_in_whatever_its_size_or_crop(site, clock, tmp_path):
  UnsplashApi(site, PHOTOS, clock)
  training = tmp_path / "train"
  whole, cut = Image.fromarray(face(60, side=240)), Image.fromarray(face(61, side=240))
  write_images(training / "real", {"p1.jpg": jpeg(face(1), quality=50)})
  write_images(training / "fake", {
      "whole.png": jpeg(np.asarray(whole.resize((50, 50)))),
      "cut.jpg": jpeg(np.asarray(cut.crop((45, 38, 195, 188)).resize((64, 64))), quality=95)})  # its face
  write_images(training, {"broken.jpg": b"no image"})
  fakes = write_images(tmp_path / "in", {"a.jpg": jpeg(np.asarray(whole)), "b.jpg": jpeg(np.asarray(cut)),
                                         "c.jpg": jpeg(face(62)), "d.jpg": jpeg(face(63))})
  for _ in range(2):  # the second time the hashes are kept
    result = run(tmp_path / "out", site, clock, fakes, count=2, against=str(training))
    assert result.kept == {"real": 2, "fake": 2} and result.left_out == {"near-duplicate": 3}
    ((name, _),) = result.unreadable
    assert name.endswith("broken.jpg")
  details = [row["detail"].split(";")[0].rpartition("/")[2] for row in table(tmp_path / "out" / "left_out.csv")]
  assert sorted(details) == ["cut.jpg", "p1.jpg", "whole.png"]
  with pytest.raises(UserError, match=r"made with other options \(against=.*train there, None now\)"):
    run(tmp_path / "out", site, clock, fakes, count=2)


def test_while_the_limit_is_used_up_the_other_class_goes_on_and_then_the_rest_follows(site, clock, tmp_path, caplog):
  caplog.set_level("INFO")
  api = UnsplashApi(site, PHOTOS, clock, limit=3)
  result = run(tmp_path / "out", site, clock, generated(site, range(100, 108)), count=7)
  assert result.kept == {"real": 7, "fake": 7} and result.stopped == []
  assert sorted(api.reported) == [f"p{number}" for number in range(7)]
  files = [row["file"] for row in table(tmp_path / "out" / "MANIFEST.csv")]
  assert files.index("fake/fake_00007.jpg") < files.index("real/real_00004.jpg")
  assert all(query["page"] == "1" for query in site.asked("/api/search/photos"))
  assert "the limit of 3 requests an hour is used up; goes on at" in caplog.text


def test_a_limit_that_never_renews_ends_in_a_line_that_says_when_to_come_back(site, clock, tmp_path):
  UnsplashApi(site, PHOTOS, clock, limit=0)
  result = run(tmp_path / "out", site, clock, generated(site, range(100, 108)))
  assert result.kept == {"real": 0, "fake": 4}
  assert "give the same command again after" in result.stopped[0] and result.stopped[1] == "real: 0 of 4 images"
  assert sum(clock.slept) <= collection.LONGEST_WAIT


def test_one_source_that_stops_leaves_the_other_class_alone(site, clock, tmp_path):
  UnsplashApi(site, PHOTOS, clock)
  result = run(tmp_path / "out", site, clock, generated(site, range(100, 108)), key="wrong")
  assert result.kept == {"real": 0, "fake": 4}
  assert "unsplash:portrait: the access key is not accepted (401" in result.stopped[0]


def test_an_address_that_gives_no_faces_is_given_up(site, clock, tmp_path):
  numbers = itertools.count()
  site.routes["/page"] = lambda query, headers: (200, {}, f"<html>{next(numbers)}".encode())
  source = f"url:{site.address}/page"
  result = collect(tmp_path / "out", {"fake": [source]}, 5, size=SIZE, detect=detect, fetcher=Fetcher(clock))
  assert result.left_out == {"cannot be read": 20} and len(result.unreadable) == 20
  assert "gave 20 images in a row that were left out (the last one: cannot be read)" in result.stopped[0]


def interrupting(number):
  """A detector that Ctrl-C hits at its call of that number, from 0."""
  calls = itertools.count()

  def interrupted(image):
    if next(calls) == number:
      raise KeyboardInterrupt
    return detect(image)

  return interrupted


def tables(out):
  """All that may not depend on interruptions: pictures, and tables without their times."""
  files = {path.relative_to(out): path.read_bytes() for path in sorted(out.glob("*/*.jpg"))}
  rows = [[{key: value for key, value in row.items() if key != "fetched_at"} for row in table(out / name)]
          for name in ("data.csv", "MANIFEST.csv", "left_out.csv")]
  return files, [sorted(of_table, key=str) for of_table in rows]


def test_interrupted_anywhere_the_same_command_goes_on_and_comes_to_the_same(site, tmp_path):
  photos = PHOTOS | {"p2": jpeg(face(2, dark=True)), "p4": jpeg(face(1), quality=50)}
  sides = enumerate([120, 150] * 5)  # every other one a larger copy
  fakes = write_images(
      tmp_path / "in", {f"{number}.jpg": jpeg(face(200 + number // 2, side)) for number, side in sides})
  api = UnsplashApi(site, photos, Clock())
  run(tmp_path / "straight", site, Clock(), fakes, count=5)
  assert sorted(api.reported) == ["p0", "p1", "p3", "p5", "p6"]
  expected = tables(tmp_path / "straight")
  site.requests.clear()
  api.reported.clear()
  interruptions = 0
  while interruptions < 20:
    try:
      run(tmp_path / "broken", site, Clock(), fakes, count=5, detect=interrupting(2))
      break
    except KeyboardInterrupt:
      interruptions += 1
      assert len(list((tmp_path / "broken").glob("*/*.jpg"))) == len(table(tmp_path / "broken" / "data.csv"))
  assert interruptions > 4 and tables(tmp_path / "broken") == expected
  assert sorted(api.reported) == ["p0", "p1", "p3", "p5", "p6"]
  assert len(site.asked("/api/search/photos")) == 1


KILLED = """
import os, signal, sys
from fakeface_jax.data.collect.collection import collect
from tests.data.collect.site import detect
calls = 0

def killing(image):
  global calls
  calls += 1
  if calls == 4:
    os.kill(os.getpid(), signal.SIGKILL)
  return detect(image)

collect(sys.argv[1], {"fake": [sys.argv[2]]}, 5, size=64, detect=killing)
"""


def test_killed_it_goes_on_too(tmp_path):
  fakes = write_images(tmp_path / "in", {f"{number}.jpg": jpeg(face(number)) for number in range(6)})
  command = [sys.executable, "-c", KILLED, str(tmp_path / "out"), fakes]
  killed = subprocess.run(command, capture_output=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
  assert killed.returncode == -signal.SIGKILL, killed.stderr
  assert len(table(tmp_path / "out" / "MANIFEST.csv")) == 3
  result = collect(tmp_path / "out", {"fake": [fakes]}, 5, size=SIZE, detect=detect)
  assert result.kept["fake"] == 5
  assert [row["address"].rpartition("/")[2] for row in table(tmp_path / "out" / "MANIFEST.csv")] == [
      f"{number}.jpg" for number in range(5)]


@pytest.mark.parametrize("full_at", [1, 2, 3, 5])
def test_a_full_disk_is_one_line_and_what_was_collected_stays(tmp_path, monkeypatch, full_at):
  fakes = write_images(tmp_path / "in", {f"{number}.jpg": jpeg(face(number)) for number in range(6)})
  sound, writes = journal.write_whole, itertools.count(-3)  # the three tables come first

  def full(path, data):
    if next(writes) == full_at:
      with whole_file(path) as partial:
        partial.write_bytes(data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    sound(path, data)

  monkeypatch.setattr(journal, "write_whole", full)
  with pytest.raises(UserError, match=r"out cannot be written: No space left on device; make room, and the same"):
    collect(tmp_path / "out", {"fake": [fakes]}, 6, size=SIZE, detect=detect)
  monkeypatch.undo()
  assert len(table(tmp_path / "out" / "data.csv")) == full_at
  assert collect(tmp_path / "out", {"fake": [fakes]}, 6, size=SIZE, detect=detect).kept["fake"] == 6
  assert not list((tmp_path / "out").rglob(".*.part"))


def test_a_disk_that_is_full_from_the_beginning_is_one_line_too(tmp_path, monkeypatch):
  fakes = write_images(tmp_path / "in", {"a.jpg": jpeg(face(1))})

  def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  for module, answer in ((journal, "cannot be used"), (known_pictures, "be written")):
    with monkeypatch.context() as patch, pytest.raises(UserError, match=f"{answer}: .*No space left on device"):
      patch.setattr(module, "write_whole", full)
      collect(tmp_path / "out", {"fake": [fakes]}, 1, size=SIZE, detect=detect, against=str(tmp_path / "in"))


def test_pictures_that_were_deleted_are_replaced_by_others(tmp_path):
  fakes = write_images(tmp_path / "in", {f"{number}.jpg": jpeg(face(number)) for number in range(6)})
  collect(tmp_path / "out", {"fake": [fakes]}, 3, size=SIZE, detect=detect)
  (tmp_path / "out" / "fake" / "fake_00002.jpg").unlink()
  result = collect(tmp_path / "out", {"fake": [fakes]}, 3, size=SIZE, detect=detect)
  assert result.kept["fake"] == 3 and result.left_out == {"removed by hand": 1}
  rows = table(tmp_path / "out" / "data.csv")
  assert [row["images_id"] for row in rows] == ["fake_00001", "fake_00003", "fake_00004"]


def test_colours_are_those_that_the_profile_means(tmp_path):
  profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
  swapped = bytearray(profile)
  red, blue = swapped.find(b"rXYZ"), swapped.find(b"bXYZ")  # a profile whose red is sRGB's blue
  swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
  pixels = face(3)
  expected = jpeg(pixels[..., ::-1], quality=100, subsampling=0)
  data = jpeg(pixels, quality=100, subsampling=0, icc_profile=bytes(swapped))
  fakes = write_images(tmp_path / "in", {"a.jpg": data})
  collect(tmp_path / "out", {"fake": [fakes]}, 1, size=SIZE, detect=detect)
  picture = read_image(tmp_path / "out" / "fake" / "fake_00001.jpg").astype(np.float64)
  whole = Image.open(io.BytesIO(expected)).resize((SIZE, SIZE), Image.Resampling.LANCZOS, (22, 19, 97, 94))
  assert abs(picture - np.asarray(whole)).mean() < 4


@pytest.mark.parametrize(("sources", "answer"), [
    ({"real": [], "fake": []}, "nothing to collect from; give real= and fake=, each unsplash:QUERY, "),
    ({"real": ["folder:."], "fake": ["folder:."]}, r"folder:\. is named twice"),
    ({"fake": ["folder:/nowhere"]}, "no such folder"),
])
def test_mistakes_are_answered_before_anything_is_made(sources, answer, tmp_path):
  with pytest.raises(UserError, match=answer):
    collect(tmp_path / "out", sources, 3, size=SIZE, detect=detect)
  assert not (tmp_path / "out").exists()


def test_folders_of_odd_names(tmp_path, monkeypatch):
  monkeypatch.setenv("HOME", str(tmp_path))
  for label, first in (("real", 0), ("fake", 50)):
    (tmp_path / label).mkdir()
    for seed, name in enumerate((b"Mu\xf1oz.jpg", b"new\nline.jpg", b"nosuffix", b"broken \xff.jpg")):
      with open(os.path.join(os.fsencode(tmp_path / label), name), "wb") as file:
        file.write(jpeg(face(first + seed)) if b"broken" not in name else b"?")
  sources = {"real": ["folder:~/real"], "fake": [f"folder:{tmp_path}/fake/"]}
  result = collect(tmp_path / "out", sources, 3, size=SIZE, detect=detect, fetcher=Fetcher(Clock()))
  assert result.kept == {"real": 3, "fake": 3}
  assert len(table(tmp_path / "out" / "MANIFEST.csv")) == 6  # read as UTF-8


@pytest.mark.parametrize("asked", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_an_address_that_wants_to_be_asked_never_again_is_given_up_with_the_day(site, clock, tmp_path, asked):
  site.routes["/face"] = lambda query, headers: (429, {"Retry-After": asked}, b"")
  folder = write_images(tmp_path / "real", PHOTOS)
  result = collect(tmp_path / "out", {"real": [folder], "fake": [f"url:{site.address}/face"]}, 2, size=SIZE,
                   detect=detect, fetcher=Fetcher(clock))
  assert result.kept == {"real": 2, "fake": 0}
  assert re.search(r"is busy \(429\); give the same command again after \d\d:\d\d on 2030-04-16$", result.stopped[0])


def test_a_collection_begun_with_another_face_detector_is_refused_in_one_line(tmp_path):
  fakes = write_images(tmp_path / "in", {"a.jpg": PHOTOS["p0"]})
  with journal.Journal(tmp_path / "out", {"size": SIZE, "against": None}):
    pass  # as older versions began
  with pytest.raises(UserError, match=r"other options \(face detector=None there, mtcnn now\); choose another folder$"):
    collect(tmp_path / "out", {"fake": [fakes]}, 1, size=SIZE, detect=detect)
