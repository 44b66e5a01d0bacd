"""One picture per image: the verdict and where its evidence lies, large; below it the maps of all layers and methods.

Full colour means the same for every image (see `explain.scale`); maps are brought to colours by `drawing.overlay`.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from fakeface_jax.data.schema import LABELS, THRESHOLD
from fakeface_jax.drawing.lettering import draw_name, font, shortened, wrapped
from fakeface_jax.drawing.numerals import OUTCOMES, UNIT, chance, said
from fakeface_jax.drawing.outline import lines_around, with_lines
from fakeface_jax.drawing.overlay import JET, VIOLET, evidence, heatmap, legend, relief, tint
from fakeface_jax.evaluation.whereabouts import whereabouts
from fakeface_jax.explain.methods import ATTRIBUTION, HEATMAP, METHODS, SENSITIVITY
from fakeface_jax.explain.scale import STRONGEST, drawn, maps_with_keys, strength

CELL = 256  # px, side of a small picture
GAP = 12
COLUMNS = 5
LARGE = 2 * CELL + GAP  # px, side of the large picture
WIDTH = COLUMNS * (CELL + GAP) + GAP
CAPTION = 50  # px below a picture
HEADING = 54  # px above a group of them
LINE = 20  # px, of notes
SIDE = LARGE + 2 * GAP  # where the words beside the large picture begin
THUMBNAIL = 122  # px, four of them in the width of two small pictures
INK, FAINT, PAPER = (20, 20, 20), (90, 90, 90), (255, 255, 255)
TINY, SMALL, PLAIN, HEAD, TITLE = 12, 14, 15, 20, 30  # px, of letters
CALIBRATED = f"full colour is how strongly the strongest {STRONGEST:.0%} of this run's validation fakes speak for fake"
FAINTEST = 0.1  # of full colour; a map that nowhere reaches it says next to nothing

NOTES = {
    HEATMAP: (
        "Heatmaps lie over the photograph, one for each layer, first to last; {untouched} means that nothing spoke for"
        " {target}."),
    SENSITIVITY: "Grey pictures: how a small change of each pixel would move {target}; nothing is mid-grey.",
    ATTRIBUTION: (
        "Red and blue: how much each place adds to the {target} logit or takes from it; no colour means nothing."),
}
UNTOUCHED = {VIOLET: "no colour", JET: "all blue"}
SCALE_NOTE = "The scale is the same for every image: {note}."
EIGEN = "Eigen-CAM shows what stands out to a layer, whatever the class."
CONTRADICTION = (
    "Called {verdict}, and yet the last heatmap is strong for {target}: Grad-CAM weighs a convolution's raw output,"
    " where a negative weight times a negative output counts as evidence too. Go by the verdict, not by the colours.")
BEST = "The large map, {title}, is the one that lies best on the masks of fakes, in this run's audit or validation."
NEAREST, UNRELIABLE = "The most similar training images", "unreliable"
OTHERS, ALONE = "Other methods", "Maps"  # headings


class Trust(NamedTuple):
  """What is known of a run's methods: sentences for whoever looks at their maps, and the names of those that failed."""

  sentences: tuple = ()
  unreliable: tuple = ()


