import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakeface_jax.pretraining.pretexts import Heads, losses, make_batch

COUNT, CROP = 4, 64


@pytest.fixture
def batch():
  random = np.random.default_rng(0)
  mask = np.zeros((COUNT, CROP, CROP), np.float32)
  mask[0, :32, :32] = 1  # the first cell of four, and the first four of sixteen
  return {
      "formula": np.array([2]), "face": random.standard_normal((3, 3)).astype(np.float32),
      "residual": random.standard_normal((COUNT, 2, 2, 7)).astype(np.float32),
      "camera": random.standard_normal((COUNT, 9)).astype(np.float32), "enlarged": np.array([0, 1, 2, 3]),
      "tampered": np.float32([1, 0, 0, 0]), "differs": np.zeros((COUNT, 6), np.float32), "mask": mask}


def zeros():
  shapes = {"formula": (1, 5), "face": (3, 3), "residual": (COUNT, 2, 2, 7), "camera": (COUNT, 9),
            "enlarged": (COUNT, 4), "tampered": (COUNT,), "differs": (COUNT, 6),
            "mask16": (COUNT, 4, 4), "mask32": (COUNT, 2, 2)}
  return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def test_knowing_nothing_costs_one(batch):
  found = losses(zeros(), batch)
  for name in ("formula", "enlarged", "tampered", "differs", "mask16", "mask32"):
    assert found[name] == pytest.approx(1, abs=1e-6), name
  for name in ("face", "residual", "camera"):
    assert found[name] == pytest.approx(np.square(batch[name]).mean(), rel=1e-6)


def test_the_mask_is_asked_for_where_it_is(batch):
  for name, cells in (("mask16", slice(0, 2)), ("mask32", slice(0, 1))):
    answers = zeros()
    answers[name] -= 20
    answers[name][0, cells, cells] = 20
    assert losses(answers, batch)[name] == pytest.approx(0, abs=1e-6)
    answers[name] = answers[name][:, ::-1]  # upside down
    assert losses(answers, batch)[name] > 1


@pytest.mark.slow
def test_the_first_quarter_shows_formulas_and_the_others_the_faces_that_the_labels_say():
  grey = np.uint8([40, 120, 200])
  faces = np.broadcast_to(grey[:, None, None, None], (3, 192, 192, 3))
  parameters = jnp.asarray(grey[:, None] / 1.0)
  batch = make_batch(jax.random.key(0), jnp.asarray(faces), parameters, size=32, crop=32, classes=7)
  assert batch["formula"].shape == (8,) and set(np.array(batch["formula"])) <= set(range(7))
  whole = np.array(batch["tampered"][8:]) == 0
  seen, said = np.array(batch["image"][8:]).mean((1, 2, 3))[whole], np.array(batch["face"])[whole, 0]
  assert len(said) >= 5 and len(set(said)) > 1
  np.testing.assert_allclose(seen, said, rtol=0.12)


def test_each_kind_of_picture_is_asked_its_own_question():
  pooled = np.arange(32, dtype=np.float32).reshape(8, 4)
  grid = np.zeros((8, 1, 1, 4), np.float32)
  heads = Heads(5, 3)
  params = heads.init(jax.random.key(0), grid, grid, pooled)
  answers = heads.apply(jax.tree.map(jnp.ones_like, params), grid, grid, pooled)
  np.testing.assert_allclose(answers["formula"], np.broadcast_to(pooled[:2].sum(1, keepdims=True) + 1, (2, 5)))
  np.testing.assert_allclose(answers["face"], np.broadcast_to(pooled[2:].sum(1, keepdims=True) + 1, (6, 3)))
