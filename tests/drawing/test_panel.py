import numpy as np
import pytest
from PIL import ImageDraw, ImageFont

from fakeface_jax.drawing.feature_grid import draw_feature_grid
from fakeface_jax.drawing.lettering import _letters, name_font
from fakeface_jax.drawing.outline import outlined
from fakeface_jax.drawing.panel import WIDTH, draw_panel, heatmap, jet, relief, tint
from fakeface_jax.runs.cases import pick_cases


def explanation(level=0.0, layers=("layer4_1/conv1", "layer4_1/conv2")):
  return {
      "image": np.full((40, 40, 3), 100, np.uint8), "logits": np.array([1.0, 0.0], np.float32), "probability": 0.27,
      "target": 1, "completeness_error": {}, "gradcam": {layer: np.full((3, 3), level, np.float32) for layer in layers},
      "guided_backprop": np.full((40, 40, 3), level, np.float32),
      "guided_gradcam": np.full((40, 40, 3), -level, np.float32),
      "settings": {"gradcam": {"layers": layers}, "guided_backprop": {}, "guided_gradcam": {"layer": layers[-1]}},
  }


SCALE = {
    "gradcam/layer4_1/conv1": 2.0, "gradcam/layer4_1/conv2": 2.0, "guided_backprop": 4.0,
    "guided_gradcam/layer4_1/conv2": 4.0}


def test_colours_go_from_blue_over_green_to_red():
  red = [127, 0, 0]
  np.testing.assert_array_equal(jet(np.array([0, 0.5, 1, 7.0])), [[0, 0, 127], [127, 255, 127], red, red])


def test_a_map_without_evidence_is_all_blue_and_one_of_full_strength_all_red():
  image = np.full((4, 4, 3), 100, np.uint8)
  np.testing.assert_array_equal(heatmap(np.zeros((2, 2), np.float32), image, 3.0), np.full((4, 4, 3), [50, 50, 113]))
  np.testing.assert_array_equal(heatmap(np.full((2, 2), 3, np.float32), image, 3.0), np.full((4, 4, 3), [113, 50, 50]))
  # A layer that never spoke in validation has scale 0: still blue, not divided by zero.
  np.testing.assert_array_equal(heatmap(np.zeros((2, 2), np.float32), image, 0.0), np.full((4, 4, 3), [50, 50, 113]))


def test_pixel_gradients_are_grey_where_nothing_speaks():
  np.testing.assert_array_equal(relief(np.array([[[-9.0, 0, 1]]]), 2.0), [[[1, 128, 191]]])


def test_attributions_are_red_for_and_blue_against_and_pale_where_nothing_speaks():
  image = np.full((1, 3, 3), 100, np.uint8)
  against, nothing, strong = tint(np.array([[-2.0, 0, 9]]), image, 2.0)[0].astype(int)
  np.testing.assert_array_equal(against, [0, 60, 220])
  np.testing.assert_array_equal(strong, [200, 0, 20])
  np.testing.assert_array_equal(nothing, [195, 195, 195])


def cells(picture):
  """The pixels of the heatmap and of the first grey picture of a panel of two layers."""
  top = 44 + 20
  return picture[top : top + 176, 192:368].astype(int), picture[top : top + 176, 560:736].astype(int)


@pytest.fixture
def letters(monkeypatch):
  """All text that is drawn, with the font's name."""
  drawn, usual = [], ImageDraw.ImageDraw.text

  def text(self, place, words, fill, letters, **options):
    drawn.append((words, letters.getname()[0]))
    usual(self, place, words, fill, letters, **options)

  monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
  return drawn


@pytest.mark.parametrize(("probability", "label", "title"), [
    (0.0304, 1, "called real, 3.0 % fake; in truth fake: missed"),
    (0.932, 0, "called fake, 93.2 % fake; in truth real: a false alarm"),
    (0.99951, 1, "called fake, over 99.9 % fake; in truth fake: caught"),
    (0.00049, 0, "called real, under 0.1 % fake; in truth real: recognised"),
    (0.0, None, "called real, under 0.1 % fake"), (1.0, None, "called fake, over 99.9 % fake"),
    (0.9994, None, "called fake, 99.9 % fake")])
def test_the_title_says_what_is_said_and_what_is_true(letters, probability, label, title):
  draw_panel(explanation() | {"probability": probability}, "a", SCALE, label=label)
  assert letters[0][0] == title


