import numpy as np
import pytest

from fakeface_jax.data.reading.views import augmentations, view_of
from fakeface_jax.errors import UserError

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)


def view(number, augment, index=0, crop=20):
  return view_of(IMAGE, (0, number, index), resize=20, crop=crop, augment=augment)


def test_view_0_is_the_centre_whatever_the_augmentation():
  np.testing.assert_array_equal(view(0, ("crop", "flip", "jpeg", "blur")), IMAGE[:, 2:22])
  np.testing.assert_array_equal(view(5, ()), IMAGE[:, 2:22])


def test_a_view_depends_on_its_number_and_image_alone():
  views = {view(number, ("crop", "flip"), index, crop=8).tobytes() for number in (1, 2, 3) for index in (0, 1)}
  assert len(views) == 6
  np.testing.assert_array_equal(view(3, ("crop",), 1), view(3, ("crop",), 1))


def test_half_are_flipped_half_encoded_again_a_quarter_blurred():
  centre = IMAGE[:, 2:22]
  share = lambda name, same: np.mean([np.array_equal(view(number, (name,)), same) for number in range(1, 401)])
  assert 0.42 < share("flip", centre[:, ::-1]) < 0.58
  assert 0.42 < share("jpeg", centre) < 0.58
  assert 0.68 < share("blur", centre) < 0.82
  deviation = lambda name: max(view(n, (name,)).astype(float).std() for n in range(1, 20))
  assert min(view(n, ("blur",)).astype(float).std() for n in range(1, 20)) < 0.8 * deviation("blur")


def test_half_get_noise_of_up_to_five_levels():
  noise = [view(number, ("noise",)).astype(float) - IMAGE[:, 2:22] for number in range(1, 401)]
  inside = (IMAGE[:, 2:22] > 30) & (IMAGE[:, 2:22] < 225)  # where nothing is cut off
  levels = np.array([difference[inside].std() for difference in noise])
  assert 0.44 < np.mean(levels > 0) < 0.56
  assert 4.7 < levels.max() < 5.3 and 2.2 < levels[levels > 0].mean() < 2.8
  assert abs(np.mean([difference[inside].mean() for difference in noise])) < 0.05


def test_names_are_checked():
  assert augmentations("crop, flip") == ("crop", "flip") and augmentations("") == ()
  with pytest.raises(UserError, match="augment: there is no 'rotate'; use some of crop,flip,jpeg,blur"):
    augmentations("crop,rotate")
