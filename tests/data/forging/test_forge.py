"""Forging, on drawn faces whose points are known."""

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fakeface_jax.data.drawn.faces import render_face, sample_face
from fakeface_jax.data.drawn.manipulate import capture
from fakeface_jax.data.forging import forge as forging
from fakeface_jax.data.forging.forge import LEAST_CHANGE, OPERATION_WEIGHTS, Photograph, _choices, encode, forge
from fakeface_jax.data.forging.landmarks import BLOB, FRAME_POINTS, TEMPLATE
from fakeface_jax.data.schema import FAKE, REAL, REGIONS

SIZE = 128
POINTS = np.float32((FRAME_POINTS * (0.26, 0.29) + (0.5, 0.47)) * SIZE)


@cache
def face(seed):
  rng = np.random.default_rng(seed)
  shot = capture(rng, render_face(sample_face(rng), SIZE)[0])
  return Photograph(np.uint8(255 * shot + 0.5), POINTS, TEMPLATE)


PAIRS = [pair for pair, _ in _choices(True, True, True, None, None)]


def test_every_region_has_its_operations():
  assert len(PAIRS) == 9 * 4 + 1
  assert [region for region, operation in PAIRS if operation == "swap"] == ["background"]


@pytest.mark.parametrize(("region", "operation"), PAIRS)
def test_it_changes_something_inside_and_nothing_outside(region, operation):
  for seed in range(3):
    host = face(seed)
    before = host.image.copy()
    made = forge(np.random.default_rng([7, seed]), host, face(seed + 1), region=region, operation=operation)
    assert (made.region, made.operation) == (region, operation)
    assert made.image.dtype == made.mask.dtype == np.uint8 and made.mask.shape == (SIZE, SIZE)
    assert set(np.unique(made.mask)) == {0, 255}
    np.testing.assert_array_equal(made.image[made.mask == 0], host.image[made.mask == 0])
    change = np.abs(np.float32(made.image) - host.image)[made.mask == 255]
    assert change.mean() >= LEAST_CHANGE
    assert made.found_by == (BLOB if region == "other" else TEMPLATE)
    assert made.edge > 0
    np.testing.assert_array_equal(host.image, before)


def test_the_generator_and_the_photographs_decide_everything():
  make = lambda seed: forge(np.random.default_rng(seed), face(0), face(1))
  first, again = make(3), make(3)
  np.testing.assert_array_equal(first.image, again.image)
  np.testing.assert_array_equal(first.mask, again.mask)
  assert (first.region, first.operation, first.edge) == (again.region, again.operation, again.edge)
  assert len({make(seed).image.tobytes() for seed in range(10)}) == 10


FORGED = [  # the mean brightness of 4 x 4 blocks of a few forgeries
    [71.6, 113.2, 111.2, 132.4, 93.9, 213.2, 179.7, 127.0, 110.9, 207.3, 223.4, 132.2, 103.2, 129.4, 161.1,
     98.3],
    [195.3, 128.8, 127.0, 184.7, 167.4, 94.7, 99.4, 161.9, 172.4, 83.7, 89.2, 154.6, 206.4, 97.7, 92.7, 172.8],
    [49.2, 37.1, 47.8, 106.7, 42.9, 62.6, 77.8, 99.9, 57.7, 77.4, 88.5, 77.8, 77.0, 45.0, 56.1, 71.6],
    [129.8, 85.2, 90.5, 50.1, 48.1, 79.4, 117.5, 120.3, 67.5, 78.8, 109.8, 138.2, 89.0, 89.2, 99.9, 91.4],
]