def test_names_are_drawn_with_letters_that_there_are(letters):
  name = "Müller Ωμέγα мир سلام שלום 张 \U0001f600 e\u0301 \udcf1 a\nb\u202e.jpg"
  expected = r"Müller Ωμέγα мир سلام שלום \u5f20 \U0001f600 é \xf1 a\nb\u202e.jpg"
  if ord("\U0001f600") in _letters():
    expected = expected.replace(r"\U0001f600", "\U0001f600")
  draw_panel(explanation(), name, SCALE)
  draw_feature_grid({"conv1": {"maps": np.ones((2, 2, 9), np.float32), "channels": np.arange(9)}}, name)
  assert letters.count((expected, "DejaVu Sans")) == 2
  tofu = name_font(20).getmask("\U000f0000")
  for letter in set(expected) - {" "}:
    drawn = name_font(20).getmask(letter)
    assert drawn.size != tofu.size or bytes(drawn) != bytes(tofu), letter


def test_a_long_name_ends_before_the_title(letters):
  draw_panel(explanation(), "W" * 255 + ".jpg", SCALE, label=1)
  (name,) = [words for words, font in letters if font == "DejaVu Sans"]
  assert name.startswith("…W") and name.endswith("W.jpg")
  assert WIDTH - 8 - name_font(13).getlength(name) > 8 + ImageFont.load_default(20).getlength(letters[0][0])


def test_the_panel_of_an_image_without_evidence_shows_blue_and_grey_only():
  (quiet, grey), (loud, bright) = (cells(np.asarray(draw_panel(explanation(level), "a", SCALE))) for level in (0, 2))
  assert (quiet[..., 0] - quiet[..., 2]).max() < 0 and (loud[..., 0] - loud[..., 2]).min() > 50
  assert (grey == 128).all() and (bright == 191).all()


def test_a_heatmap_that_contradicts_the_verdict_is_remarked_on():
  quiet, loud = explanation(0.5), explanation(2.5)  # the scale is 2; both are called real
  right = {**loud, "probability": 0.9}
  heights = [draw_panel(result, "a.jpg", SCALE).height for result in (quiet, loud, right)]
  assert heights[1] > heights[0] == heights[2]


def test_cases_are_sorted_into_their_groups():
  labels, probabilities = [1, 1, 1, 0, 0, 0, 1], [0.9, 0.99, 0.2, 0.1, 0.7, 0.45, 0.5]
  assert pick_cases(labels, probabilities, 2) == {
      "caught_fake": [1, 0], "missed_fake": [2], "false_alarm": [4], "true_real": [3, 5], "least_sure": [6, 5]}


def test_many_layers_make_a_longer_panel_of_the_same_width():
  layers = tuple(f"layer3_{i}/conv1" for i in range(14))
  scale = {f"gradcam/{layer}": 1.0 for layer in layers} | {"guided_backprop": 1.0, f"guided_gradcam/{layers[-1]}": 1.0}
  long, short = draw_panel(explanation(layers=layers), "a", scale), draw_panel(explanation(), "a", SCALE)
  assert long.width == short.width == WIDTH
  assert long.height > short.height + 200  # three rows of five; two layers leave room for both grey pictures


def test_a_panel_of_one_attribution_says_how_far_its_sum_is_off():
  result = explanation() | {
      "settings": {"occlusion": {}}, "occlusion": np.full((40, 40), 3, np.float32), "completeness_error": {}}
  plain = np.asarray(draw_panel(result, "a", {"occlusion": 3.0}))
  assert (plain[44 + 20 : 44 + 176, 192 + 20 : 360, 0] == 200).all()
  noted = np.asarray(draw_panel(result | {"completeness_error": {"occlusion": 0.25}}, "a", {"occlusion": 3.0}))
  assert (plain != noted).any()


def test_sentences_of_the_sanity_check_stand_below():
  plain, told = (draw_panel(explanation(), "a", SCALE, check=check) for check in ((), ["Guided backprop fails."]))
  assert told.height == plain.height + 16


def test_the_feature_grid_draws_each_channel_against_its_own_largest_value():
  maps = np.zeros((2, 2, 3), np.float32)
  maps[0, 0] = 8, -2, 0
  picture = np.asarray(draw_feature_grid({"conv1": {"maps": maps, "channels": np.array([5, 9, 1])}}, "a"))
  corner = lambda column: picture[60 + 10, 120 + column * 96 + 10].tolist()
  assert [corner(0), corner(1), corner(2)] == [[255] * 3, [1] * 3, [128] * 3]


def test_the_changed_region_is_outlined_and_nothing_else_is_touched():
  picture, mask = np.full((40, 40, 3), 90, np.uint8), np.zeros((20, 20), np.uint8)
  mask[5:15, 5:15], mask[0, 0] = 255, 128  # unknown pixels have no outline
  drawn = outlined(picture, mask)
  inside, far = drawn[14:26, 14:26], np.concatenate([drawn[:7].ravel(), drawn[34:].ravel()])
  assert (inside == 90).all() and (far == 90).all() and (picture == 90).all()
  for line in (drawn[20, :20, 0], drawn[:20, 20, 0], drawn[20, 20:, 0], drawn[20:, 20, 0]):
    assert (line == 255).sum() == 1 and (line == 30).sum() == 2  # white, and dark on either side
