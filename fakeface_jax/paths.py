"""Paths as people give them: from their form on a command line to what is there."""

import errno
import os
import stat
from urllib.parse import unquote, urlsplit

from fakeface_jax.errors import UserError

FLAGS = (  # of scripts, that name paths
    "workdir", "workdirs", "data", "out", "picture", "background", "against", "faces", "pretrained", "recipe")
FIELDS = ("pretrained", "data.name", "data.path", "data.dir", "data.test_name", "data.test_path")  # of configs
NOTHING, FILE, FOLDER, OTHER = "", "file", "folder", "other"
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)


def user_path(path):
  """A path as it is meant, text: '~' and '~name' are home folders, 'file:///a%20b' is /a b, a last slash says nothing.

  Raises: UserError for what is no path.
  """
  try:
    text = os.fsdecode(path)
  except TypeError:
    raise UserError(f"expected the path of a file or folder, got {type(path).__name__}; give text or a Path") from None
  if text.startswith("file://"):
    text = unquote(urlsplit(text).path)
  if "\0" in text:
    raise UserError(f"{text!r}: no path, it holds a zero byte")
  return os.path.expanduser(text.rstrip("/") or text[:1])


def path_kind(path):
  """`FILE`, `FOLDER`, `OTHER` (a pipe, a device), or `NOTHING`, following links.

  Raises: UserError where that cannot be found out, as a folder on the way may not be searched.
  """
  try:
    mode = os.stat(path).st_mode
  except PermissionError:
    raise UserError(f"{path}: no permission to look there; change that of the folders it lies in (chmod +x)") from None
  except OSError as error:
    if error.errno in _MISSING:
      return NOTHING
    raise UserError(f"{path}: cannot be looked at: {error.strerror}") from error
  return FOLDER if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else OTHER


def take_user_paths(flags, arguments):
  """Brings all paths of a script's parsed command line into the form of `user_path`.

  Args:
    flags: absl's FLAGS, whose values are replaced, and those of a config in it.
    arguments: positional ones.
  Returns: these.
  """
  for name in FLAGS:
    value = flags[name].value if name in flags else None
    if value:
      flags[name].value = [*map(user_path, value)] if isinstance(value, list) else user_path(value)
  for *parents, name in map(lambda field: field.split("."), FIELDS if "config" in flags else ()):
    config = flags.config
    for parent in parents:
      config = config.get(parent) or {}
    if isinstance(config.get(name), str):
      config[name] = user_path(config[name])
  return [*map(user_path, arguments)]
