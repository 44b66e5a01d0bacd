"""The one exception meant for people rather than for programmers."""


class UserError(ValueError):
  """Something the user can mend: a file, an option, a data set.

  The message is the whole report: one line that names the file or option, says what was expected and what to do.
  Scripts print it without a traceback and exit with a code other than 0.
  """


def did_you_mean(name, names):
  """'; did you mean ...?' for the end of a message, with the name that is nearest to one there is none of; or ''."""
  import difflib  # here: every import of this package comes by

  nearest = difflib.get_close_matches(name, list(names), 1)
  return f"; did you mean {nearest[0]!r}?" if nearest else ""
