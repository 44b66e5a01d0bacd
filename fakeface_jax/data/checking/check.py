"""What is wrong with a data set before anything is trained on it: balance, copies, shortcuts, files that are broken."""

import json
import logging
from pathlib import Path

import numpy as np

from fakeface_jax.data.checking.duplicates import KINDS, Duplicates, fingerprint
from fakeface_jax.data.checking.shortcuts import CLEAR, TEXTURE, shortcuts
from fakeface_jax.data.checking.statistics import file_figures, picture_figures
from fakeface_jax.data.reading.records import decode_record, record_name
from fakeface_jax.data.reading.threads import with_bar
from fakeface_jax.data.schema import LABELS
from fakeface_jax.lines import one_line
from fakeface_jax.progress import with_progress
from fakeface_jax.workdir import DATA_CHECK_FILE, has_checkpoint, read_json, write_output

log = logging.getLogger(__name__)

SAMPLE = 2000  # images whose figures are measured; copies are searched among all
GLANCE = 400  # the same before a training run, from the files' headers alone
LOPSIDED = 0.2  # a class that makes up less of a split than this is worth a word
SHOWN = 5  # pairs of copies in the table; the JSON has more


def check_data(dataset, *, sample=SAMPLE, seed=0) -> dict:
  """Reads every image of a data set and reports what a detector should not be able to learn from it.

  About two kilobytes are kept of an image, so 140,000 take 260 MiB.

  Args:
    dataset: as `open_dataset` returns it.
    sample: number of images, over all splits, that the shortcuts are measured on.
  Returns: a dict, ready for JSON, of
    name; images; balance {split: {"real": count, "fake": count}};
    unreadable [(name, reason)], what the builder had to leave out; notices, sentences on what was not used (see
      `Dataset.notices`);
    duplicates {kind: as in `Duplicates.found`, with the pairs by name};
    shortcuts {group: as in `shortcuts.shortcuts`}; sampled (images behind them); seed;
    wrong, remarks: sentences, what should be mended and what should be known.
  """
  sources = {split: dataset[split] for split, count in dataset.splits.items() if count}
  places = [(split, index) for split, source in sources.items() for index in range(len(source))]
  chosen = np.zeros(len(places), bool)
  chosen[np.random.default_rng(seed).permutation(len(places))[:sample]] = True

  def look(task):
    (split, index), measured = task
    record = sources[split][index]
    name, data = record_name(record), record["image"]
    image = decode_record(record)
    figures = {**file_figures(data, name), **picture_figures(image)} if measured else None
    return name, split, int(record["label"]), fingerprint(data, image), figures

  seen = with_bar(look, list(zip(places, chosen.tolist(), strict=True)))
  names, splits, classes, prints, figures = zip(*seen, strict=True)
  labels, numbers = np.asarray(classes), np.asarray([list(sources).index(split) for split in splits])
  duplicates = Duplicates(prints, numbers, labels, lambda steps: with_progress(steps, "comparing", unit="parts"))
  measured = [i for i, one in enumerate(figures) if one is not None]
  result = {
      "name": dataset.name, "images": len(names),
      "balance": {split: {name: int(((numbers == number) & (labels == label)).sum())
                          for label, name in enumerate(LABELS)} for number, split in enumerate(sources)},
      "unreadable": [tuple(each) for each in dataset.metadata.get("unreadable") or []], "notices": dataset.notices,
      "duplicates": {kind: {**found, "pairs": [[f"{splits[i]}: {names[i]}" for i in pair] for pair in found["pairs"]]}
                     for kind, found in duplicates.found.items()},
      "shortcuts": shortcuts([figures[i] for i in measured], labels[measured], duplicates.groups[measured], seed=seed),
      "sampled": len(measured), "seed": seed}
  return result | dict(zip(("wrong", "remarks"), _judgement(result), strict=True))


