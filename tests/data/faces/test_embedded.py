import numpy as np
import pytest
from PIL import Image
from skimage import data

from fakeface_jax.data.faces.embedded import along_edges

FACE = data.astronaut()[10:210, 125:325]


def scene(blurred=False):
  image = Image.fromarray(data.coffee()).resize((700, 500))
  return np.array(image.resize((70, 50)).resize((700, 500)) if blurred else image)


@pytest.mark.parametrize("blurred", [False, True])
@pytest.mark.parametrize("place", [(300, 150), (0, 0), (500, 300), (3, 297)])
def test_a_window_that_is_a_little_off_ends_where_the_pasted_picture_does(blurred, place):
  photograph, (left, top) = scene(blurred), place
  photograph[top : top + 200, left : left + 200] = FACE
  for x, y in ((0, 0), (1, -1), (-3, 2), (3, 3)):
    window = min(max(left + x, 0), 500), min(max(top + y, 0), 300), 200
    assert along_edges(photograph, window, (4, 4)) == (left, top, 200)


def test_out_of_reach_and_where_there_is_no_edge_it_stays():
  photograph = scene()
  photograph[150:350, 300:500] = FACE
  assert along_edges(photograph, (310, 155, 200), (4, 4)) == (310, 155, 200)
  for window in ((100, 100, 200), (0, 0, 200), (312, 200, 200)):
    assert along_edges(data.astronaut(), window, (6, 6)) == window
  assert along_edges(np.zeros((200, 200, 3), np.uint8), (0, 0, 200), (3, 3)) == (0, 0, 200)
