import functools
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fakeface_jax.data.checking import statistics as figures
from fakeface_jax.data.drawn import examples, faces, manipulate
from fakeface_jax.data.schema import DIFFICULTIES, REGIONS

SIZE = 80
FACE_PARTS = ("left_eye", "right_eye", "nose", "mouth", "ears", "hair", "background", "face")
GOLDEN = [[0.5696, 0.4690, 0.4739], [0.5715, 0.5029, 0.4907]]  # mean RGB of the examples (0, 0) and (0, 1)


@functools.cache
def _composed(count=240):
  return [examples.compose(3, index, SIZE) for index in range(count)]


def _pixels(jpeg):
  return np.asarray(Image.open(io.BytesIO(jpeg)), np.float32) / 255


def _face(seed=0):
  return faces.sample_face(np.random.default_rng(seed))


# The rendered face


def test_the_lamp_lights_the_side_it_stands_on():
  face = _face()
  face.style, face.glasses, face.asymmetry, face.ambient = "bald", 0.0, 0.0, 0.3
  vars(face.pose).update(shift=(0, 0), scale=0.74, roll=0, yaw=0, pitch=0)
  for across in (-0.6, 0.6):
    face.light = (across, -0.3, 0.74)
    image, _ = faces.render_face(face, SIZE)
    cheeks = image[44:56, 18:26].mean(), image[44:56, 54:62].mean()
    assert np.sign(cheeks[1] - cheeks[0]) == np.sign(across)
    assert abs(cheeks[1] - cheeks[0]) > 0.05


def test_a_picture_is_the_same_at_every_size():
  for seed in range(4):
    small, masks = faces.render_face(_face(seed), SIZE)
    large, large_masks = faces.render_face(_face(seed), 2 * SIZE)
    halved = large.reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3))
    assert np.abs(halved - small).mean() < 0.02
    for name in FACE_PARTS:
      assert large_masks[name].mean() == pytest.approx(masks[name].mean(), abs=0.01)


def test_parts_lie_where_faces_have_them():
  centres = {name: [] for name in FACE_PARTS}
  for seed in range(20):
    image, masks = faces.render_face(_face(seed), SIZE)
    assert image.dtype == np.float32 and image.min() >= 0 and image.max() <= 1
    assert tuple(masks) == FACE_PARTS
    for name, mask in masks.items():
      if mask.sum() > 10:
        centres[name].append([np.average(np.arange(SIZE), weights=mask.sum(axis)) for axis in (1, 0)])
    assert np.minimum(masks["left_eye"], masks["right_eye"]).max() < 0.5  # the seam cuts at 0.5: no pixel is in both
    assert (masks["background"] * masks["face"]).mean() < 0.003
  rows, columns = zip(*(np.mean(centres[name], 0) for name in ("left_eye", "right_eye", "nose", "mouth")), strict=True)
  assert columns[0] < 33 < 47 < columns[1]
  assert rows[0] < rows[2] < rows[3]
  assert 37 < columns[2] < 43 and 37 < columns[3] < 43


def test_faces_come_in_all_skin_tones_and_styles():
  people = [_face(seed) for seed in range(200)]
  lightness = np.sqrt([np.mean(face.skin) for face in people])
  assert lightness.min() < 0.25 and lightness.max() > 0.8
  assert {face.style for face in people} == {"bald", "short", "fringe", "long", "curly"}
  assert 0.08 < np.mean([face.glasses > 0 for face in people]) < 0.26


# The example


def test_an_example_depends_on_its_arguments_only():
  first = examples.render_example(1, 7, size=48)
  again = examples.render_example(1, 7, size=48)
  assert first["image"] == again["image"] and (first["mask"] == again["mask"]).all()
  for seed, index in ((2, 7), (1, 9)):
    assert examples.render_example(seed, index, size=48)["image"] != first["image"]


def test_known_examples():
  # not bytes: another libjpeg or NumPy may round a pixel differently, but nobody should get other people
  values = [_pixels(examples.render_example(0, index, size=SIZE)["image"]).mean((0, 1)) for index in (0, 1)]
  np.testing.assert_allclose(values, GOLDEN, atol=2e-3)


def test_half_are_fakes_and_the_difficulties_share_them_equally():
  made = [examples.render_example(4, index, size=32) for index in range(36)]
  assert [e["label"] for e in made] == [0, 1] * 18
  counts = np.bincount([e["difficulty"] for e in made], minlength=len(DIFFICULTIES))
  assert counts.tolist() == [18, 6, 6, 6]
  for example in made:
    assert example["regions"].shape == (len(REGIONS),) and example["regions"].any() == bool(example["label"])
    assert set(np.unique(example["mask"])) == ({0, 255} if example["label"] else {0})


