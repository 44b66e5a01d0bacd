import numpy as np

from fakeface_jax.drawing.numerals import (
    between,
    chance,
    decimal,
    finite,
    measured,
    percent,
    signed,
    signed_decimal,
    spoken,
)

SPACE, DASH, MINUS = "\N{NO-BREAK SPACE}", "\N{EN DASH}", "\N{MINUS SIGN}"


def test_figures_are_written_with_their_unit_and_none_as_a_dash():
  assert (percent(0.4821), percent(0.4821, 0), percent(0)) == (f"48.2{SPACE}%", f"48{SPACE}%", f"0.0{SPACE}%")
  assert (decimal(0.4821), decimal(-0.0)) == ("0.482", "0.000")
  assert (signed(0.0821), signed(-0.0821)) == ("+8.2", f"{MINUS}8.2")
  assert (signed_decimal(0.0821), signed_decimal(-0.5)) == ("+0.082", f"{MINUS}0.500")
  assert {write(None) for write in (percent, decimal, signed, signed_decimal)} == {DASH}


def test_no_probability_is_written_as_certain():
  assert [chance(value) for value in (0, 0.0004, 0.0006, 0.5, 0.9994, 0.9996, 1, None)] == [
      f"under 0.1{SPACE}%", f"under 0.1{SPACE}%", f"0.1{SPACE}%", f"50.0{SPACE}%", f"99.9{SPACE}%",
      f"over 99.9{SPACE}%", f"over 99.9{SPACE}%", DASH]


def test_an_interval_stands_after_its_value_and_paler():
  assert between([0.48, 0.45, 0.51]) == f"45.0{DASH}51.0"
  assert between([0.1, -0.1, 0.3], signed) == f"{MINUS}10.0 to +30.0"
  assert between([0.48, None, None]) == between(None) == between([None, None, None]) == ""
  assert str(measured([0.48, 0.45, 0.51])) == f"48.0{SPACE}% <small>45.0{DASH}51.0</small>"
  assert str(measured([0.48, None, None], decimal)) == "0.480"
  assert spoken([0.48, 0.45, 0.51], decimal) == f"0.480 (0.450{DASH}0.510)" and spoken(None) == DASH


def test_a_figure_that_is_not_there_says_why_and_the_reason_is_no_markup():
  assert str(measured([None, None, None], reason="no <fake>")) == f"{DASH} <small>no &lt;fake&gt;</small>"
  assert str(measured(None)) == DASH
  assert "no reason" not in measured([0.5, 0.4, 0.6], reason="no reason")


def test_nan_and_infinity_are_no_figures():
  part = {"a": [1, float("nan"), (np.float64("inf"),)], "b": {"c": -float("inf"), "d": "nan", "e": 0.5}}
  assert finite(part) == {"a": [1, None, [None]], "b": {"c": None, "d": "nan", "e": 0.5}}
