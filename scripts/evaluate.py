"""Scores a run's detector on a data set.

python scripts/evaluate.py --workdir runs/NAME [--data NAME_OR_FOLDER] [--split test] [--out scores.json]
"""

from fakeface_jax.commands import app  # isort: split

import json

from fakeface_jax.commands.app import flags

WORKDIR = flags.DEFINE_string("workdir", None, "The run: a folder or an id on the hub (default: the last below runs/).")
DATA = flags.DEFINE_string("data", None, "A data set's name, or a folder with real/ and fake/ (default: the run's).")
SPLIT = flags.DEFINE_string("split", None, "Split to score (default: test; all of a folder that has no test split).")
OUT = flags.DEFINE_string("out", None, "JSON file for the scores.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a file --out that is there.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "Images a step (default: the run's).", lower_bound=1)


def main(arguments):
  app.no_positional(arguments)
  from fakeface_jax.commands.evaluate import evaluate_run
  from fakeface_jax.data.checking.overlap import in_words
  from fakeface_jax.devices import check_platform
  from fakeface_jax.evaluation.scores import table
  from fakeface_jax.models.hub_runs import chosen_run
  from fakeface_jax.outputs import check_new, write_new
  from fakeface_jax.verdict.conformal import in_words as sure_in_words

  if OUT.value:
    check_new(OUT.value, OVERWRITE.value)
  check_platform()
  workdir = chosen_run(WORKDIR.value)
  title, scores, unreadable = evaluate_run(workdir, DATA.value, SPLIT.value, BATCH_SIZE.value)
  print(f"{workdir} on {title}")
  print(table(scores))
  print(sure_in_words(scores["conformal"]))
  if sentence := in_words(scores.get("seen_in_training")):
    print(sentence)
  if OUT.value:
    write_new(OUT.value, json.dumps(scores, indent=2) + "\n", OVERWRITE.value)
  return app.exit_code(unreadable)


if __name__ == "__main__":
  app.run(main, lists=["Data sets"])
