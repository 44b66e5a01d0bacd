"""Which of the files that somebody names are images."""

import os
from pathlib import Path

from fakeface_jax.data.reading.kinds import IMAGE, NOT_DATA_FOLDERS, READS, what_is
from fakeface_jax.errors import UserError
from fakeface_jax.lines import one_line
from fakeface_jax.paths import FOLDER, path_kind


def find_images(paths) -> tuple[list[Path], list[tuple[Path, str]]]:
  """The image files that a command line names, and what is wrong with the rest of it.

  Args:
    paths: files and folders. A file is taken whatever it is; of a folder, all images below it, sorted, hidden ones left
      out; what else looks like a picture is a problem.
  Returns: (files, problems): files without repeats, in the order given; a problem is (path, reason).
  """
  files, problems = [], []
  for path in map(Path, paths):
    try:
      kind = path_kind(path)
    except UserError as error:
      problems.append((path, str(error).removeprefix(one_line(f"{path}: "))))
      continue
    if kind == FOLDER:
      found, others = sorted_out(files_below(path, problems))
      files += found
      problems += [(other, what) for other, what in others.items() if what]
      if not found:
        problems.append((path, f"holds no image ({READS})"))
    elif kind:
      files.append(path)
    else:
      problems.append((path, "no such file or folder"))
  return list(dict.fromkeys(files)), problems


def sorted_out(files) -> tuple[list[Path], dict[Path, str]]:
  """(images, {other file: '' or what it is and what to do}) of files, see `kinds.what_is`."""
  kinds = {file: what_is(file) for file in files}
  return [file for file, kind in kinds.items() if kind == IMAGE], {
      file: kind for file, kind in kinds.items() if kind != IMAGE}


def files_below(folder, problems: list, *, hidden_files=False) -> list[Path]:
  """All files at any depth below a folder, sorted, without hidden and systems' folders and (unless asked for) files.

  Linked folders are followed, each real folder once. A folder that cannot be listed is appended to `problems` as
  (path, reason).
  """
  files, seen = [], set()
  unlisted = lambda error: problems.append((Path(error.filename), f"cannot be listed: {error.strerror}"))
  for here, folders, names in os.walk(folder, onerror=unlisted, followlinks=True):
    real = os.path.realpath(here)
    if real in seen:
      folders.clear()
      continue
    seen.add(real)
    folders[:] = sorted(name for name in folders if not is_systems_folder(name))
    files += [Path(here, name) for name in names if hidden_files or not name.startswith(".")]
  return sorted(files)


def all_files_below(folder, *, hidden_files=False) -> list[Path]:
  """As `files_below`. Raises: UserError where one of the folders cannot be listed."""
  problems = []
  files = files_below(folder, problems, hidden_files=hidden_files)
  if problems:
    raise UserError("{}: {}; change its permissions".format(*problems[0]))
  return files


def is_systems_folder(name):
  """Whether a folder of that name is hidden, or an operating system's or an archiver's own."""
  return name.startswith(".") or name.lower() in NOT_DATA_FOLDERS
