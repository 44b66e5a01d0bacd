"""The one exception meant for people rather than for programmers."""

from fakeface_jax.lines import one_line


class UserError(ValueError):
  """Something the user can mend: a file, an option, a data set.

  The message is the whole report: one line that names the file or option, says what was expected and what to do.
  Scripts print it without a traceback and exit with a code other than 0.
  """

  def __str__(self):
    return one_line(super().__str__())
