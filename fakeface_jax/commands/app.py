"""What every script does around its work: flags, messages, the compilation cache, errors for people.

Scripts import this first, and absl's `flags` from here: from then on Ctrl-C ends without a traceback.
"""

from fakeface_jax.commands import interrupts  # isort: split

import gc
import logging
import os
import sys
from functools import partial

from absl import app, flags
from absl import logging as absl_logging

from fakeface_jax import progress
from fakeface_jax.commands import command_line, surroundings
from fakeface_jax.commands.command_line import ROOT, config_file, define_config
from fakeface_jax.compilation_cache import use_compilation_cache
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.lines import one_line
from fakeface_jax.paths import take_user_paths

__all__ = ["ROOT", "config_file", "define_config", "exit_code", "flags", "no_positional", "run"]

NOBODY_READS = 141  # the exit code of what a shell's pipe ends by SIGPIPE


def run(main, lists=()):
  """Parses the flags, calls `main(positional arguments) -> exit code`, and turns a UserError into one line.

  Args: `lists`: what --help lists besides the flags, see `command_line.LISTS`.
  """
  interrupts.listen()
  surroundings.open_streams()
  try:
    with surroundings.left_as_found():
      app.run(lambda argv: _guard(main, argv[1:]), flags_parser=partial(_parse, lists))
  except SystemExit:
    if not surroundings.in_ipython():  # it would show where the exit code came from, which nobody asks for there
      raise
  finally:
    command_line.forget()


def _parse(lists, argv):
  try:
    return command_line.parse(argv, lists)
  except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
  except OSError as error:  # of what takes the help
    sys.exit(_ended_by(error))


def _guard(main, arguments):
  try:
    with interrupts.working(), progress.working():
      _set_up_messages()
      surroundings.choose_folders()
      import_jax()
      _set_up_compilation_cache()
      if "" in arguments:
        raise UserError("an argument is empty (''); name a file or folder, '.' for the current one")
      code = main(take_user_paths(flags.FLAGS, arguments))
      sys.stdout.flush()
      return code
  except UserError as error:
    print(f"error: {command_line.in_flags(str(error))}", file=sys.stderr)
    return 1
  except BaseException as error:
    if isinstance(error, OSError) and (not interrupts.pressed() or _nobody_reads(error)):
      return _ended_by(error)
    if not (isinstance(error, KeyboardInterrupt) or interrupts.pressed()):
      raise
    # also what fails because it was interrupted half way
    print("interrupted; the same command goes on from what was saved", file=sys.stderr)
    return 130


def _nobody_reads(error):
  return isinstance(error, BrokenPipeError) and surroundings.nobody_reads()


def _ended_by(error):
  """The exit code after an OSError (a full disk, no right to write), which is told unless nobody reads any more."""
  if _nobody_reads(error):
    surroundings.drop_output()
    return NOBODY_READS
  print(f"error: {of_disk(error)}", file=sys.stderr)
  try:
    sys.stdout.flush()
  except OSError:  # where it takes nothing: Python would try again at its end
    surroundings.drop_output()
  return 1


def _set_up_messages():
  absl_logging.set_verbosity(absl_logging.ERROR)  # Orbax and TFDS tell much that no user can act on
  handler = progress.LogLines()
  handler.setFormatter(logging.Formatter("%(message)s"))
  ours = logging.getLogger("fakeface_jax")
  ours.handlers = [handler]
  ours.setLevel(logging.INFO)
  ours.propagate = False
  if not progress.interactive() and not surroundings.in_ipython():
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars of libraries, which would fill a file with carriage returns


def import_jax():
  """Imports it, past the garbage collector: none of the many objects ever is garbage, and to look costs a third.

  Where it has been imported, as in a notebook that runs its second script, there is garbage.
  """
  if "jax" in sys.modules:
    return
  gc.disable()
  try:
    import jax  # noqa: F401
  finally:
    gc.freeze()
    gc.enable()


def _set_up_compilation_cache():
  use_compilation_cache(compilation_cache())
  progress.watch_compiling()


def compilation_cache():
  """The folder in which compiled calls are kept from one command to the next."""
  cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser(os.path.join("~", ".cache"))
  return os.environ.get("JAX_COMPILATION_CACHE_DIR") or os.path.join(cache, "fakeface_jax", "xla")


def no_positional(arguments):
  """Raises UserError where a script that takes no positional arguments was given some."""
  if arguments:
    raise UserError(f"unexpected argument {arguments[0]!r}; options begin with --, see --help")


def exit_code(failures):
  """1 where some inputs failed, after listing them, (name, reason) each; 0 where none did."""
  if failures:
    print(f"{len(failures)} could not be read:", file=sys.stderr)
  for name, reason in failures:
    name, reason = one_line(name), one_line(reason)
    print(f"  {reason}" if name in reason else f"  {name}: {reason}", file=sys.stderr)
  return 1 if failures else 0
