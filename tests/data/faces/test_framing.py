import json

import numpy as np
import pytest
from skimage import data

from fakeface_jax.data.faces import framing
from fakeface_jax.data.faces.detect import Box, face_detector
from fakeface_jax.data.faces.framing import Framing, centre_square, cut, keep_framing, measure_framing, read_framing
from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.errors import UserError

SIDE = 200  # px of the training images


def people(count, *, width=SIDE, points=True, seed=0):
  """(images, detect) of a data set that is cut by the eyes: their middle at 0.5 and 0.4 of the square, 0.25 apart.

  The boxes are a detector's, and lie about the eyes differently from face to face.
  """
  random = np.random.default_rng(seed)
  offset, boxes, images = (width - SIDE) // 2, {}, []
  for number in range(count):
    images.append(np.full((SIDE, width, 3), number % 256, np.uint8))
    images[-1][0, 0] = number % 256, number // 256, 1
    eyes = np.array([(75.0, 80.0), (125.0, 80.0)])
    left, top = 40 + random.uniform(-9, 9), 50 + random.uniform(-9, 9)
    side = 110 + random.uniform(-9, 9)
    mouth = np.array([(100, 110), (82, 140), (118, 140)]) + random.uniform(-3, 3, (3, 2))
    marks = np.concatenate([eyes, mouth]) + np.array([offset, 0])
    marks = tuple(map(tuple, marks.tolist())) if points else ()
    boxes[number] = Box(left + offset, top, left + offset + side, top + side * 1.2, 1.0, marks)
  return images, lambda image: [boxes[int(image[0, 0, 0]) + 256 * int(image[0, 0, 1])]]


def moved(box, scale, left, top):
  """The same face, larger by `scale` and elsewhere."""
  edges = (box.left, box.top, box.right, box.bottom)
  edges = [edge * scale + by for edge, by in zip(edges, (left, top, left, top), strict=True)]
  return Box(*edges, 1.0, tuple((x * scale + left, y * scale + top) for x, y in box.points))


