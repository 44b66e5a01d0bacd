
import numpy as np
import pytest

from fakeface_jax.data.reading.images import encode_image
from fakeface_jax.drawing.contact_sheet import MARGIN, draw_contact_sheet
from fakeface_jax.runs.records import first_images


def record(label, difficulty, value, mask):
  return {"image": encode_image(np.full((32, 32, 3), value, np.uint8), "PNG"), "label": label, "difficulty": difficulty,
          "mask": encode_image(mask, "PNG"), "source": b"x"}


def test_a_row_for_every_class_and_difficulty_and_the_mask_outlined_below_fakes():
  mask = np.zeros((32, 32), np.uint8)
  mask[8:16, 4:12] = 255
  records = [record(1, 3, 90, mask), record(0, 0, 30, np.zeros((1, 1), np.uint8)), record(1, 1, 60, mask)]
  sheet = np.asarray(draw_contact_sheet(records, columns=2, cell=32))
  assert sheet.shape == (5 * 32, MARGIN + 2 * 32, 3)
  first = sheet[:, MARGIN : MARGIN + 32].reshape(5, 32, 32, 3)
  assert [row[0, 0].tolist() for row in first] == [[30] * 3, [60] * 3, [60] * 3, [90] * 3, [90] * 3]
  outlined = (first == 255).all(-1)
  np.testing.assert_array_equal(outlined.sum((1, 2)), [0, 0, 32, 0, 32])  # around 8 x 8 pixels
  assert outlined[2, 7, 4:12].all() and not outlined[2, 8:16, 4:12].any()
  assert (sheet[:, MARGIN + 32 :] == 255).all()  # no second image of any kind


def test_without_masks_there_is_no_row_for_them_and_pictures_are_large_enough():
  nothing = [np.full((1, 1), value, np.uint8) for value in (0, 128, 255)]
  sheet = draw_contact_sheet([record(0, 0, 30, nothing[0])] + [record(1, 0, 60, mask) for mask in nothing], columns=4)
  assert sheet.size == (MARGIN + 4 * 128, 2 * 128)


class Counted(list):
  """Records that say how many of them were read."""

  reads = 0

  def __getitem__(self, i):
    self.reads += 1
    return super().__getitem__(i)


def test_no_more_is_read_than_is_drawn():
  mask = np.zeros((1, 1), np.uint8)
  source = Counted([record(i % 2, 0, 30 + i % 2, mask) for i in range(2000)])
  sheet = np.asarray(draw_contact_sheet(source, columns=5, cell=8))
  assert source.reads == 10 and (sheet[:, MARGIN:].reshape(2, 8, -1).std((1, 2)) == 0).all()


@pytest.mark.parametrize(("label", "reads"), [(0, 13), (1, 16)])
def test_the_first_images_of_a_class_are_all_that_is_read(label, reads):
  mask = np.zeros((1, 1), np.uint8)
  source = Counted([record(int(i % 4 == 3), 0, i, mask) for i in range(200)])
  count = 10 if label == 0 else 4
  assert [image[0, 0, 0] for image in first_images(source, count, label)] == [
      i for i in range(reads) if (i % 4 == 3) == bool(label)]
  assert source.reads == reads
