from types import SimpleNamespace

import numpy as np
import pytest
from PIL import ImageDraw

from fakeface_jax.data.forging.landmarks import FRAME_POINTS
from fakeface_jax.data.schema import LABELS
from fakeface_jax.drawing.feature_grid import draw_feature_grid
from fakeface_jax.drawing.lettering import _letters, name_font
from fakeface_jax.drawing.outline import outlined
from fakeface_jax.drawing.overlay import JET
from fakeface_jax.drawing.panel import CAPTION, CELL, GAP, HEADING, LARGE, WIDTH, Trust, draw_panel
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


ROW = GAP + LARGE + CAPTION + HEADING  # where the first row of small pictures begins


def cells(panel, row=0):
  """The pictures of a row of small ones, int[256, 256, 3] each."""
  y = ROW + row * (CELL + CAPTION)
  picture = np.asarray(panel)[y : y + CELL].astype(int)
  return [picture[:, x : x + CELL] for x in range(GAP, WIDTH - CELL, CELL + GAP)]


def large(panel):
  return np.asarray(panel)[GAP : GAP + LARGE, GAP : GAP + LARGE].astype(int)


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
    (0.0304, 1, "Called real, 3.0 % fake; in truth fake: missed"),
    (0.932, 0, "Called fake, 93.2 % fake; in truth real: a false alarm"),
    (0.99951, 1, "Called fake, over 99.9 % fake; in truth fake: caught"),
    (0.00049, 0, "Called real, under 0.1 % fake; in truth real: recognised"),
    (0.0, None, "Called real, under 0.1 % fake"), (1.0, None, "Called fake, over 99.9 % fake"),
    (0.9994, None, "Called fake, 99.9 % fake")])
def test_the_title_says_what_is_said_and_what_is_true(letters, probability, label, title):
  draw_panel(explanation() | {"probability": probability}, "a", SCALE, label=label)
  assert (title, "Aileron") in letters


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


def test_a_long_name_fits_beside_the_large_picture(letters):
  draw_panel(explanation(), "W" * 255 + ".jpg", SCALE, label=1)
  (name,) = [words for words, font in letters if font == "DejaVu Sans"]
  assert name.startswith("…W") and name.endswith("W.jpg")
  assert name_font(14).getlength(name) <= WIDTH - LARGE - 3 * GAP


JUDGED = SimpleNamespace(
    verdict="fake", why="At 90 % confidence only 'fake' remains.", probability=0.97, confidence=0.9, neighbours=[
        SimpleNamespace(
            name=f"train/{i}.jpg", label=LABELS[i % 2], distance=0.1 * i,
            thumbnail=np.full((64, 64, 3), 50 * i, np.uint8))
        for i in range(4)])


@pytest.mark.parametrize(("changed", "label", "title"), [
    ({}, None, "Fake (97.0 % fake)"), ({}, 1, "Fake (97.0 % fake); in truth fake: caught"),
    ({"probability": 1.0}, 0, "Fake (over 99.9 % fake); in truth real: a false alarm"),
    ({"verdict": "real", "probability": 0.0}, 1, "Real (under 0.1 % fake); in truth fake: missed"),
    ({"verdict": "cannot tell", "probability": 0.5}, 1, "Cannot tell (50.0 % fake); in truth fake"),
    ({"verdict": "cannot tell"}, None, "Cannot tell (97.0 % fake)")])
def test_a_judgement_is_said_in_its_own_words(letters, changed, label, title):
  draw_panel(explanation(), "a", SCALE, label=label, judgement=SimpleNamespace(**vars(JUDGED) | changed))
  words = [words for words, _ in letters]
  assert title in words and not any(said.startswith("Called") for said in words)
  assert "At 90 % confidence only 'fake' remains. Next to nothing speaks for fake in this map." in words


def test_the_most_similar_training_images_stand_beside_the_large_picture(letters):
  panel = draw_panel(explanation(), "a", SCALE, judgement=JUDGED)
  y = GAP + LARGE - CELL + 80
  x = 2 * GAP + LARGE + CELL + GAP + 60
  assert [np.asarray(panel)[y, x + 134 * i].tolist() for i in range(4)] == [[50 * i] * 3 for i in range(4)]
  words = [words for words, _ in letters]
  place = words.index("The most similar training images")
  assert words[place + 1 : place + 7] == ["real", "distance 0", "train/0.jpg", "fake", "distance 0.1", "train/1.jpg"]


