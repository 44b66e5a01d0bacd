"""Flags: what --help says, and one line with the nearest name for what is mistyped."""

import difflib
import os
import re
import runpy
import shlex
import sys
import textwrap
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from fakeface_jax.config_fields import FINE_TUNING, flatten_config
from fakeface_jax.errors import UserError
from fakeface_jax.paths import user_path

ROOT = Path(__file__).parents[2]
HELP = ("help", "h", "?", "helpshort", "helpfull", "helpxml")
WIDTH, COLUMN = 118, 34  # characters of a line, and of a flag's name before what it means
_COMMENT = re.compile(r"^\s+config\.([\w.]+) = .*?  # (.+)$", re.MULTILINE)
_IMPORTED = re.compile(r"^from configs import (\w+)", re.MULTILINE)
_MISSING = re.compile(r"flag --(\w+)=None: Flag --\w+ must have a value other than None")


def define_config(default):
  """The flags --config and --config.FIELD of a script; `default`: the file that is taken without them, below ROOT."""
  holder = config_flags.DEFINE_config_file("config", None, f"File with the run's config (default: {default}).")
  flags.FLAGS["config"].default_file = ROOT / default
  return holder


def config_file():
  """The path of the config file that was chosen."""
  return config_flags.get_config_filename(flags.FLAGS["config"])


def is_given(field):
  """Whether a field of the config was set on the command line."""
  return f"config.{field}" in flags.FLAGS


def parse(argv, lists=()):
  """Parses a script's command line into `flags.FLAGS`; returns [script, positional arguments...].

  Prints the help and leaves where that is asked for.

  Args: `lists`: what to list there besides the flags, names of `LISTS`.
  Raises: UserError for whatever is wrong with the flags or with the config file.
  """
  sys.path.insert(0, str(ROOT))  # for configs that import another: from configs import resnet
  argv = [f"--config={user_path(argument[9:])}" if argument.startswith("--config=") else argument for argument in argv]
  before_dashes = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
  named = {_name(argument): argument for argument in before_dashes if argument.startswith("-")}
  if any(name in HELP for name in named):
    _print_help(argv, lists)
    sys.stdout.flush()  # what cannot be written is told by whoever called, not by Python at its end
    sys.exit(0)
  argv, without = _without_none(argv)
  try:
    default = [f"--config={flags.FLAGS['config'].default_file}"] if _has_config() and "config" not in named else []
    positional = flags.FLAGS([argv[0], *default, *argv[1:]])
    if _has_config():
      getattr(flags.FLAGS.config, "keys", None)  # a file that could not be opened says so only now
      if not isinstance(flags.FLAGS.config, ConfigDict):
        raise TypeError(f"get_config() returned {type(flags.FLAGS.config).__name__}, not an ml_collections.ConfigDict")
      for field in without:
        flags.FLAGS.config.update_from_flattened_dict({field: None})
    return positional
  except Exception as error:  # a config file is a program of the user's, which may fail in any way
    raise UserError(_reason(error, argv)) from error


def forget():
  """Takes back the script's flags, so that another script may be run in the same process, as `%run` does."""
  for name in [*own_flags(), *(name for name in flags.FLAGS if name.split(".")[0] == "config")]:
    delattr(flags.FLAGS, name)


def in_flags(message):
  """A message of the library, which speaks Python ('target=x', 'config.epochs'), with the script's flags in it."""
  names = [name for name in own_flags() if name != "config"]
  message = re.sub(r"(?<![\w./'\"-])(\w+)=(True\b)?",
                   lambda found: f"--{found[1]}{'' if found[2] else '='}" if found[1] in names else found[0], message)
  return re.sub(r"(?<![\w./'\"-])config\.(?!json\b)(?=\w)", "--config.", message) if _has_config() else message


def own_flags():
  """{name: flag} of the script but --config, without those of absl and other libraries."""
  return {flag.name: flag for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])}


def _has_config():
  return "config" in flags.FLAGS


def _without_none(argv):
  """(argv without --config.FIELD=none, [FIELD]) of fields that may be None, which their flags do not take."""
  may_be = [field for field, kind in FINE_TUNING.items() if kind.holds(None)] if _has_config() else []
  none = {argument: field for field in may_be for dashes in ("-", "--") for value in ("none", "None")
          for argument in [f"{dashes}config.{field}={value}"]}
  return [given for given in argv if given not in none], [none[given] for given in argv if given in none]


def _name(argument):
  return argument.lstrip("-").partition("=")[0]


def _reason(error, argv):
  """What is wrong with a command line, in one line."""
  names = list(own_flags())
  if _has_config():
    names += ["config"] + [f"config.{field}" for field in _fields(_chosen_file(argv))]
    for argument in argv[1:]:
      name = _name(argument)
      if argument.startswith("-") and name.startswith("config.") and not any(
          known == name or known.startswith(f"{name}.") for known in names):
        return _unknown(name, argv, names)
  if isinstance(error, flags.UnrecognizedFlagError):
    return _unknown(error.flagname, argv, names)
  text = " ".join(str(error).split()) or type(error).__name__
  if "before a value for" in text:
    return f"{text}; give --config=FILE first, then its fields"
  missing = _MISSING.match(text)
  if missing:
    return f"--{missing[1]} is needed: {own_flags()[missing[1]].help}"
  return text


