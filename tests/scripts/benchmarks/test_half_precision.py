"""bfloat16 beside float32 on a run's test images and on photographs."""

import pytest
from benchmarks.half_precision import bench_half_precision, spread
from PIL import Image
from skimage.data import astronaut

from fakeface_jax.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def photographs(tmp_path):
  folder = tmp_path / "of 2, faces"
  folder.mkdir()
  for i in range(64):
    Image.fromarray(astronaut()[: 200 + i, 100:300]).save(folder / f"{i:02}.png", compress_level=0)
  return folder


def test_every_set_has_its_figures(finished, photographs):
  text, figures = bench_half_precision(finished[0], [photographs])
  assert list(figures) == ["its test images", str(photographs)]
  for found in figures.values():  # bfloat16 has eight bits, so at best half of 1/256 is lost
    assert 0 < found["probability"] < 0.1
    assert 1e-4 < found["last Grad-CAM"] < 0.2
    assert 1e-3 < found["guided backprop"] < 0.5
  assert f"of 2, faces (32): probability {figures[str(photographs)]['probability']:.2%}, last Grad-CAM" in text


def test_photographs_are_spread_over_the_folder(photographs, tmp_path):
  assert [path.name for path in spread(photographs)] == [f"{i:02}.png" for i in range(0, 64, 2)]
  (tmp_path / "empty").mkdir()
  with pytest.raises(UserError, match=r"--faces=.*empty: holds no image .*; name a folder of photographs"):
    spread(tmp_path / "empty")
