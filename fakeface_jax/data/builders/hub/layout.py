"""Which parquet files of a repository are which split of which subset, by the hub's conventions.

What the card (README.md) says under `configs` goes first, then `data/train-00000-of-00002.parquet`, the layout of the
hub's own conversion (`SUBSET/train/0000.parquet`), and words such as `train` in the names of folders and files; files
that nothing is said of are all of one split. See https://huggingface.co/docs/datasets/repository_structure.
"""

import collections
import re
from pathlib import PurePosixPath

from fakeface_jax.data.builders.folder_names import MOST, meaning, split_in
from fakeface_jax.data.schema import LABELS
from fakeface_jax.errors import UserError
from fakeface_jax.lines import listed

DEFAULT = "default"
PARTIAL = "partial-"  # before a split of which the hub has converted the first gigabytes only
_SHARD = r"(?P<start>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})[^/]*\.parquet"
_CONVERTED = re.compile(r"(?P<subset>[^/]+)/(?P<split>[^/]+)/\d{4,}\.parquet")


def subsets_of(names, card):
  """{subset: {split, as it is called there: files}} of a repository's parquet files; no subset without a file.

  Args: `names`: the files' paths in the repository. `card`: the YAML data of its README.md, a dict.
  """
  described = {}
  for config in _entries(card, "configs"):
    found = _described(names, config)
    if found:
      described[str(config.get("config_name") or DEFAULT)] = found
  if described:
    return described
  converted = [match for match in map(_CONVERTED.fullmatch, names) if match]
  if names and len(converted) == len(names):
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for match in converted:
      found[match["subset"]][match["split"]].append(match[0])
    return found
  return {DEFAULT: _by_names(names)} if names else {}


def _described(names, config):
  """{split: files} of an entry of the card's `configs`."""
  folder, entries = str(config.get("data_dir") or "").strip("/"), config.get("data_files")
  if entries is None:
    return _by_names([name for name in names if not folder or name.startswith(f"{folder}/")])
  if isinstance(entries, dict):
    entries = [{"split": split, "path": path} for split, path in entries.items()]
  elif isinstance(entries, str) or not any(isinstance(entry, dict) for entry in entries):
    entries = [{"split": "train", "path": entries}]
  found = collections.defaultdict(set)
  for entry in _entries({"": entries}, ""):
    paths = entry.get("path") or []
    for pattern in [paths] if isinstance(paths, str) else paths:
      expression = re.compile(_expression(f"{folder}/{pattern}" if folder else str(pattern)))
      found[str(entry.get("split") or "train")] |= set(filter(expression.fullmatch, names))
  return {split: sorted(files) for split, files in found.items() if files}