def test_the_panel_of_an_image_without_evidence_shows_the_photograph_and_grey_only():
  quiet, loud = (draw_panel(explanation(level), "a", SCALE) for level in (0, 2))
  assert (large(quiet) == 100).all() and (large(loud) == (130, 40, 193)).all()
  assert (cells(quiet)[0] == 100).all() and (cells(loud)[0] == (130, 40, 193)).all()
  below = lambda panel: np.asarray(panel)[ROW + CELL + CAPTION + HEADING + 100, GAP + 100].tolist()
  assert below(quiet) == [128] * 3 and below(loud) == [191] * 3
  blue = draw_panel(explanation(), "a", SCALE, colours=JET)
  assert (large(blue) == (50, 50, 114)).all() and (cells(blue)[0] == (50, 50, 114)).all()


def layered(**layers):
  """An explanation by Grad-CAM and LayerCAM; `layers`: the value of each of LayerCAM's."""
  spot = np.zeros((8, 8), np.float32)
  spot[6:, 6:] = 2
  return explanation() | {
      "gradcam": {"layer4_1/conv1": spot.T[::-1].copy(), "layer4_1/conv2": spot},
      "layercam": {layer: np.full((3, 3), value, np.float32) for layer, value in layers.items()},
      "settings": {"gradcam": {"layers": ("layer4_1/conv1", "layer4_1/conv2")}, "layercam": {"layers": tuple(layers)},
                   "guided_backprop": {}}}


@pytest.mark.parametrize(("best", "title", "where"), [
    (None, "Grad-CAM, layer4_1/conv2", "What speaks for fake lies mostly in the lower right of the picture."),
    (("gradcam", "layer4_1/conv1"), "Grad-CAM, layer4_1/conv1",
     "What speaks for fake lies mostly in the upper right of the picture."),
    (("layercam", "layer3_1"), "LayerCAM, layer3_1", None),  # as strong everywhere
    (("layercam", "layer4_1"), "LayerCAM, layer4_1", "Next to nothing speaks for fake in this map."),
    (("hirescam", "layer4_1/conv2"), "Grad-CAM, layer4_1/conv2",
     "What speaks for fake lies mostly in the lower right of the picture.")])
def test_the_large_map_is_the_best_or_else_the_last_layer_s_and_it_is_said_where_it_lies(letters, best, title, where):
  scale = SCALE | {"layercam/layer3_1": 2.0, "layercam/layer4_1": 2.0}
  result = layered(layer3_1=1.0, layer4_1=0.1)
  panel = draw_panel(result, "a", scale, best=best)
  words = [words for words, _ in letters]
  assert words[0] == title
  sentences = [said for said in words if said.endswith("in this map.") or "lies mostly" in said]
  assert sentences == ([where] if where else [])
  assert any("lies best" in said for said in words) is (best is not None and best[0] in result)
  corner = large(panel)[-10, -10].tolist()
  expected = {"gradcam": (130, 40, 193) if title.endswith("conv2") else (100, 100, 100)}
  assert corner == list(expected.get(title.startswith("Grad") and "gradcam", corner))


def test_the_parts_of_a_face_are_named_where_its_landmarks_are_known(letters):
  result = explanation()
  result["gradcam"]["layer4_1/conv2"] = np.zeros((40, 40), np.float32)
  result["gradcam"]["layer4_1/conv2"][29:32, 18:22] = 2
  draw_panel(result, "a", SCALE, points=FRAME_POINTS * (0.26, 0.29) + (0.5, 0.47))
  assert "What speaks for fake lies mostly on the mouth." in [words for words, _ in letters]


def test_pictures_of_methods_that_failed_the_check_say_so_and_nothing_is_read_out_of_them(letters):
  check = Trust(("Guided backprop fails.",), ("guided_backprop",))
  for each in (None, check):
    draw_panel(explanation(), "a", SCALE, check=each)
  words = [words for words, _ in letters]
  assert words.count("unreliable") == 1 and "Guided backprop fails." in words
  only = {"settings": {"guided_backprop": {}}, "guided_backprop": np.full((40, 40, 3), 3, np.float32)}
  letters.clear()
  panel = draw_panel(explanation() | only, "a", SCALE, check=check)
  words = [words for words, _ in letters]
  assert words.count("unreliable") == 2 and not any("speaks for" in said for said in words)  # large, and small
  assert large(panel)[3, 3].tolist() == [20] * 3


def test_signed_maps_alone_are_drawn_large_over_the_photograph():
  pixels = np.zeros((40, 40), np.float32)
  pixels[:20], pixels[20:] = 3, -3
  result = explanation() | {"settings": {"occlusion": {}}, "occlusion": pixels}
  panel = draw_panel(result, "a", {"occlusion": 3.0})
  assert large(panel)[50, 50].tolist() == [130, 40, 193] and large(panel)[-50, -50].tolist() == [100] * 3
  assert np.asarray(panel)[ROW + 10, GAP + 100].tolist() == [200, 0, 20]


