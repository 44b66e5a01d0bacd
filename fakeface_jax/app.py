"""What every script does around its work: flags, messages, the compilation cache, errors for people."""

import logging
import os
import sys
from functools import partial
from pathlib import Path

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import ConfigDict

from fakeface_jax.compilation_cache import use_compilation_cache
from fakeface_jax.errors import UserError, of_disk
from fakeface_jax.lines import one_line
from fakeface_jax.paths import take_user_paths, user_path

ROOT = Path(__file__).parent.parent


def run(main, config="resnet.py"):
  """Parses the flags, calls `main(positional arguments) -> exit code`, and turns a UserError into one line.

  Args: `config`: the file below configs/ that a script with a --config takes without one.
  """
  app.run(lambda argv: _guard(main, argv[1:]), flags_parser=partial(_parse, config))


def _parse(config, argv):
  sys.path.append(str(ROOT))  # for configs that import another: from configs import resnet
  argv = [f"--config={user_path(argument[9:])}" if argument.startswith("--config=") else argument for argument in argv]
  configured = "config" in flags.FLAGS
  if configured and not any(argument.split("=")[0] in ("--config", "-config") for argument in argv):
    argv = [argv[0], f"--config={ROOT / 'configs' / config}", *argv[1:]]
  try:
    positional = app.parse_flags_with_usage(argv)
    if configured:
      getattr(flags.FLAGS.config, "keys", None)  # a file that could not be loaded says so only now
      if not isinstance(flags.FLAGS.config, ConfigDict):
        raise TypeError(f"get_config() returned {type(flags.FLAGS.config).__name__}, not an ml_collections.ConfigDict")
    return positional
  except Exception as error:  # a config file is anyone's program, which may raise anything
    reason = " ".join(str(error).replace("\\n", " ").replace("\\'", "'").split()) or type(error).__name__
    print(f"error: --config: {reason}; the config file lists its fields", file=sys.stderr)
    sys.exit(2)


def _guard(main, arguments):
  _set_up_messages()
  _set_up_compilation_cache()
  try:
    if "" in arguments:
      raise UserError("an argument is empty (''); name a file or folder, '.' for the current one")
    return main(take_user_paths(flags.FLAGS, arguments))
  except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    return 1
  except OSError as error:  # a full disk, no right to write: wherever it happens
    print(f"error: {of_disk(error)}", file=sys.stderr)
    return 1
  except KeyboardInterrupt:
    print("interrupted; the same command goes on from what was saved", file=sys.stderr)
    return 130


def _set_up_messages():
  absl_logging.set_verbosity(absl_logging.ERROR)  # Orbax and TFDS tell much that no user can act on
  handler = logging.StreamHandler()
  handler.setFormatter(logging.Formatter("%(message)s"))
  ours = logging.getLogger("fakeface_jax")
  ours.addHandler(handler)
  ours.setLevel(logging.INFO)
  ours.propagate = False


def _set_up_compilation_cache():
  use_compilation_cache(compilation_cache())


def compilation_cache():
  """The folder in which compiled calls are kept from one command to the next."""
  ours = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fakeface_jax" / "xla"
  return os.environ.get("JAX_COMPILATION_CACHE_DIR") or ours


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
