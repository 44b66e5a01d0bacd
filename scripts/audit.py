"""Does it look where the fake is? The article's study of a run, as numbers and as one page.

python scripts/audit.py --workdir runs/NAME [--data NAME_OR_FOLDER] [--split test] [--out DIR]
"""

from fakeface_jax.commands import app
from fakeface_jax.commands.app import flags

WORKDIR = flags.DEFINE_string("workdir", None, "The run: a folder or an id on the hub (default: the last below runs/).")
DATA = flags.DEFINE_string("data", None, "A data set's name, or a folder with real/ and fake/ (default: the run's).")
SPLIT = flags.DEFINE_string("split", None, "Split to audit on (default: test; all of a folder that has no test split).")
OUT = flags.DEFINE_string("out", None, "Folder for report.html and audit.json (default: audit/ in the run's folder).")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace an audit in --out that is there.")
METHODS = flags.DEFINE_list(
    "methods", None, "Methods whose maps are measured (default: all but scorecam, rise, lime and shap).")
BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", None, "Images per compiled call (default: 8 on CPU, 64 for each GPU or TPU).", lower_bound=1)


def main(arguments):
  app.no_positional(arguments)
  from fakeface_jax.audit.run import PAGE_FILE, audit_run
  from fakeface_jax.devices import check_platform
  from fakeface_jax.models.hub_runs import chosen_run

  check_platform()
  workdir = chosen_run(WORKDIR.value)
  audit, out, failures = audit_run(
      workdir, data=DATA.value, split=SPLIT.value, out=OUT.value, methods=METHODS.value, batch_size=BATCH_SIZE.value,
      overwrite=OVERWRITE.value)
  for section in ("detection", "localization", "faithfulness", "robustness"):
    print(f"{section}: {audit[section].get('verdict') or audit[section]['reason']}")
  if painted := audit["localization"].get("face_regions", {}).get("painted"):
    print(f"by part of the face: {painted['verdict']}")
  print(f"written to {out / PAGE_FILE}")
  return app.exit_code(failures)


if __name__ == "__main__":
  app.run(main, lists=["Methods", "Data sets"])