def _judgement(result):
  """(what is wrong, what should be known), sentences."""
  wrong, remarks = [], []
  if result["unreadable"]:
    wrong.append(f"{len(result['unreadable']):,} of the files cannot be read")
  for split, counts in result["balance"].items():
    rarest = min(counts, key=counts.get)
    if counts[rarest] == 0:
      wrong.append(f"{split} has no {rarest} images")
    elif counts[rarest] < LOPSIDED * sum(counts.values()):
      remarks.append(f"only {counts[rarest] / sum(counts.values()):.0%} of {split} are {rarest}")
  pixels, near = (result["duplicates"][kind] for kind in KINDS[1:])
  for found, what in ((pixels, "an identical"), (near, "a nearly identical")):
    if found["across_splits"]:
      wrong.append(f"{found['across_splits']:,} images have {what} one in another split: scores would be too good")
  if pixels["across_classes"]:
    wrong.append(f"{pixels['across_classes']:,} images are both real and fake: the same pixels under both labels")
  if near["across_classes"]:
    remarks.append(f"{near['across_classes']:,} images have a nearly identical one of the other class, as fakes made"
                   " from photographs of the same set have")
  same = max(found["within_split"] for found in (pixels, near))
  if same:
    remarks.append(f"{same:,} images have a copy in their own split and count more than others")
  for name, line in result["shortcuts"].items():
    if line["found"]:
      sentence = f"{name} alone: AUC {line['auc']:.2f}: {line['verdict'].split(': ', 1)[1]}"
      (wrong if line["auc"] >= CLEAR and name not in TEXTURE else remarks).append(sentence)
  return wrong, [*remarks, *result["notices"]]


def table(result) -> str:
  """What `check_data` returned as lines of plain text for a terminal."""
  lines = [f"{result['name']}: {result['images']:,} images"]
  lines += [f"  {split:6}" + ",".join(f" {count:,} {name}" for name, count in counts.items())
            for split, counts in result["balance"].items()]
  lines += ["", f"{'copies':20}{'images':>8}{'in one split':>14}{'across splits':>15}{'across classes':>16}"]
  for kind, found in result["duplicates"].items():
    lines.append(f"{kind:20}{found['images']:8,}{found['within_split']:14,}{found['across_splits']:15,}"
                 f"{found['across_classes']:16,}")
  pairs = list(dict.fromkeys(
      tuple(pair) for found in result["duplicates"].values() for pair in found["pairs"]))
  lines += [one_line(f"  {first} ~ {second}") for first, second in pairs[:SHOWN]]
  sampled = result["sampled"] < result["images"]
  of = f"{result['sampled']:,} images, drawn with seed {result['seed']}" if sampled else "all images"
  lines += ["", f"{'alone':20}  AUC   95 % interval   ({of})"]
  for name, line in result["shortcuts"].items():
    if line["auc"] is None:
      lines.append(f"{name:20}  -                     {line['verdict']}")
    else:
      low, high = line["interval"]
      lines.append(f"{name:20} {line['auc']:.2f}   {low:.2f} to {high:.2f}    {line['verdict']}")
  if any(result["shortcuts"][name]["found"] for name in TEXTURE if name in result["shortcuts"]):
    lines.append(f"({' and '.join(TEXTURE)} may be traces of what made the fakes; the other lines are none)")
  lines += [""] + (["Something is wrong:", *(f"  {one}" for one in result["wrong"])] if result["wrong"] else
                   ["Nothing wrong was found."])
  return "\n".join(lines + (["To be known:", *(f"  {one}" for one in result["remarks"])] if result["remarks"] else []))


def first_look(source, workdir):
  """Logs one line on what the headers of some training files give away, and keeps the figures in `data_check.json`.

  Says nothing where the run already has a checkpoint, and so has had its line.

  Args: source: records of the training split. workdir: the run's folder.
  """
  path = Path(workdir) / DATA_CHECK_FILE
  if has_checkpoint(workdir) and read_json(path, lambda found: found["shortcuts"] is not None, "it is made again"):
    return
  chosen = np.sort(np.random.default_rng(0).permutation(len(source))[:GLANCE]).tolist()
  looks = ((file_figures(record["image"], record_name(record)), int(record["label"]))
           for record in map(source.__getitem__, chosen))
  figures, labels = zip(*looks, strict=True)
  lines = shortcuts(figures, labels)
  write_output(path, json.dumps({"sampled": len(labels), "seed": 0, "shortcuts": lines}, indent=2) + "\n")
  found = [f"{name} (AUC {line['auc']:.2f})" for name, line in lines.items() if line["found"]]
  log.info("What tells the classes apart in the headers of %d training images: %s; scripts/check_data.py looks closer.",
           len(labels), ", ".join(found) or "nothing")
