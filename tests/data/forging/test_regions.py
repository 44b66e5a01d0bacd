import numpy as np
import pytest

from fakeface_jax.data.drawn.manipulate import FLOOR
from fakeface_jax.data.forging import regions
from fakeface_jax.data.forging.landmarks import FRAME_POINTS
from fakeface_jax.data.forging.regions import draw_patch, region_outline
from fakeface_jax.data.schema import REGIONS

SHAPE = (160, 160)
POINTS = np.float32((FRAME_POINTS * (0.26, 0.29) + (0.5, 0.47)) * 160)


def alpha_of(patch, shape=SHAPE):
  alpha = np.zeros(shape, np.float32)
  alpha[patch.box] = patch.alpha
  return alpha


def drawn(name, seed, points=POINTS, shape=SHAPE, **options):
  return draw_patch(np.random.default_rng(seed), name, points, shape, **options)


# Shares of the picture, and where the middle must be: x and y from and to, as shares
@pytest.mark.parametrize(("name", "area", "middle"), [
    ("left_eye", (0.008, 0.06), (0.3, 0.44, 0.4, 0.52)),
    ("right_eye", (0.008, 0.06), (0.56, 0.7, 0.4, 0.52)),
    ("nose", (0.01, 0.06), (0.44, 0.56, 0.52, 0.66)),
    ("mouth", (0.02, 0.08), (0.44, 0.56, 0.7, 0.82)),
    ("face", (0.18, 0.45), (0.45, 0.55, 0.5, 0.72)),
    ("ears", (0.004, 0.07), (0.1, 0.9, 0.45, 0.65)),
    ("hair", (0.004, 0.3), (0.1, 0.9, 0.0, 0.6)),
    ("background", (0.004, 0.4), (0.0, 1.0, 0.0, 1.0)),
    ("other", (0.004, 0.3), (0.0, 1.0, 0.0, 1.0)),
])
def test_every_region_is_where_it_belongs_in_an_aligned_face(name, area, middle):
  assert name in REGIONS
  patches = [patch for seed in range(12) if (patch := drawn(name, seed))]
  assert len(patches) >= 8
  for patch in patches:
    alpha = alpha_of(patch)
    rows, columns = np.indices(SHAPE) + 0.5
    x, y = (alpha * columns).sum() / alpha.sum() / 160, (alpha * rows).sum() / alpha.sum() / 160
    assert area[0] <= alpha.mean() <= area[1]
    assert middle[0] < x < middle[1] and middle[2] < y < middle[3]
    assert alpha.dtype == np.float32 and alpha.min() == 0 and alpha.max() <= 1


def test_the_parts_of_a_face_do_not_reach_into_each_other_s_places():
  at = lambda name, point: np.mean([
      alpha_of(patch)[int(point[1]), int(point[0])] for seed in range(8) if (patch := drawn(name, seed, whole=True))])
  nose, chin, crown, corner = POINTS[30], POINTS[8], (80, 25), (4, 4)
  assert at("face", nose) == 1 and at("face", crown) == at("face", corner) == 0
  assert at("background", corner) > 0.9 and at("background", nose) == at("background", crown) == 0
  assert at("hair", crown) > 0.9 and at("hair", nose) == at("hair", chin) == 0


def test_a_patch_is_cut_out_tightly_and_zero_below_the_floor(monkeypatch):
  for seed in range(6):
    patch = drawn("mouth", seed)
    assert patch.alpha.shape == tuple(s.stop - s.start for s in patch.box)
    for side in (patch.alpha[0], patch.alpha[-1], patch.alpha[:, 0], patch.alpha[:, -1]):
      assert side.max() > 0
  monkeypatch.setattr(regions, "EDGES", (5.0, 5.0))
  soft = drawn("face", 0).alpha
  assert soft[soft > 0].min() < 0.02 and FLOOR > 0.05  # it starts at 0, so the floor leaves no step


def test_edges_run_from_hard_to_soft(monkeypatch):
  between = []
  for edge in (0.4, 2.0, 6.0):
    monkeypatch.setattr(regions, "EDGES", (edge, edge))
    patch = drawn("face", 3)
    assert patch.edge == pytest.approx(edge * 160 / 256)
    between.append(((patch.alpha > 0.02) & (patch.alpha < 0.98)).sum())
  assert between[0] * 2 < between[1] and between[1] * 1.8 < between[2]


def test_a_region_grows_with_its_picture_and_follows_its_points():
  small, large = (drawn("mouth", 5, POINTS * k, (160 * k, 160 * k)) for k in (1, 2))
  assert large.alpha.sum() == pytest.approx(4 * small.alpha.sum(), rel=0.15)
  moved = drawn("mouth", 5, np.add(POINTS, (20, -30)))
  assert (moved.box[0].start - drawn("mouth", 5).box[0].start) == pytest.approx(-30, abs=2)


def test_what_is_not_in_the_picture_is_nothing():
  assert drawn("left_eye", 0, np.add(POINTS, (300, 0))) is None
  assert drawn("ears", 0, np.float32((FRAME_POINTS * (0.6, 0.5) + (0.5, 0.4)) * 160)) is None
  assert drawn("other", 0, None).alpha.sum() > 0


@pytest.mark.parametrize("name", [name for name in REGIONS if name != "other"])
def test_outlines_are_the_same_at_every_call_and_grow_with_the_picture(name):
  outline = region_outline(name, POINTS, SHAPE)
  assert outline.shape == SHAPE and outline.dtype == bool and 0 < outline.mean() < 1
  np.testing.assert_array_equal(outline, region_outline(name, POINTS, SHAPE))
  assert region_outline(name, 2 * POINTS, (320, 320)).mean() == pytest.approx(outline.mean(), rel=0.1)


def test_outlines_are_like_what_is_drawn_and_follow_their_points():
  """Of twenty drawn patches together, the usual outline covers about the same place."""
  drawn_at = lambda name: np.max([alpha_of(patch) for seed in range(20) if (patch := drawn(name, seed))], axis=0) > 0.5
  for name in ("ears", "mouth", "left_eye"):
    outline = region_outline(name, POINTS, SHAPE)
    assert (outline & drawn_at(name)).sum() / (outline | drawn_at(name)).sum() > 0.7
  moved = region_outline("mouth", np.add(POINTS, (10, -20)), SHAPE)
  np.testing.assert_array_equal(np.roll(moved, (20, -10), (0, 1)), region_outline("mouth", POINTS, SHAPE))
  assert not region_outline("left_eye", np.add(POINTS, (500, 0)), SHAPE).any()  # out of the picture
