import numpy as np
import pytest

from fakeface_jax.pretraining.pretexts import losses

COUNT, CROP = 4, 64


@pytest.fixture
def batch():
  random = np.random.default_rng(0)
  mask = np.zeros((COUNT, CROP, CROP), np.float32)
  mask[0, :32, :32] = 1  # the first cell of four, and the first four of sixteen
  return {
      "formula": np.array([2, 0]), "face": random.standard_normal((2, 3)).astype(np.float32),
      "residual": random.standard_normal((COUNT, 2, 2, 7)).astype(np.float32),
      "camera": random.standard_normal((COUNT, 9)).astype(np.float32), "enlarged": np.array([0, 1, 2, 3]),
      "tampered": np.float32([1, 0, 0, 0]), "differs": np.zeros((COUNT, 6), np.float32), "mask": mask}


def zeros():
  shapes = {"formula": (2, 5), "face": (2, 3), "residual": (COUNT, 2, 2, 7), "camera": (COUNT, 9),
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
