"""How figures are written in the report: a value and, paler, its 95 % interval; a dash where there is none."""

import math

from markupsafe import Markup

from fakeface_jax.data.schema import LABELS, THRESHOLD
from fakeface_jax.lines import one_line

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
UNIT = "\N{NO-BREAK SPACE}%"
OUTCOMES = (("recognised", "a false alarm"), ("missed", "caught"))  # of reals and fakes that are called real and fake


def percent(value, digits=1):
  """0.4821 as '48.2 %'; None as a dash."""
  return NONE if value is None else f"{100 * value:.{digits}f}{UNIT}"


def chance(probability):
  """A probability of 0.4821 as '48.2 %'; what would be written as 0 or 100, which no network can know, as near it."""
  text = percent(probability)
  return {f"100.0{UNIT}": f"over 99.9{UNIT}", f"0.0{UNIT}": f"under 0.1{UNIT}"}.get(text, text)


def said(probability, label=None):
  """What the network says of an image and, where the label is known, whether it is right, in a line."""
  called = int(probability >= THRESHOLD)
  line = f"called {LABELS[called]}, {chance(probability).replace(UNIT, ' %')} fake"  # the font has no such space
  return line if label is None else f"{line}; in truth {LABELS[label]}: {OUTCOMES[label][called]}"


def decimal(value):
  """0.4821 as '0.482'; None as a dash."""
  return NONE if value is None else f"{value + 0.0:.3f}"


def signed(value):
  """0.0821 as '+8.2', in percentage points; None as a dash."""
  return NONE if value is None else f"{100 * value:+.1f}".replace("-", MINUS)


def signed_decimal(value):
  """0.0821 as '+0.082'; None as a dash."""
  return NONE if value is None else f"{value:+.3f}".replace("-", MINUS)


def between(interval, written=percent):
  """[v, low, high] as 'low to high', the unit left out, with a dash where both are plain; '' without an interval."""
  value, low, high = interval or (None, None, None)
  if value is None or low is None or high is None:
    return ""
  low, high = (written(bound).removesuffix(UNIT) for bound in (low, high))
  return f"{low} to {high}" if low[0] in "+" + MINUS else f"{low}{NONE}{high}"


def measured(interval, written=percent, reason=""):
  """[v, low, high], or None, as HTML: the value, then its interval or the reason why there is no value, paler."""
  value = (interval or [None])[0]
  beside = reason if value is None else between(interval, written)
  return Markup("{}{}").format(written(value), Markup(" <small>{}</small>").format(beside) if beside else "")


def spoken(interval, written=percent):
  """[v, low, high] as plain text, for alternative texts: '48.2 % (45.1 to 51.0)', with a dash."""
  value, beside = (interval or [None])[0], between(interval, written)
  return written(value) + (f" ({beside})" if beside else "")


def finite(part):
  """A nested audit with None in the place of NaN and infinities, which are no figures, and names that can be shown."""
  if isinstance(part, dict):
    return {key: finite(value) for key, value in part.items()}
  if isinstance(part, list | tuple):
    return [finite(value) for value in part]
  if isinstance(part, str):
    return one_line(part)
  return None if isinstance(part, float) and not math.isfinite(part) else part