def draw_panel(
    result, name, scale, scale_note=CALIBRATED, check=None, mask=None, label=None, *, judgement=None, best=None,
    points=None, photograph=None, colours=VIOLET):
  """The panel of one image.

  Args:
    result: as `Detector.explain` returns one; feature maps have a picture of their own.
    name: of the image, for the title.
    scale: {scale key: value drawn in full colour}, as `measure_scale` returns it.
    scale_note: what that value means, in words.
    check: a `Trust`, as `runs.sanity.trust` returns it; None where nothing is known of the methods.
    mask: uint8[H, W] of what was changed (255) to draw the outline of, or None.
    label: 0 real, 1 fake, for the title; None where nobody knows.
    judgement: a `verdict.judgement.Judgement`, for the words and the training images beside the large picture; None
      for the verdict of the probability alone.
    best: (method, layer or None) of the map that is known to be this run's best, drawn large; where that is None or not
      in the result, the last layer's Grad-CAM is.
    points: float32[68, 2], the face's landmarks as fractions of what the network sees, to name its parts; or None.
    photograph: uint8[h, w, 3], the original's own pixels of what the network sees, to draw the large map over (see
      `square.seen_part`); None for the network's.
    colours: of `overlay.COLOURS`.
  Returns: a PIL image, RGB, `WIDTH` wide.
  """
  check, target = check or Trust(), LABELS[result["target"]]
  maps = [_Map(name, layer, values, scale[key]) for name, layer, key, values in maps_with_keys(result)]
  first = _large(maps, best, check.unreliable)
  many = Counter(one.name for one in maps)
  groups = _groups(maps, many)
  foot = GAP + LARGE + CAPTION + sum(HEADING + len(rows) * (CELL + CAPTION) for _, rows in groups)
  notes = _notes(result, maps, scale_note, check, judgement, colours)
  notes += [BEST.format(title=first.title)] if best == (first.name, first.layer) else []
  left, start = GAP + len(groups[-1][1][-1]) * (CELL + GAP), foot - CELL - CAPTION
  lines = _lines(notes, WIDTH - left)
  if WIDTH - left < LARGE or LINE * len(lines) > CELL + CAPTION:  # they do not fit beside the last row
    left, start, lines = GAP, foot, _lines(notes, WIDTH - GAP)
  canvas = Image.new("RGB", (WIDTH, max(foot, start + LINE * len(lines) + GAP)), PAPER)
  draw = ImageDraw.Draw(canvas)
  lines_of = {} if mask is None else {side: lines_around(mask, (side, side)) for side in (CELL, LARGE)}
  outline = lambda picture: with_lines(picture, lines_of[len(picture)]) if lines_of else picture
  cell = lambda corner, title, note, picture, name=None: _draw_cell(
      canvas, draw, corner, title, note, outline(picture), name in check.unreliable)

  picture = _resized(result["image"] if photograph is None else photograph, LARGE)
  cell((GAP, GAP), first.title, _numbers(first, result), heatmap(first.evidence, picture, first.full, colours),
       first.name)
  _draw_legend(canvas, draw, (GAP + LARGE - CELL, GAP + LARGE + 4), HEATMAP, target, colours)
  draw_name(draw, (SIDE, GAP), name, FAINT, SMALL, WIDTH - GAP - SIDE)
  draw.text((SIDE, GAP + 24), _headline(result, label, judgement), INK, font(TITLE))
  why = [judgement.why] if judgement else []
  where = _where(first, target, points) if first.name not in check.unreliable else []
  for i, line in enumerate(wrapped(" ".join(why + where), font(HEAD), WIDTH - GAP - SIDE)):
    draw.text((SIDE, GAP + 74 + 28 * i), line, INK, font(HEAD))
  low, seen = GAP + LARGE - CELL, _resized(result["image"], CELL)
  cell((SIDE, low), "what the network sees", "{1} x {0} px".format(*result["image"].shape), seen)
  if judgement:
    _draw_neighbours(canvas, draw, (SIDE + CELL + GAP, low), judgement.neighbours)

  y = GAP + LARGE + CAPTION
  for heading, rows in groups:
    draw.text((GAP, y + HEADING - 12), heading, INK, font(HEAD), anchor="ls")
    kinds = dict.fromkeys(one.kind for row in rows for one in row)
    for i, kind in enumerate(kinds):
      corner = WIDTH - (len(kinds) - i) * (CELL + GAP), y + 4
      _draw_legend(canvas, draw, corner, kind, target, colours)
    y += HEADING
    for row in rows:
      for i, one in enumerate(row):
        title = one.layer if many[one.name] > 1 else one.title
        cell((GAP + i * (CELL + GAP), y), title, _numbers(one, result), one.small(seen, colours), one.name)
      y += CELL + CAPTION
  for i, line in enumerate(lines):
    draw.text((left, start + LINE * i), line, FAINT, font(SMALL))
  return canvas


class _Map(NamedTuple):
  """One map of one image: its method's name, its layer or None, and the value that is drawn in full colour."""

  name: str
  layer: str | None
  values: np.ndarray
  full: float

  @property
  def kind(self):
    return METHODS[self.name].kind

  @property
  def title(self):
    return METHODS[self.name].title + (f", {self.layer}" if self.layer else "")

  @property
  def evidence(self):
    return evidence(self.kind, self.values)

  def small(self, seen, colours):
    """Its picture beside others, over what the network sees."""
    if self.kind == HEATMAP:
      return heatmap(self.values, seen, self.full, colours)
    if self.kind == SENSITIVITY:
      return _resized(relief(self.values, self.full), CELL)
    return tint(drawn(self.kind, self.values), seen, self.full)


def large_map(result, scale, best=None, check=None):
  """The map that `draw_panel` draws large, with `kind`, `values` and `full`, from the same arguments."""
  maps = [_Map(name, layer, values, scale[key]) for name, layer, key, values in maps_with_keys(result)]
  return _large(maps, best, (check or Trust()).unreliable)


def _large(maps, best, unreliable):
  """The map that is drawn large: the best, or else the last of Grad-CAM, or of what is no worse than others."""
  for wanted in (
      lambda one: best == (one.name, one.layer), lambda one: one.name == "gradcam",
      lambda one: one.kind == HEATMAP and one.name != "eigencam", lambda one: one.name not in unreliable,
      lambda one: True):
    found = [one for one in maps if wanted(one)]
    if found:
      return found[-1]
  raise ValueError("result: expected at least one map besides feature maps")