@pytest.mark.parametrize("width", [SIDE, 260])  # the square of a photograph that is wider is its middle
def test_a_face_elsewhere_gets_the_square_that_it_was_cut_by(width):
  measured = measure_framing(*people(120, width=width))
  assert (measured.size, measured.found) == (SIDE, 1.0)
  images, detect = people(40, width=width, seed=1)
  for image in images:
    left, top, side = measured.window(moved(detect(image)[0], 1, 1000, 300))
    assert side == SIDE  # whole pixels, none of them resampled
    assert abs(left - 1000 - (width - SIDE) // 2) <= 4 and abs(top - 300) <= 4
    left, top, side = measured.window(moved(detect(image)[0], 3, 50, 70))
    assert abs(side - 3 * SIDE) < 0.05 * 3 * SIDE and abs(left - 50 - 3 * (width - SIDE) // 2) <= 16


def test_few_faces_and_faces_without_points_sit_by_their_median():
  for count, points in ((20, True), (120, False)):
    measured = measure_framing(*people(count, points=points))
    assert measured.rule is None
    assert measured.left == pytest.approx(0.2, abs=0.02) and measured.right == pytest.approx(0.75, abs=0.02)
    left, top, side = measured.window(Box(140, 250, 250, 382, 1.0))
    assert side == SIDE and abs(left - 100) <= 5 and abs(top - 200) <= 5


def test_a_face_that_lies_on_its_side_gets_a_window_that_the_sample_knows():
  images, detect = people(120)
  measured, box = measure_framing(images, detect), detect(images[0])[0]
  centre = np.array(box.centre)
  turned = [tuple(centre + (np.array(point) - centre)[::-1] * (1, -1)) for point in box.points]
  left, top, side = measured.window(Box(box.left, box.top, box.right, box.bottom, 1.0, tuple(turned)))
  assert abs(left) < 30 and abs(top) < 30 and 0.8 * SIDE < side < 1.25 * SIDE


def test_one_wrong_face_in_twenty_does_not_turn_the_rule():
  images, detect = people(160)
  wrong = lambda image: [Box(5, 5, 30, 35, 1.0, ((9, 9), (20, 10), (14, 20), (9, 25), (20, 26)))]
  mixed = lambda image: (wrong if image[0, 0, 0] % 20 == 7 else detect)(image)
  left, top, side = measure_framing(images, mixed).window(detect(images[0])[0])
  assert side == SIDE and abs(left) <= 5 and abs(top) <= 5


def test_images_that_mostly_show_no_face_have_no_framing():
  images, detect = people(100)
  sometimes = lambda image: detect(image) if image[0, 0, 0] % 10 < 4 else []
  assert measure_framing(images, sometimes) is None and measure_framing([], detect) is None
  measured = measure_framing(images, lambda image: detect(image) if image[0, 0, 0] % 10 < 6 else [])
  assert measured.found == pytest.approx(0.6)


def test_what_is_cut_are_the_photographs_own_pixels():
  photograph = data.astronaut()
  face = cut(photograph, (150, 20, 140))
  np.testing.assert_array_equal(face, photograph[20:160, 150:290])
  assert face.base is None and centre_square(photograph[:, :300]) == (0, 106, 300)


def records(images):
  return [{"image": encode_image(image, "PNG"), "source": f"{number}.png".encode()}
          for number, image in enumerate(images)]


def test_it_is_measured_once_and_kept_in_the_run(tmp_path, monkeypatch):
  images, detect = people(30)
  monkeypatch.setattr(framing, "face_detector", lambda: detect)
  first = keep_framing(records(images), tmp_path)
  assert first.size == SIDE and read_framing(tmp_path / "framing.json") == (True, first)
  kept = json.loads((tmp_path / "framing.json").read_text())
  assert kept["format"] == 1 and kept["framing"]["found"] == 1.0
  assert keep_framing(None, tmp_path) == first  # without a look at any image


def test_that_there_are_no_faces_is_kept_as_well(tmp_path, monkeypatch):
  monkeypatch.setattr(framing, "face_detector", lambda: lambda image: [])
  assert keep_framing(records(people(3)[0]), tmp_path) is None
  assert json.loads((tmp_path / "framing.json").read_text()) == {"format": 1, "framing": None}
  assert read_framing(tmp_path / "framing.json") == (True, None)


def test_where_nothing_finds_faces_the_training_goes_on_and_it_is_measured_another_time(tmp_path, monkeypatch, caplog):
  def missing():
    raise UserError("finding faces needs the package mtcnn")

  monkeypatch.setattr(framing, "face_detector", missing)
  assert keep_framing(records(people(3)[0]), tmp_path) is None
  assert "finding faces needs the package mtcnn" in caplog.text and not (tmp_path / "framing.json").exists()


def test_a_damaged_file_and_one_of_another_format_are_measured_again(tmp_path, caplog):
  path = tmp_path / "framing.json"
  kept = {"format": 1, "framing": json.loads(json.dumps(measure_framing(*people(90)).__dict__))}
  path.write_text(json.dumps(kept))
  known, again = read_framing(path)
  assert known and isinstance(again, Framing) and len(again.rule) == 3
  for damage in ({"format": 2, "framing": {"anything": 1}}, {"format": 0, "framing": None}):
    path.write_text(json.dumps(damage))
    assert read_framing(path) == (False, None)
  assert not caplog.text
  for damage in ("{", "[]", "{}", {"format": 1, "framing": {}}, kept | {"framing": kept["framing"] | {"size": 0}},
                 kept | {"framing": kept["framing"] | {"spread": [1, 2]}}):
    caplog.clear()
    path.write_text(damage if isinstance(damage, str) else json.dumps(damage))
    assert read_framing(path) == (False, None) and "framing.json cannot be used (it is damaged)" in caplog.text


def test_real_faces_are_cut_out_of_a_photograph_as_the_training_faces_are():
  """Training images: the astronaut's face in squares by the eyes and the mouth, of 256 px, turned a little."""
  from PIL import Image

  random, whole, images = np.random.default_rng(0), Image.fromarray(data.astronaut()), []
  for _ in range(24):
    side = 130 * random.uniform(0.98, 1.02)
    left, top = np.array([225 - side / 2, 120 - side / 2]) + random.uniform(-1, 1, 2)
    images.append(np.asarray(whole.resize((256, 256), box=(left, top, left + side, top + side))))
  measured = measure_framing(images, face_detector())
  (box,) = face_detector()(data.astronaut())
  left, top, side = measured.window(box)
  assert abs(side - 130) <= 5 and abs(left + side / 2 - 225) <= 3 and abs(top + side / 2 - 120) <= 3