def test_regions_are_flagged_in_the_features_order():
  for index in range(1, 40, 2):
    flags = examples.render_example(3, index, size=SIZE)["regions"]
    assert {REGIONS[i] for i in np.flatnonzero(flags)} == set(_composed()[index]["regions"])


def test_every_kind_of_fake_occurs():
  fakes = _composed()[1::2]
  assert {name for made in fakes for name in made["regions"]} == set(REGIONS)
  assert {name for made in fakes for name in made["operations"]} == set(manipulate.OPERATIONS)
  assert 0.1 < np.mean([len(made["regions"]) == 2 for made in fakes]) < 0.35


def test_outside_the_mask_nothing_changed_and_inside_nearly_everything():
  for made in _composed():
    changed = np.abs(made["image"] - made["genuine"]).max(2)
    outside = made["mask"] == 0
    assert not changed[outside].any()
    if made["regions"]:
      assert 0.01 < 1 - outside.mean() < 0.6
      assert (changed[~outside] > 1 / 255).mean() > 0.85
    else:
      assert outside.all()


def test_masks_lie_on_the_regions_they_name():
  for index, made in list(enumerate(_composed()))[1::2]:
    _, parts = faces.render_face(faces.sample_face(np.random.default_rng([3, index, 0])), SIZE)
    if "other" in made["regions"]:
      continue
    named = np.max([parts[name] for name in made["regions"]], 0) > 0
    near = ndimage.binary_dilation(named, iterations=4)
    assert (near & (made["mask"] > 0)).sum() / (made["mask"] > 0).sum() > 0.97, (index, made["regions"])


def test_harder_fakes_change_less():
  change = {name: [] for name in DIFFICULTIES[1:]}
  for made in _composed()[1::2]:
    inside = made["mask"] > 0
    change[made["difficulty"]].append(np.abs(made["image"] - made["genuine"])[inside].mean())
  easy, mid, hard = (np.mean(change[name]) for name in DIFFICULTIES[1:])
  assert easy > 1.05 * mid > 1.05**2 * hard > 0.02


# Shortcuts


def _global_cues(jpeg):
  """What colours, sharpness, noise and compression say about a whole picture, {name: value}."""
  image = np.asarray(Image.open(io.BytesIO(jpeg)))
  planes = figures.colour_planes(image)
  quantiles = {f"{name} quantile {q}": np.quantile(plane, q) for name, plane in planes.items()
               for q in (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)}
  saved = figures.file_figures(jpeg, "drawn")
  return {**figures.colour_figures(planes), **quantiles, **figures.sharpness_figures(planes["grey"]),
          "bytes": saved["file bytes"]["bytes"], "quality": saved["JPEG tables"]["quality"]}


@pytest.mark.slow
def test_whole_pictures_do_not_give_the_class_away():
  made = [examples.render_example(11, index, size=SIZE) for index in range(1200)]
  labels = np.asarray([example["label"] for example in made])
  rows = [_global_cues(example["image"]) for example in made]
  cues = {name: np.asarray([row[name] for row in rows]) for name in rows[0]}
  auc_of = lambda values: max(roc_auc_score(labels, values), roc_auc_score(labels, -values))
  single = {name: auc_of(values) for name, values in cues.items()}

  def together(names):
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000, C=0.1))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    columns = np.stack([cues[name] for name in names], 1)
    return roc_auc_score(labels, cross_val_predict(classifier, columns, labels, cv=folds, method="predict_proba")[:, 1])

  simple = [name for name in cues if name.endswith(("mean", "std")) or " " not in name]
  few, many = together(simple), together(cues)
  print(f"largest single AUC {max(single.values()):.3f} ({max(single, key=single.get)}), {len(simple)} simple figures"
        f" {few:.3f}, all {len(cues)} together {many:.3f}")
  assert max(single.values()) < 0.63
  assert few < 0.66
  assert many < 0.77  # not chance: tampered regions are visible, and so move the tails of a picture's colours


