"""Charts as inline SVG, coloured by the page's style sheet so that they follow the light and the dark scheme.

Every chart is a figure: a caption, the SVG with its gist as an alternative text, and a legend of wrapping words.
"""

import itertools
from typing import NamedTuple

from markupsafe import Markup, escape

from fakeface_jax.drawing.numerals import percent

LEFT, RIGHT, TOP, BOTTOM = 62, 18, 10, 44  # px around the plot, for ticks and titles


class Line(NamedTuple):
  """One line of a chart."""

  name: str  # for the legend; '' for none
  points: list  # of (x, y), either may be None for a gap
  style: str  # classes of the style sheet: a colour, 's0' to 's5' or 'neutral'; 'faint', 'dashed'
  whiskers: list | None = None  # (low, high) for each point


class Axis(NamedTuple):
  """title, the values at its two ends, and [(value, label)] where it is marked."""

  title: str
  low: float
  high: float
  ticks: list


def share_axis(title, high=1.0):
  """An axis in per cent from 0 to `high`, in tenths; marked at every quarter of 1, or every tenth of less."""
  steps = 4 if high == 1 else round(10 * high)
  return Axis(title, 0, high, [(high * i / steps, percent(high * i / steps, 0)) for i in range(steps + 1)])


def number_axis(title):
  """An axis of plain numbers from 0 to 1."""
  return Axis(title, 0, 1, [(i / 4, f"{i / 4:g}") for i in range(5)])


def count_axis(title, most):
  """An axis of counts from 0 to `most` or a little more, marked at 1, 2 or 5 times a power of ten."""
  power = 10 ** max(len(str(most // 4)) - 1, 0)
  step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if 4 * step >= most)
  steps = max(-(-most // step), 1)
  return Axis(title, 0, steps * step, [(i * step, f"{i * step:,}") for i in range(steps + 1)])


def steps_axis(title, labels):
  """An axis of evenly spaced names, at 0, 1, 2, ..."""
  return Axis(title, -0.3, max(len(labels) - 1, 0) + 0.3, list(enumerate(map(str, labels))))


def ceiling(values, least=0.1):
  """The end of an axis from 0 that holds all values, rounded up to a tenth."""
  highest = max((value for value in values if value is not None), default=least)
  return max(-(-round(highest * 1000) // 100) / 10, least)


def line_chart(title, gist, lines, x, y, *, size=(420, 300), slanted=False):
  """A chart of `Line`s over two `Axis`.

  Args:
    title: the caption; may hold markup of the page's own.
    gist: what the chart says, in words and figures, for whoever does not see it.
    slanted: write the marks of the x axis slantwise, for long names.
  Returns: Markup of a figure.
  """
  longest = max((len(label) for _, label in x.ticks), default=0)
  bottom = max(BOTTOM, 4.4 * longest + 24) if slanted else BOTTOM
  across, up = _scale(x, LEFT, size[0] - RIGHT), _scale(y, size[1] - bottom, TOP)
  drawn = [_grid(x, y, across, up, size, bottom, slanted), *(_line(line, across, up) for line in lines)]
  return _figure(title, gist, drawn, size, [(line.name, line.style) for line in lines if line.name])


def histogram(title, gist, edges, counts, x, y_title, *, size=(420, 300)):
  """Bars side by side in every bin.

  Args: edges: float[B + 1]. counts: [(name, style, int[B])].
  Returns: Markup of a figure.
  """
  y = count_axis(y_title, max(count for _, _, values in counts for count in values))
  across, up = _scale(x, LEFT, size[0] - RIGHT), _scale(y, size[1] - BOTTOM, TOP)
  drawn = [_grid(x, y, across, up, size, BOTTOM, False)]
  for i, (_, style, values) in enumerate(counts):
    for low, high, count in zip(edges[:-1], edges[1:], values, strict=True):
      width = (across(high) - across(low) - 2) / len(counts)
      drawn.append(Markup('<rect class="bar {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
          style, across(low) + 1 + i * width, up(count), width, up(0) - up(count)))
  return _figure(title, gist, drawn, size, [(name, f"{style} filled") for name, style, _ in counts])


def whisker(interval):
  """A dot with its interval on a line from 0 to 1, for a table's cell; the number beside it says the same."""
  value, low, high = interval or (None, None, None)
  if value is None:
    return Markup("")
  at = lambda share: 4 + 132 * min(max(share, 0), 1)
  marks = [Markup('<line class="rail" x1="4" x2="136" y1="8" y2="8"/>')]
  if low is not None and high is not None:
    marks.append(Markup('<line class="span" x1="{:.1f}" x2="{:.1f}" y1="8" y2="8"/>').format(at(low), at(high)))
  marks.append(Markup('<circle cx="{:.1f}" cy="8" r="4"/>').format(at(value)))
  return Markup('<svg class="whisker" viewBox="0 0 140 16" width="140" height="16" aria-hidden="true">{}</svg>').format(
      Markup("").join(marks))


def _scale(axis, start, end):
  span = (axis.high - axis.low) or 1
  return lambda value: start + (value - axis.low) / span * (end - start)


def _grid(x, y, across, up, size, bottom, slanted):
  foot = size[1] - bottom
  drawn = []
  for value, label in y.ticks:
    drawn.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
        LEFT, size[0] - RIGHT, up(value), up(value)))
    drawn.append(Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(LEFT - 6, up(value) + 4, label))
  for value, label in x.ticks:
    place = Markup('x="{:.1f}" y="{}" text-anchor="middle"').format(across(value), foot + 17)
    if slanted:
      place = Markup('text-anchor="end" transform="translate({:.1f} {}) rotate(-40)"').format(
          across(value) + 4, foot + 14)
    drawn.append(Markup('<line class="tick" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
        across(value), foot, foot + 4))
    drawn.append(Markup("<text {}>{}</text>").format(place, label))
  drawn.append(Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(
      (LEFT + size[0] - RIGHT) / 2, size[1] - 7, x.title))
  upright = Markup('<text class="axis" text-anchor="middle" transform="translate(11 {}) rotate(-90)">{}</text>')
  drawn.append(upright.format((TOP + foot) / 2, y.title))
  return Markup("").join(drawn)


def _line(line, across, up):
  runs = [[(across(px), up(py)) for px, py in run]
          for there, run in itertools.groupby(line.points, lambda point: None not in point) if there]
  drawn = [Markup('<polyline class="line {}" points="{}"/>').format(
      line.style, " ".join(f"{px:.1f},{py:.1f}" for px, py in run)) for run in runs if len(run) > 1]
  for (px, _), bounds in zip(line.points, line.whiskers or [], strict=False):
    if px is not None and None not in bounds:
      drawn.append(Markup('<line class="line {0}" x1="{1:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{3:.1f}"/>').format(
          line.style.replace("dashed", ""), across(px), *map(up, bounds)))
  if len(line.points) <= 16 and "dashed" not in line.style and "faint" not in line.style:
    drawn += [Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(line.style, *point)
              for run in runs for point in run]
  return Markup("").join(drawn)


def _figure(title, gist, drawn, size, legend):
  svg = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
      *size, gist, Markup("").join(drawn))
  entries = Markup("").join(
      Markup('<li><svg class="key" viewBox="0 0 24 8" width="24" height="8" aria-hidden="true"><line class="line {}"'
             ' x1="1" x2="23" y1="4" y2="4"/></svg>{}</li>').format(style, name) for name, style in legend)
  return Markup('<figure class="chart"><figcaption>{}</figcaption>{}{}</figure>').format(
      escape(title), svg, Markup('<ul class="legend">{}</ul>').format(entries) if len(legend) > 1 else "")
