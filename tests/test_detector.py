import jax
import numpy as np
import pytest

from fakeface_jax.detector import Detector, load
from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables
from fakeface_jax.models.resnet import normalize, resnet


@pytest.fixture(scope="module")
def detector():
  model = resnet(18)
  return Detector(model, init_variables(model, jax.random.key(2), 32), resize=32, crop=32, batch_size=2)


def pictures(count):
  return np.random.default_rng(5).integers(0, 256, (count, 32, 32, 3), np.uint8)


def test_probabilities_are_the_softmax_of_the_logits_whatever_the_batches(detector):
  images = pictures(5)
  logits = detector.model.apply(detector.variables, normalize(images))
  np.testing.assert_allclose(detector.predict(images), jax.nn.softmax(logits)[:, 1], rtol=1e-4)
  np.testing.assert_allclose(detector.predict(list(images[:1])), detector.predict(images)[:1], rtol=1e-5)
  assert detector.predict([]).shape == (0,)


def test_explanations_come_one_per_image_with_layers_in_the_order_asked_for(detector):
  layers = ["layer4.1.conv2", "layer2_0/conv1", "layer3_1"]
  results = detector.explain(pictures(3), layers=layers)
  assert len(results) == 3
  for result, probability, image in zip(results, detector.predict(pictures(3)), pictures(3), strict=True):
    np.testing.assert_allclose(result["probability"], probability, rtol=1e-5)
    np.testing.assert_array_equal(result["image"], image)
    assert list(result["gradcam"]) == ["layer4_1/conv2", "layer2_0/conv1", "layer3_1"]
    assert [cam.shape for cam in result["gradcam"].values()] == [(1, 1), (4, 4), (2, 2)]
    assert min(cam.min() for cam in result["gradcam"].values()) >= 0
  assert len(detector.explain(pictures(1))[0]["gradcam"]) == 10


def test_the_target_is_fake_unless_another_is_asked_for(detector):
  images = pictures(1)
  fake, real, predicted = (detector.explain(images, target=target)[0] for target in ("fake", "real", "predicted"))
  assert (fake["target"], real["target"], predicted["target"]) == (1, 0, int(fake["probability"] > 0.5))
  # Both logits are linear in the same features: their gradients differ.
  assert np.abs(fake["guided_backprop"] - real["guided_backprop"]).max() > 1e-4
  chosen = (real, fake)[predicted["target"]]
  np.testing.assert_allclose(predicted["guided_backprop"], chosen["guided_backprop"], rtol=1e-5, atol=1e-7)


def test_images_of_another_kind_are_refused_by_number(detector):
  with pytest.raises(UserError, match=r"image 1 is float64\[4, 4, 3\], not uint8\[height, width, 3\] RGB"):
    detector.predict([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3))])


def test_a_folder_without_a_run(tmp_path):
  with pytest.raises(UserError, match=r"is no run folder: it has no config\.json"):
    load(tmp_path)