def test_a_camera_leaves_no_more_than_noise_and_jpeg():
  scene = np.full((64, 64, 3), 0.5, np.float32)
  for seed in range(5):
    shot = manipulate.capture(np.random.default_rng(seed), scene)
    assert shot.dtype == np.float32 and shot.shape == scene.shape
    assert abs(shot.mean() - 0.5) < 0.12 and 0.002 < shot[:8, :8].std() < 0.06
    picture = Image.open(io.BytesIO(manipulate.develop(np.random.default_rng(seed), shot)))
    assert picture.format == "JPEG" and picture.size == (64, 64)


# Tampering, on pictures that nobody rendered


def _photograph(seed=0, shape=(60, 90)):
  return np.clip(0.5 + 0.15 * np.stack([manipulate.lattice(np.random.default_rng([seed, c]), shape, 9)
                                        for c in range(3)], -1), 0, 1)


def _disc(shape=(60, 90), centre=(30, 40), radius=14):
  y, x = np.ogrid[: shape[0], : shape[1]]
  return np.float32(np.hypot(y - centre[0], x - centre[1]) < radius)


@pytest.mark.parametrize("operation", manipulate.OPERATIONS)
@pytest.mark.parametrize("difficulty", manipulate.LEVELS)
def test_forge_changes_the_region_and_nothing_else(operation, difficulty):
  host, donor, region = _photograph(0), _photograph(1), _disc()
  image, mask = manipulate.forge(np.random.default_rng(5), host, donor, region, difficulty, operation)
  assert image.dtype == np.float32 and image.min() >= 0 and image.max() <= 1
  assert (image[mask == 0] == host[mask == 0]).all()
  assert np.abs(image - host)[mask > 0].mean() > 0.02
  overlap = ((mask > 0) & (region > 0)).sum() / ((mask > 0) | (region > 0)).sum()
  assert overlap > 0.6


def test_an_empty_region_leaves_the_picture_alone():
  host = _photograph()
  image, mask = manipulate.forge(np.random.default_rng(0), host, None, 0 * _disc(), "easy", "self_blend")
  assert (image == host).all() and not mask.any()


def test_a_seam_is_exactly_zero_below_the_floor():
  region = _disc()
  sharp, soft = (manipulate.seam(np.random.default_rng(0), region, sigma) for sigma in (0.1, 3.0))
  assert sharp[30, 40] == soft[30, 40] == 1 and sharp[0, 0] == soft[0, 0] == 0
  partial = lambda alpha: ((alpha > 0) & (alpha < 1)).sum()
  assert partial(soft) > 4 * partial(sharp)


def test_blend_by_hand():
  host, altered = np.zeros((1, 3, 3), np.float32), np.ones((1, 3, 3), np.float32)
  image, mask = manipulate.blend(host, altered, np.float32([[0, 0.25, 1]]))
  assert image[0, :, 0].tolist() == [0, 0.25, 1] and mask.tolist() == [[0, 255, 255]]


def test_match_colour_moves_the_mean_inside_the_region_to_the_hosts():
  host, donor, region = _photograph(0), _photograph(1) * 0.4, _disc()
  matched = manipulate.match_colour(donor, host, region)
  np.testing.assert_allclose(matched[region > 0].mean(0), host[region > 0].mean(0), atol=1e-4)


def test_misplacing_by_nothing_gives_the_picture_back():
  host = _photograph()
  np.testing.assert_allclose(manipulate.misplace(np.random.default_rng(0), host, _disc(), 0.0), host, atol=1e-4)


def test_a_shifted_region_is_lighter_or_darker_and_of_any_hue():
  grey, region = np.full((60, 90, 3), 0.5, np.float32), _disc()
  shifts = np.stack([(manipulate.shift_colour(np.random.default_rng(seed), grey, region, 0.3) - grey)[0, 0]
                     for seed in range(400)])
  light = shifts.mean(1)
  assert abs(light.mean()) < 0.05 and 0.2 < np.abs(light).min() < np.abs(light).max() < 0.31
  casts = shifts - light[:, None]
  np.testing.assert_allclose(np.linalg.norm(casts, axis=1), 0.35 * 0.3, rtol=0.02)
  assert np.abs(casts.mean(0)).max() < 0.02  # no tint on average



def test_a_blob_covers_its_starting_point_and_about_its_radius():
  for seed in range(5):
    inside = _disc((80, 80), (20, 60), 3)
    blob = manipulate.random_blob(np.random.default_rng(seed), inside, 0.4)
    assert blob[inside > 0].max() > 0.5
    assert 0.5 < (blob > 0.5).mean() / (np.pi * 0.2**2) < 1.5
