"""Text of any origin, such as the names of files, as a line that any output takes."""

import re

# Controls, line and paragraph ends, marks that turn the direction of writing, and bytes of a name that are no UTF-8.
_NOT_FOR_A_LINE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")


def one_line(text) -> str:
  """Text with file names in it as one line that any output takes: what is not to be shown is written as an escape.

  Names keep letters of all scripts; a name's byte that is no UTF-8 becomes '\\xf1', a new line in it '\\n'.
  """
  return _NOT_FOR_A_LINE.sub(lambda found: escaped(found[0]), str(text))


def listed(words) -> str:
  """['a', 'b', 'c'] -> 'a, b and c'."""
  return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def escaped(character):
  r"""A character as it is written in Python, '\n'; a byte of a name that is no UTF-8 as '\xf1'."""
  if "\udc80" <= character <= "\udcff":
    return f"\\x{ord(character) - 0xDC00:02x}"
  return character.encode("unicode_escape").decode()
