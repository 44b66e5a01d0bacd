import re

import pytest

from fakeface_jax.drawing.charts import (
    LEFT,
    RIGHT,
    TOP,
    Line,
    ceiling,
    count_axis,
    histogram,
    line_chart,
    number_axis,
    share_axis,
    steps_axis,
    whisker,
)


def points(figure, style):
  """[[(x, y)] for each run of a line]."""
  return [[tuple(map(float, pair.split(","))) for pair in run.split()]
          for run in re.findall(rf'<polyline class="line {style}" points="([^"]*)"', figure)]


def test_a_line_goes_from_corner_to_corner_of_the_plot():
  figure = line_chart("A", "up", [Line("", [(0, 0), (1, 1)], "s0")], number_axis("x"), share_axis("y"), size=(400, 300))
  ((start, end),) = points(figure, "s0")
  assert start[0] == LEFT and end == (400 - RIGHT, TOP) and TOP < start[1] < 300 - 40


def test_a_point_that_is_not_known_leaves_a_gap():
  line = Line("", [(0, 0.1), (0.2, 0.2), (0.4, None), (0.6, 0.3), (0.8, 0.2), (None, 0.1), (1, 0.9)], "s0",
              [(0, 0.2), (0.1, 0.3), (None, None), (0.2, 0.4), (0.1, 0.3), (0, 1), (0.8, 1)])
  figure = line_chart("A", "gaps", [line], number_axis("x"), number_axis("y"))
  assert [len(run) for run in points(figure, "s0")] == [2, 2]
  assert figure.count("<circle") == 5  # the last one stands alone
  assert len(re.findall(r'<line class="line s0"', figure)) == 5  # whiskers


def test_words_of_a_chart_are_no_markup():
  figure = line_chart("<b>", '"><script>', [Line("<i>", [(0, 0)], "s0"), Line("b", [(0, 1)], "s1")],
                      steps_axis("<u>", ["<s>"]), number_axis("<em>"))
  assert re.findall(r"<(b|script|i|u|s|em)>", figure) == []
  assert 'aria-label="&#34;&gt;&lt;script&gt;"' in figure and "&lt;s&gt;" in figure


def test_only_a_chart_of_several_lines_has_a_legend():
  one, two = Line("one", [(0, 0)], "s0"), Line("two", [(0, 1)], "s1")
  assert "legend" not in line_chart("A", "gist", [one], number_axis("x"), number_axis("y"))
  assert line_chart("A", "gist", [one, two], number_axis("x"), number_axis("y")).count("<li>") == 2


def test_bars_are_as_high_as_their_counts():
  figure = histogram("A", "gist", [0, 0.5, 1], [("real", "neutral", [8, 0]), ("fake", "s0", [2, 4])],
                     share_axis("x"), "images", size=(400, 300))
  bars = [tuple(map(float, bar)) for bar in re.findall(
      r'<rect class="bar [^"]*" x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="([\d.]+)"', figure)]
  heights = [height for *_, height in bars]
  assert heights[1] == 0
  assert (heights[0], heights[0]) == pytest.approx((4 * heights[2], 2 * heights[3]), abs=0.5)
  (x, width, _), (x_of_fake, *_) = bars[0], bars[2]
  assert x_of_fake == pytest.approx(x + width, abs=0.11)  # side by side in the same bin


@pytest.mark.parametrize(("most", "ticks"), [
    (0, [0, 1]), (3, [0, 1, 2, 3]), (8, [0, 2, 4, 6, 8]), (81, [0, 50, 100]), (4000, [0, 1000, 2000, 3000, 4000])])
def test_counts_are_marked_at_round_numbers(most, ticks):
  axis = count_axis("images", most)
  assert [value for value, _ in axis.ticks] == ticks and axis.high == ticks[-1] >= most


def test_an_axis_holds_all_values_and_no_more_than_a_tenth_beyond():
  assert ceiling([0.31, None, 0.428]) == 0.5
  assert ceiling([0.3]) == 0.3 and ceiling([]) == ceiling([None]) == ceiling([0.0]) == 0.1
  assert [value for value, _ in share_axis("x", 0.3).ticks] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_whisker_marks_value_and_interval_and_is_not_there_without_a_value():
  drawn = whisker([0.5, 0.25, 0.75])
  assert 'cx="70.0"' in drawn and 'x1="37.0" x2="103.0"' in drawn
  assert 'class="span"' not in whisker([0.5, None, None])
  assert whisker(None) == whisker([None, None, None]) == ""