def test_the_large_map_lies_over_the_original_s_own_pixels_where_they_are_given():
  photograph = np.zeros((900, 900, 3), np.uint8)
  photograph[:, 450:] = 200
  panel = draw_panel(explanation(), "a", SCALE, photograph=photograph)
  assert (large(panel)[:, :255] == 0).all() and (large(panel)[:, 270:] == 200).all() and (cells(panel)[0] == 100).all()


def test_the_changed_region_is_outlined_on_every_picture():
  mask = np.zeros((40, 40), np.uint8)
  mask[10:30, 10:30] = 255
  panel = draw_panel(explanation(), "a", SCALE, mask=mask)
  seen = np.asarray(panel)[GAP + LARGE - CELL : GAP + LARGE, 2 * GAP + LARGE :][:, :CELL].astype(int)
  for picture in (large(panel), cells(panel)[0], cells(panel)[1], seen):
    side = len(picture)
    line = (picture[side // 2] == 255).all(-1).nonzero()[0]
    assert len(line) == 2 * round(side / 256)
    assert np.abs(np.sort(line).reshape(2, -1) - [[side / 4], [3 * side / 4]]).max() < 4


def test_a_heatmap_that_contradicts_the_verdict_is_remarked_on(letters):
  def remarked(level, **changed):
    letters.clear()
    draw_panel(explanation(level) | changed, "a.jpg", SCALE)
    return any(words.startswith("Called real, and yet") for words, _ in letters)

  assert remarked(2.5) and not remarked(0.5) and not remarked(2.5, probability=0.9)  # the scale is 2


def test_cases_are_sorted_into_their_groups():
  labels, probabilities = [1, 1, 1, 0, 0, 0, 1], [0.9, 0.99, 0.2, 0.1, 0.7, 0.45, 0.5]
  assert pick_cases(labels, probabilities, 2) == {
      "caught_fake": [1, 0], "missed_fake": [2], "false_alarm": [4], "true_real": [3, 5], "least_sure": [6, 5]}


def test_every_kind_of_map_that_there_is_has_its_legend(letters):
  result = explanation() | {"occlusion": np.ones((40, 40), np.float32)}
  result["settings"] = {"guided_backprop": {}, "occlusion": {}}
  draw_panel(result, "a", SCALE | {"occlusion": 1.0})
  words = [words for words, _ in letters]
  assert [words.count(f"{legend} fake") for legend in ("evidence for", "pixels that move", "what adds to")] == [1, 1, 1]
  letters.clear()
  draw_panel(explanation(), "a", SCALE)
  words = [words for words, _ in letters]
  assert [words.count(f"{legend} fake") for legend in ("evidence for", "pixels that move", "what adds to")] == [2, 1, 0]


@pytest.mark.parametrize(("count", "rows", "last"), [(1, 1, 3), (5, 2, 2), (7, 3, 2), (10, 3, 2), (53, 12, 2)])
def test_layers_stand_in_rows_and_the_other_methods_below_them(count, rows, last):
  layers = tuple(f"layer3_{i}/conv1" for i in range(count))
  scale = {f"gradcam/{layer}": 1.0 for layer in layers} | {"guided_backprop": 1.0, f"guided_gradcam/{layers[-1]}": 1.0}
  panel = draw_panel(explanation(layers=layers), "a", scale)
  headings = HEADING * (1 if count == 1 else 2)
  assert panel.size == (WIDTH, GAP + LARGE + CAPTION + headings + rows * (CELL + CAPTION))
  y = panel.height - CAPTION - CELL // 2
  filled = [np.asarray(panel)[y, GAP + 128 + i * (CELL + GAP)].tolist() == [128] * 3 for i in range(5)]
  assert filled == [count > 1, True, count == 1, False, False] and sum(filled) + (count == 1) == last


def test_notes_stand_beside_the_last_row_or_else_below_it(letters):
  check = Trust(("Word " * 400,))
  short, long = (draw_panel(explanation(), "a", SCALE, check=each) for each in (None, check))
  assert long.height > short.height + 100
  note = "Heatmaps lie over the photograph, one for each layer"
  assert sum(words.startswith(note) for words, _ in letters) == 2
  assert "no colour means that nothing spoke for fake" in " ".join(words for words, _ in letters)
  letters.clear()
  draw_panel(explanation(), "a", SCALE, colours=JET)
  assert "all blue means that nothing spoke for fake" in " ".join(words for words, _ in letters)


def test_a_panel_of_one_attribution_says_how_far_its_sum_is_off(letters):
  result = explanation() | {
      "settings": {"occlusion": {}}, "occlusion": np.full((40, 40), 3, np.float32), "completeness_error": {}}
  draw_panel(result, "a", {"occlusion": 3.0})
  assert [words for words, _ in letters].count("max 3, full colour 3") == 2
  draw_panel(result | {"completeness_error": {"occlusion": 0.25}}, "a", {"occlusion": 3.0})
  assert [words for words, _ in letters].count("max 3 of 3, sum off 0.2") == 2


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