def test_the_same_forgeries_as_ever():
  made = [forge(np.random.default_rng(seed), face(seed), face(seed + 1)).image for seed in range(len(FORGED))]
  found = [image.mean(-1).reshape(4, SIZE // 4, 4, SIZE // 4).mean((1, 3)).ravel() for image in made]
  np.testing.assert_allclose(found, FORGED, atol=0.1)


def test_regions_and_operations_come_by_their_weights():
  made = [forge(np.random.default_rng(seed), face(seed % 4), face(seed % 4 + 1)) for seed in range(300)]
  share = lambda name, value: np.mean([getattr(one, name) == value for one in made])
  assert {one.region for one in made} == set(REGIONS) and {one.operation for one in made} == set(OPERATION_WEIGHTS)
  assert 0.1 < share("region", "mouth") < 0.25 and share("region", "ears") < 0.1
  assert share("operation", "splice") > share("operation", "self_blend") > share("operation", "degrade")


def test_what_cannot_be_done_is_not_done():
  bare = Photograph(face(0).image, None, BLOB)
  alone = [forge(np.random.default_rng(seed), face(0)) for seed in range(30)]
  assert not {one.operation for one in alone} & {"splice", "swap"}
  unknown = [forge(np.random.default_rng(seed), bare, face(1)) for seed in range(20)]
  assert {(one.region, one.found_by) for one in unknown} == {("other", BLOB)}
  assert "splice" in {one.operation for one in unknown}
  spliced = [forge(np.random.default_rng(seed), face(0), bare) for seed in range(30)]
  assert {one.region for one in spliced if one.operation in ("splice", "swap")} == {"other"}
  with pytest.raises(ValueError, match="splice cannot be done to any region"):
    forge(np.random.default_rng(0), face(0), operation="splice")
  with pytest.raises(ValueError, match="swap cannot be done to nose"):
    forge(np.random.default_rng(0), face(0), face(1), region="nose", operation="swap")


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_picture_of_nothing_is_forged_visibly_too(grey):
  blank = Photograph(np.full((64, 80, 3), grey, np.uint8), None, BLOB)
  made = forge(np.random.default_rng(1), blank, blank)
  assert made.operation in ("self_blend", "splice", "degrade")
  assert (made.image[made.mask == 0] == grey).all() and (made.image[made.mask == 255] != grey).any()


def test_a_donor_of_another_size_is_laid_point_on_point():
  host = face(0)
  large = Photograph(np.asarray(Image.fromarray(host.image).resize((2 * SIZE, 2 * SIZE), Image.Resampling.BICUBIC)),
                     2 * POINTS, TEMPLATE)
  np.testing.assert_allclose(forging._to_donor(host, large), np.diag([2, 2, 1]), atol=1e-4)
  turned = Photograph(large.image, 2 * POINTS[:, ::-1] * (-1, 1) + (300, 5), TEMPLATE)
  np.testing.assert_allclose(forging._to_donor(host, turned), [[0, -2, 300], [2, 0, 5], [0, 0, 1]], atol=1e-4)
  np.testing.assert_allclose(
      forging._to_donor(Photograph(host.image, None, BLOB), large), np.diag([2, 2, 1]))
  box = slice(40, 90), slice(30, 100)
  found = forging._look_up(large.image, box, forging._to_donor(host, large))
  assert np.abs(found - host.image[box]).mean() < 3


def test_looking_up():
  image, box = face(0).image, (slice(100, 128), slice(90, 128))
  np.testing.assert_array_equal(forging._look_up(image, box, np.eye(3)), image[box])
  right = np.array([[1, 0, 30], [0, 1, 0], [0, 0, 1]])
  found = forging._look_up(image, box, right)  # 30 columns further on, beyond the border
  np.testing.assert_array_equal(found[:, :8], image[100:, 120:])
  np.testing.assert_array_equal(found[:, 8:], image[100:, 127:97:-1])


def test_colours_by_hand():
  alpha = np.float32([[1, 1], [0, 0]])
  image, host = np.zeros((2, 2, 3), np.float32), np.zeros((2, 2, 3), np.float32)
  image[0] = [[10, 20, 30], [30, 20, 30]]
  host[0] = [[100, 50, 60], [110, 50, 60]]
  matched = forging.match_colour(image, host, alpha)
  # red: mean 20, spread 10 to mean 105, spread 5, by no less than 0.6; the others do not vary
  np.testing.assert_allclose(matched[0], [[99, 50, 60], [111, 50, 60]], atol=1e-3)
  grey = np.full((4, 4, 3), 20, np.float32)
  shifts = [forging.shift_colour(np.random.default_rng(seed), grey, np.ones((4, 4), np.float32), 0.1) - grey
            for seed in range(50)]
  assert np.mean(shifts) > 10  # away from black
  assert len({shift.tobytes() for shift in shifts}) == 50 and max(np.ptp(shift[0, 0]) for shift in shifts) > 5


# Encoding: what a file looks like from outside must not tell the classes apart


def pairs(count, fakes_quality=None):
  rows, labels = [], []
  for seed in range(count):
    rng = np.random.default_rng([11, seed])
    host, quality = face(seed % 24), forging.last_quality(rng)
    made = forge(rng, host, face((seed + 5) % 24))
    for label, image in ((REAL, host.image), (FAKE, made.image)):
      jpeg = encode(image, fakes_quality or quality if label == FAKE else quality)
      tables = Image.open(io.BytesIO(jpeg)).quantization
      rows.append([len(jpeg), np.mean(tables[0]), np.mean(tables[1])])
      labels.append(label)
  return np.asarray(rows), np.asarray(labels)


def separability(rows, labels):
  classifier = make_pipeline(StandardScaler(), LogisticRegression())
  folds = StratifiedKFold(5, shuffle=True, random_state=0)
  return roc_auc_score(labels, cross_val_predict(classifier, rows, labels, cv=folds, method="predict_proba")[:, 1])


def test_bytes_and_jpeg_tables_do_not_tell_the_classes_apart():
  rows, labels = pairs(150)
  np.testing.assert_array_equal(rows[labels == REAL, 1:], rows[labels == FAKE, 1:])
  size = roc_auc_score(labels, rows[:, 0])
  print(f"file size alone: AUC {size:.3f}, with the tables {separability(rows, labels):.3f}")
  assert 0.44 < size < 0.56 and separability(rows, labels) < 0.58
  assert separability(*pairs(150, fakes_quality=75)) > 0.9  # it would be noticed

