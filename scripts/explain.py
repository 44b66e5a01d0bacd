"""Shows why a detector decides as it does: panels, raw maps, and predictions.

python scripts/explain.py                                   test images of the last run, a few of each outcome
python scripts/explain.py --workdir runs/NAME --out panels photo.jpg folder/
"""

from pathlib import Path

from absl import flags

from fakeface_jax import app

WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run (default: the last one below runs/).")
OUT = flags.DEFINE_string("out", None, "Folder for the panels (default: panels/ in the run's folder).")
TARGET = flags.DEFINE_string("target", "fake", "Class whose evidence is shown: fake, real or predicted.")
LAYERS = flags.DEFINE_list("layers", None, "Layers for Grad-CAM (default: the last ten convolutions).")
EACH = flags.DEFINE_integer("each", 3, "Without images: test images of each outcome.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images per compiled call.", lower_bound=1)


def main(arguments):
  from fakeface_jax.detector import load
  from fakeface_jax.report.explanations import explain_items, items_of_files, items_of_run
  from fakeface_jax.workdir import last_run

  workdir = WORKDIR.value or last_run()
  out = OUT.value or str(Path(workdir) / "panels")
  detector = load(workdir, BATCH_SIZE.value)
  items = items_of_files(arguments) if arguments else items_of_run(workdir, EACH.value)
  failures = explain_items(detector, items, out, target=TARGET.value, layers=LAYERS.value)
  print(f"{len(items) - len(failures)} of {len(items)} images explained in {out}")
  return app.exit_code(failures)


if __name__ == "__main__":
  app.run(main)