def _unknown(name, argv, names):
  """What to say of a flag that there is not."""
  nearest = _nearest(name.replace("-", "_"), names)
  if nearest is None:
    return f"there is no flag --{name}; --help lists those there are"
  at = next(i for i, argument in enumerate(argv) if argument.startswith("-") and _name(argument) == name)
  _, equals, value = argv[at].partition("=")
  boolean = nearest in own_flags() and own_flags()[nearest].boolean
  if not equals and not boolean and at + 1 < len(argv) and not argv[at + 1].startswith("-"):
    equals, value = "=", argv[at + 1]
  return f"there is no flag --{name}; did you mean --{nearest}{equals}{shlex.quote(value) if value else ''}?"


def _nearest(name, names):
  """The flag that somebody means who writes `name`: the field of that name, or what is written nearly like it."""
  fields = sorted((known for known in names if known.endswith(f".{name.removeprefix('config.')}")), key=len)
  by_last = {known.rpartition(".")[2]: known for known in reversed(names)}
  alike = difflib.get_close_matches(name, names, 1) or [
      by_last[last] for last in difflib.get_close_matches(name.rpartition(".")[2], list(by_last), 1)]
  return next(iter([*fields, *alike]), None)


def _chosen_file(argv):
  for i, argument in enumerate(argv):
    if argument.startswith("-") and _name(argument) == "config":
      return argument.partition("=")[2] if "=" in argument else next(iter(argv[i + 1 :]), "")
  return flags.FLAGS["config"].default_file


def read_config_file(chosen, flag="config"):
  """The ConfigDict of a config file, which may be followed by ':' and an argument of its get_config.

  Raises: UserError where it fails, with the `flag` that named it, and the line.
  """
  path, *argument = str(chosen).split(":", 1)
  try:
    config = runpy.run_path(path)["get_config"](*argument)
    config.to_dict()
    return config
  except OSError as error:
    raise UserError(f"--{flag}={chosen}: {error.strerror or error}; the files below configs/ are examples") from error
  except Exception as error:  # see `parse`
    line, trace = "", error.__traceback__
    while trace is not None:
      if Path(trace.tb_frame.f_code.co_filename) == Path(path):
        line = f" in line {trace.tb_lineno}"
      trace = trace.tb_next
    what = " ".join(f"{type(error).__name__}: {error}".split())
    raise UserError(f"--{flag}={chosen} fails{line}: {what}; expected a get_config() that returns a ConfigDict, see"
                    " configs/resnet.py") from error


def _fields(chosen):
  """{'data.name': value, ...} of a config file."""
  return flatten_config(read_config_file(chosen).to_dict())


def _comments(path):
  """{'data.name': comment} of a config file's lines and, where those say nothing better, of those it imports."""
  text = Path(path).read_text(encoding="utf-8")
  comments = {}
  for name in _IMPORTED.findall(text):
    comments |= _comments(ROOT / "configs" / f"{name}.py")
  return dict(_COMMENT.findall(text)) | comments


def _print_help(argv, lists):
  print(sys.modules["__main__"].__doc__)
  print("Flags:")
  for name, flag in own_flags().items():
    given = "" if flag.default in (None, False, [], "") else f"={flag.default_as_str.strip(chr(39))}"
    _print_entry(f"--{name}{given}", flag.help.split(";\n")[0])  # absl adds how often to what may be repeated
  if _has_config():
    chosen = _chosen_file(argv)
    path = str(chosen).split(":")[0]
    fields, comments = _fields(chosen), _comments(path)
    _print_entry("--config=FILE", flags.FLAGS["config"].help)
    print(f"\nFields of the config and their values in {os.path.relpath(path, ROOT)}:")
    for field in sorted(fields, key=list(comments).index if fields.keys() <= comments.keys() else None):
      _print_entry(f"--config.{field}={fields[field]}", comments.get(field, ""))
  for title in lists:
    sys.stdout.flush()
    names = LISTS[title]()
    print("\n" + textwrap.fill(f"{title}: {names}", WIDTH, subsequent_indent="  ", break_on_hyphens=False))


def _print_entry(flag, text):
  start = f"  {flag}".ljust(COLUMN)
  lines = textwrap.wrap(text, WIDTH - COLUMN, break_on_hyphens=False) or [""]
  print(f"{start}{lines[0]}" if start.endswith(" ") else f"{start}\n{' ' * COLUMN}{lines[0]}")
  for line in lines[1:]:
    print(" " * COLUMN + line)


def _methods():
  from fakeface_jax.explain.methods import METHODS  # slow to import

  return ", ".join(METHODS)


def _data_sets():
  from fakeface_jax.data.datasets import BUILDERS

  return ", ".join(BUILDERS) + "; hub:OWNER/NAME; or a folder with real/ and fake/"


LISTS = {"Methods": _methods, "Data sets": _data_sets}