def _groups(maps, many):
  """[(heading, rows of its maps)]: methods of which there are several maps, then all that there is only one of."""
  members = {name: [one for one in maps if one.name == name] for name, count in many.items() if count > 1}
  groups = [(METHODS[name].title, several) for name, several in members.items()]
  single = [one for one in maps if one.name not in members]
  if single:
    groups.append((OTHERS if groups else ALONE, single))
  return [(heading, _in_rows(several)) for heading, several in groups]


def _in_rows(members):
  """As few rows as there can be, about as long as each other."""
  length = -(-len(members) // -(-len(members) // COLUMNS))
  return [members[i : i + length] for i in range(0, len(members), length)]


def _numbers(one, result):
  words = f"max {strength(one.kind, one.values):.2g}"
  if one.name in result["completeness_error"]:
    return f"{words} of {one.full:.2g}, sum off {abs(result['completeness_error'][one.name]):.1g}"
  return f"{words}, full colour {one.full:.2g}"


def _headline(result, label, judgement):
  """The verdict and the truth, where it is known."""
  if judgement is None:
    return _capital(said(result["probability"], label))
  verdict = judgement.verdict
  words = f"{_capital(verdict)} ({chance(judgement.probability).replace(UNIT, ' %')} fake)"
  if label is None:
    return words
  return f"{words}; in truth {LABELS[label]}" + (
      f": {OUTCOMES[label][LABELS.index(verdict)]}" if verdict in LABELS else "")


def _capital(words):
  return words[0].upper() + words[1:]


def _where(one, target, points):
  """A sentence on where the large map lies, in a list; none where it is spread, or says nothing of the class."""
  if one.name == "eigencam":
    return []
  if one.evidence.max() <= FAINTEST * one.full:
    return [f"Next to nothing speaks for {target} in this map."]
  words = whereabouts(one.evidence, points)
  return [f"What speaks for {target} lies mostly {words}."] if words else []


def _notes(result, maps, scale_note, check, judgement, colours):
  target = LABELS[result["target"]]
  kinds = dict.fromkeys(one.kind for one in maps)
  notes = [NOTES[kind].format(target=target, untouched=UNTOUCHED[colours]) for kind in kinds]
  notes = [" ".join([*notes, SCALE_NOTE.format(note=scale_note)]), *check.sentences]
  if "eigencam" in result["settings"]:
    notes.append(EIGEN)
  verdict = judgement.verdict if judgement else LABELS[int(result["probability"] >= THRESHOLD)]
  cams = [one for one in maps if one.name == "gradcam"]
  if cams and verdict in LABELS and verdict != target and strength(HEATMAP, cams[-1].values) >= cams[-1].full > 0:
    notes.append(CONTRADICTION.format(verdict=verdict, target=target))
  return notes


def _lines(notes, width):
  return [line for note in notes for line in wrapped(note, font(SMALL), width - GAP)]


def _resized(pixels, side):
  return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def _draw_cell(canvas, draw, corner, title, note, pixels, unreliable=False):
  (x, y), side = corner, len(pixels)
  canvas.paste(Image.fromarray(pixels), corner)
  if unreliable:
    draw.rectangle((x, y, x + font(PLAIN).getlength(UNRELIABLE) + 16, y + 25), fill=INK)
    draw.text((x + 8, y + 13), UNRELIABLE, PAPER, font(PLAIN), anchor="lm")
  draw.text((x, y + side + 3), shortened(title, font(PLAIN), CELL), INK, font(PLAIN))
  draw.text((x, y + side + 22), shortened(note, font(TINY), CELL), FAINT, font(TINY))


def _draw_legend(canvas, draw, corner, kind, target, colours):
  x, y = corner
  title, (low, middle, high), bar = legend(kind, target, colours)
  draw.text((x, y), title, INK, font(TINY))
  canvas.paste(Image.fromarray(bar).resize((CELL, 10)), (x, y + 16))
  for at, words, anchor in ((x, low, "la"), (x + CELL // 2, middle, "ma"), (x + CELL, high, "ra")):
    draw.text((at, y + 28), words, FAINT, font(TINY), anchor=anchor)


def _draw_neighbours(canvas, draw, corner, neighbours):
  x, y = corner
  draw.text((x, y), NEAREST, INK, font(PLAIN))
  for i, one in enumerate(neighbours[:4]):
    left = x + i * (THUMBNAIL + GAP)
    canvas.paste(Image.fromarray(_resized(one.thumbnail, THUMBNAIL)), (left, y + 26))
    draw.text((left, y + 26 + THUMBNAIL + 3), one.label, INK, font(PLAIN))
    draw.text((left, y + 26 + THUMBNAIL + 22), f"distance {one.distance:.2g}", FAINT, font(TINY))
    draw_name(draw, (left, y + 26 + THUMBNAIL + 38), one.name, FAINT, TINY, THUMBNAIL)
