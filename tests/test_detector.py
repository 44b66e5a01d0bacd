import base64
import dataclasses
import io

import jax
import numpy as np
import pytest
import skimage.data
from PIL import Image

from fakeface_jax.data.faces.framing import Framing
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.detector import Detector, Looks, load
from fakeface_jax.errors import UserError
from fakeface_jax.explain.grad_cam import grad_cam
from fakeface_jax.explain.guided_backprop import guided_backprop
from fakeface_jax.explain.integrated_gradients import integrated_gradients
from fakeface_jax.explain.occlusion import occlusion
from fakeface_jax.models import init_variables
from fakeface_jax.models.network import normalize
from fakeface_jax.models.resnet import resnet


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


SQUARE = np.zeros((40, 50, 3), np.uint8)


class TorchTensor:
  """What torch's tensors show of themselves."""
  dtype, shape = "torch.uint8", (3, 40, 50)

  def numpy(self):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("images", "message"), [
        ([SQUARE, np.zeros((4, 4, 3))], "image 1 is float64[4, 4, 3] from 0 to 0, not uint8[height, width, 3] RGB; "
         "scale values of 0 to 1 by np.rint(255 * image).astype(np.uint8)"),
        ([np.full((4, 4, 3), np.nan)], "image 0 is float64[4, 4, 3] with NaN, not"),
        ([SQUARE[..., 0]], "image 0 is uint8[40, 50], not uint8[height, width, 3] RGB; np.repeat(image.reshape("),
        ([np.zeros((4, 4, 4), np.uint8)], "image 0 is uint8[4, 4, 4], not uint8[height, width, 3] RGB; image[..., "),
        ([SQUARE.transpose(2, 0, 1)], "image.transpose(1, 2, 0) puts the colours last"),
        ([SQUARE.astype(np.int64)], "image 0 is int64[40, 50, 3], not"),
        ([TorchTensor()], "torch's tensors are turned by image.numpy()"),
        ([SQUARE[:0]], "image 0 is uint8[0, 50, 3]: a picture of no pixels; leave it out"),
        ([SQUARE.tolist()], "image 0 is list, not uint8"),
        (["a.jpg"], "image 0 is str, not uint8[height, width, 3] RGB; read it with read_image"),
        ([Image.new("RGB", (5, 4))], "image 0 is Image, not uint8[height, width, 3] RGB; np.asarray(image.convert("),
        (Image.new("RGB", (5, 4)), "images is Image; expected a list of images"),
        (SQUARE, "images is one array, uint8[40, 50, 3]; expected a list of images, uint8[height, width, 3] RGB each; "
         "for a single image write [image]"),
        (np.zeros((2, 4, 4, 3), np.float32), "image 0 is float32[4, 4, 3] from 0 to 0, not"),
        ("photo.jpg", "images is the path photo.jpg; expected a list of images"),
        (None, "images is NoneType; expected a list of images"), ({"a": SQUARE}, "images is dict; expected a list"),
        (7, "images is int; expected a list of images")])
def test_images_of_another_kind_are_refused_in_one_line(detector, images, message):
  for door in (detector.prepare, detector.predict, detector.explain, detector.sanity):
    with pytest.raises(UserError) as error:
      door(images)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_images_may_come_from_anything_that_yields_them(detector):
  images = pictures(3)
  expected = detector.predict(images)
  for given in (tuple(images), (image for image in images), jax.numpy.asarray(images), list(jax.numpy.asarray(images))):
    np.testing.assert_allclose(detector.predict(given), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("images", "target", "layers", "message"), [
        (np.zeros((2, 32, 32, 3), np.uint8), [1, 1], ("layer4_1",), "images: expected normalised RGB, float32"),
        (np.zeros((32, 32, 3), np.float32), [1], ("layer4_1",), r"got float32\[32, 32, 3\]"),
        (np.zeros((2, 4, 4, 3)).tolist(), [1, 1], ("layer4_1",), r"got list\[2, 4, 4, 3\]"),
        (np.zeros((1, 32, 32, 4), np.float32), [1], ("layer4_1",), r"got float32\[1, 32, 32, 4\]"),
        (np.full((1, 32, 32, 3), np.nan, np.float32), [1], ("layer4_1",), "holds NaN or infinity"),
        (np.zeros((2, 32, 32, 3), np.float32), 1, ("layer4_1",), r"target: expected .* int32\[2\], got int64\[\]"),
        (np.zeros((2, 32, 32, 3), np.float32), np.ones(2), ("layer4_1",), r"got float64\[2\]"),
        (np.zeros((1, 32, 32, 3), np.float32), [1], "layer4_1", r"write \('layer4_1',\)")])
def test_methods_refuse_arrays_that_they_do_not_take(detector, images, target, layers, message):
  with pytest.raises(UserError, match=message):
    grad_cam(detector.model, detector.variables, images, np.asarray(target), layers=layers)
  if not isinstance(layers, str):
    for method in (guided_backprop, integrated_gradients, occlusion):
      with pytest.raises(UserError, match=message):
        method(detector.model, detector.variables, images, np.asarray(target))