def _expression(pattern):
  """A glob pattern, in which only ** goes past a slash, as a regular expression."""
  parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
  return "".join(parts.get(part) or (part if part[0] == "[" else re.escape(part))
                 for part in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|[^*?\[]+|\[", pattern.removeprefix("./")))


def _by_names(names):
  sharded = {name: re.fullmatch(rf"data/{_SHARD}", name) for name in names}
  if any(sharded.values()):
    splits = {name: match["start"] for name, match in sharded.items() if match}
  else:
    splits = {name: split_in(str(PurePosixPath(name).parent)) or split_in(PurePosixPath(name).stem) or ""
              for name in names}
  found = collections.defaultdict(list)
  for name, split in splits.items():
    found[split].append(name)
  return found


def _entries(data, key):
  """The dicts that YAML data have under a key, one or several."""
  found = data.get(key) or []
  return [entry for entry in (found if isinstance(found, list) else [found]) if isinstance(entry, dict)]


def our_splits(splits):
  """What becomes of a subset's splits.

  Args: `splits`: {what it is called there: files}.
  Returns: ({'train', 'val', 'test' or None: [files]}, [[split, why it is not used or not whole]]). None where nothing
    there is called so: then each image's content decides.
  """
  found, notices = collections.defaultdict(list), []
  known = {name: meaning(name.removeprefix(PARTIAL))[0] for name in splits}
  for name, files in splits.items():
    if not any(known.values()):
      found[None] += files
    elif known[name]:
      found[known[name]] += files
    else:
      notices.append([f"split {name or 'without a name'}", "(called neither train nor validation nor test)"])
    if name.startswith(PARTIAL):
      notices.append([f"the end of split {name.removeprefix(PARTIAL)}", "(the hub has converted its first part only)"])
  return dict(found), notices


def chosen_subset(subsets, wanted, card, title, spelling):
  """The subset that is wanted, the only one, or the one that goes without saying.

  Args: `spelling`: how one is asked for, up to its name.
  Raises: UserError that lists them.
  """
  first = [str(config.get("config_name")) for config in _entries(card, "configs") if config.get("default")]
  for name in [wanted] if wanted else [*subsets] if len(subsets) == 1 else [*first, DEFAULT]:
    if name in subsets:
      return name
  names = listed(sorted(subsets))
  if wanted:
    raise UserError(f"{title}: has no subset {wanted!r}; it has {names}")
  raise UserError(f"{title}: has the subsets {names}; say which: {spelling}{min(subsets)}")


def refuse_missing_shards(names, title):
  """Raises: UserError where the names of files tell of others that are not there."""
  shards = collections.defaultdict(set)
  for match in (re.fullmatch(_SHARD, name) for name in names):
    if match:
      shards[match["start"], int(match["count"])].add(int(match["number"]))
  for (start, count), numbers in shards.items():
    if len(numbers) < count:
      missing = min(set(range(count)) - numbers)
      raise UserError(f"{title}: {start}-{missing:05}-of-{count:05}.parquet is not there, the copy is incomplete;"
                      " download it again")


def label_names(card, subset, column):
  """What the card's `dataset_info` calls the classes of a column, in the order of their numbers, or None."""
  infos = _entries(card, "dataset_info")
  for info in infos if len(infos) == 1 else [one for one in infos if str(one.get("config_name") or DEFAULT) == subset]:
    for feature in _entries(info, "features"):
      kind = feature.get("dtype")
      names = kind["class_label"].get("names") if isinstance(kind, dict) and "class_label" in kind else None
      if feature.get("name") == column and names:
        return [str(name) for _, name in sorted(names.items(), key=lambda item: int(item[0]))] if isinstance(
            names, dict) else [str(name) for name in names]
  return None


def classes_of(words, real, title, spelling):
  """{word: 0 (real) or 1 (fake)} of all words that are labels, by what they mean, or which one is said to be real.

  Args:
    real: that word, or ''; where it is none of them, all are fake.
    spelling: how it is said in a config and in one word, up to that word.
  Raises: UserError that lists the words where some mean neither.
  """
  words = sorted(words)
  if real:
    same = real if real in words else next((word for word in words if word.lower() == real.lower()), None)
    return {word: int(word != same) for word in words}
  found = {word: LABELS.index(kind) for word in words if (kind := meaning(word)[1]) in LABELS}
  unknown = [word for word in words if word not in found]
  if unknown:
    likely = " or ".join([word for word in words if found.get(word) == 0] or (words if len(words) < 3 else ["WORD"]))
    said = f"{unknown[0]!r} means neither real nor fake" if found else "none says whether it is real or fake"
    more = "; all others then count as fake" if len(words) > 2 else ""
    raise UserError(f"{title}: of its labels {shown(words)}, {said}; say which one is real: {spelling[0]}{likely}{more}"
                    f" (where a data set is one word: {spelling[1]}WORD)")
  return found


def refuse_one_class(classes, real, title):
  """Raises: UserError where `classes`, as of `classes_of`, are all the same."""
  words = sorted(classes)
  if not words:
    raise UserError(f"{title}: its labels are all empty; a detector needs to know which faces are real")
  if real and 0 not in classes.values():
    raise UserError(f"{title}: config.data.real={real}: expected one of its labels: {shown(words)}")
  for number, name in enumerate(LABELS):
    if number not in classes.values():
      raise UserError(
          f"{title}: has no {name} images, only the labels {shown(words)}; a detector needs real and fake ones")


def shown(words):
  """Words of which there may be many, in a message."""
  return listed(words) if len(words) <= MOST else f"{', '.join(words[:MOST])} and {len(words) - MOST:,} more"
