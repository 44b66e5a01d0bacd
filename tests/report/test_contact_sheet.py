import io

import numpy as np
from PIL import Image

from fakeface_jax.report.contact_sheet import MARGIN, OUTLINE, draw_contact_sheet


def png(pixels):
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, "PNG")
  return buffer.getvalue()


def record(label, difficulty, value, mask):
  return {"image": png(np.full((32, 32, 3), value, np.uint8)), "label": label, "difficulty": difficulty,
          "mask": png(mask), "source": b"x"}  # fmt: skip


def test_a_row_for_every_class_and_difficulty_and_the_mask_outlined_below_fakes():
  mask = np.zeros((32, 32), np.uint8)
  mask[8:16, 4:12] = 255
  records = [record(1, 3, 90, mask), record(0, 0, 30, np.zeros((1, 1), np.uint8)), record(1, 1, 60, mask)]
  sheet = np.asarray(draw_contact_sheet(records, columns=2, cell=32))
  assert sheet.shape == (5 * 32, MARGIN + 2 * 32, 3)
  first = sheet[:, MARGIN : MARGIN + 32].reshape(5, 32, 32, 3)
  assert [row[0, 0].tolist() for row in first] == [[30] * 3, [60] * 3, [60] * 3, [90] * 3, [90] * 3]
  outlined = (first == OUTLINE).all(-1)
  np.testing.assert_array_equal(outlined.sum((1, 2)), [0, 0, 28, 0, 28])  # the rim of 8 x 8 pixels
  assert outlined[2, 8, 4:12].all() and not outlined[2, 9:15, 5:11].any()
  assert (sheet[:, MARGIN + 32 :] == 255).all()  # no second image of any kind