def test_layers_may_be_a_list(detector):
  images = normalize(pictures(1))
  maps = grad_cam(detector.model, detector.variables, images, np.array([1]), layers=["layer4_1", "layer3_1"])
  assert [maps[layer].shape for layer in ("layer4_1", "layer3_1")] == [(1, 1, 1), (1, 2, 2)]


@pytest.mark.parametrize("path", [None, 7, np.zeros(3)])
def test_what_is_no_path_is_named(path):
  for door in (load, read_image):
    with pytest.raises(UserError, match=r"expected the path of a file or folder, got (NoneType|int|ndarray)"):
      door(path)


def test_a_folder_without_a_run(tmp_path):
  with pytest.raises(UserError, match=r"is no run folder: it has no config\.json"):
    load(tmp_path)


def test_faces_of_a_photograph_are_cut_as_the_training_faces_were_and_judged(detector):
  astronaut = skimage.data.astronaut()
  framing = Framing(0.25, 0.2, 0.75, 0.85, 160, 1.0, (0.02, 0.02, 0.05), ((0, 0), (0, 0), (0.5, 0.5)))
  with_framing = dataclasses.replace(detector, framing=framing)
  photograph = np.array(Image.fromarray(skimage.data.coffee()).resize((700, 500)))
  photograph[100:260, 400:560] = astronaut[40:200, 145:305]
  (face,) = with_framing.faces(photograph)
  left, top, side = face.window
  np.testing.assert_array_equal(face.pixels, photograph[top : top + side, left : left + side])
  assert 400 <= face.box.left < 480 < face.box.right <= 560 and 140 < side < 180
  assert detector.predict([face.pixels]).shape == (1,)
  assert with_framing.faces(np.zeros((90, 80, 3), np.uint8)) == []
  (whole,) = with_framing.faces(photograph, "none")
  assert whole.pixels is photograph and (whole.box, whole.window, whole.note) == (None, None, "")
  (whole,) = detector.faces(photograph)  # of which nobody knows how its training faces sit
  assert whole.pixels is photograph and "the whole picture is judged" in whole.note
  for wrong, message in (({"faces": "some"}, "faces='some' is not known"), ({"photograph": "a.jpg"}, "read it with")):
    with pytest.raises(UserError, match=message):
      with_framing.faces(**{"photograph": photograph} | wrong)


def test_a_face_and_its_mask_are_seen_alike_where_the_network_takes_pixels_as_they_are(detector):
  framing = Framing(0.25, 0.2, 0.75, 0.85, 80, 1.0, (0.02, 0.02, 0.05), ((0, 0), (0, 0), (0.5, 0.5)))
  as_they_are = dataclasses.replace(detector, framing=framing, resize=None)
  photograph = np.zeros((500, 700, 3), np.uint8)
  photograph[100:260, 400:560] = skimage.data.astronaut()[40:200, 145:305]
  (look,) = as_they_are.find(photograph)
  left, _, side = look.window
  part, scale = look.part, side / 80  # the window is brought to 80 px, of which the network sees the middle
  crop = as_they_are.crop
  assert scale > 1.7 and part[2] == pytest.approx(crop * scale)
  assert part[0] + part[2] / 2 == pytest.approx(left + side / 2, abs=scale)
  mask = np.where(photograph.any(-1), 255, 0).astype(np.uint8)
  seen = as_they_are.prepare_mask(mask, look.window)
  assert seen.shape == (crop, crop)
  bright = look.seen.pixels[0].any(-1)  # the pasted square, in black
  assert np.mean(bright == (seen == 255)) > 0.97
  assert detector.prepare_mask(mask).shape == (detector.crop, detector.crop)


def test_what_is_seen_of_a_photograph_shows_itself_in_a_cell_and_speaks_in_words(detector):
  photograph = skimage.data.astronaut()[:400, 50:400]
  looks = detector.look(photograph, "none")
  probability = detector.predict([photograph])[0]
  words = f"cannot tell, {100 * probability:.1f} % fake. Nothing says how sure this detector may be"
  assert repr(looks).startswith(f"[Look(picture at 0, 22, 346 px: {words}") and len(repr(looks)) < 250
  assert repr(detector) == "Detector(ResNet-18, 32 px)"
  html = looks._repr_html_()
  assert html == looks[0]._repr_html_() and "<b>cannot tell</b> (" in html
  picture = Image.open(io.BytesIO(base64.b64decode(html.split("base64,")[1].split('"')[0])))
  np.testing.assert_array_equal(picture, looks[0].seen.pixels[0])
  assert repr(detector.find(photograph, "none")) == "[Look(picture at 0, 22, 346 px)]"
  why = dataclasses.replace(looks[0].judgement, why="more < less & <b>", probability=1.0)
  html = dataclasses.replace(looks[0], judgement=why)._repr_html_()
  assert "more &lt; less &amp; &lt;b&gt;" in html and "99.9 % fake" in html
  assert "no face was found" in Looks()._repr_html_()
