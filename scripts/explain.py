"""Shows why a detector decides as it does: panels, raw maps, and predictions.

python scripts/explain.py                                   test images of the last run, a few of each outcome
python scripts/explain.py --workdir runs/NAME --out panels photo.jpg folder/
python scripts/explain.py --methods gradcam,occlusion,shap --set occlusion.window=24 photo.jpg
python scripts/explain.py --sanity                          which methods depend on what the network has learned
"""

from fakeface_jax.commands import app  # isort: split

from pathlib import Path

from fakeface_jax.commands.app import flags

WHICH = ["auto", "all", "largest", "none"]

WORKDIR = flags.DEFINE_string("workdir", None, "The run: a folder or an id on the hub (default: the last below runs/).")
OUT = flags.DEFINE_string("out", None, "Folder for the panels (default: panels/ in the run's folder).")
FACES = flags.DEFINE_enum(
    "faces", "auto", WHICH, "Of photographs: auto: every face, or the whole where it sits as the training images do;"
    " all: always cut; largest; none: the whole picture.")
CONFIDENCE = flags.DEFINE_float("confidence", 0.9, "How often a verdict is to leave room for the truth, 0..1.")
COLOURS = flags.DEFINE_enum("colours", "violet", ["violet", "jet"], "Of heatmaps; jet is the article's.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace what --out has of these images with other settings.")
TARGET = flags.DEFINE_string("target", "fake", "Class whose evidence is shown: fake, real or predicted.")
METHODS = flags.DEFINE_list(
    "methods", None, "Methods, or all (default: gradcam,guided_backprop,guided_gradcam).")
SET = flags.DEFINE_multi_string("set", [], "A method's setting, such as occlusion.window=24; may be repeated.")
LAYERS = flags.DEFINE_list("layers", None, "Layers, for methods that have them (default: the last ten convolutions).")
BACKGROUND = flags.DEFINE_string(
    "background", None, "Photographs that expected_gradients compares with (default: the run's validation images).")
SANITY = flags.DEFINE_bool("sanity", False, "Check the methods against random weights instead of drawing panels.")
EACH = flags.DEFINE_integer("each", 3, "Without images: test images of each outcome.", lower_bound=1)
BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", None, "Images per compiled call (default: 8 on CPU, 64 for each GPU or TPU).", lower_bound=1)
DTYPE = flags.DEFINE_string("dtype", None, "float32 or bfloat16 (default: the run's).")


def main(arguments):
  from fakeface_jax.commands.items import items_of_files, items_of_run, with_background
  from fakeface_jax.detector import load
  from fakeface_jax.devices import check_platform
  from fakeface_jax.explain.methods import parse_methods, resolve_methods
  from fakeface_jax.models.hub_runs import chosen_run
  from fakeface_jax.runs.background import with_run_background
  from fakeface_jax.runs.best_map import best_map, with_map
  from fakeface_jax.runs.framing import with_framing
  from fakeface_jax.runs.sanity import check_run, trust_of_run

  check_platform()
  workdir = chosen_run(WORKDIR.value)
  out = OUT.value or str(Path(workdir) / "panels")
  detector = load(workdir, BATCH_SIZE.value, DTYPE.value)
  methods = resolve_methods(detector.model, parse_methods(METHODS.value, SET.value), LAYERS.value)
  best = best_map(workdir, detector)
  if not (METHODS.value or SET.value or LAYERS.value or SANITY.value):
    methods = with_map(detector.model, methods, best)
  items = items_of_files(arguments) if arguments else items_of_run(workdir, EACH.value)
  faces = FACES.value if arguments else "none"  # a run's own images are faces already
  if faces != "none":
    detector = with_framing(detector, workdir)
  if BACKGROUND.value:
    detector = with_background(detector, BACKGROUND.value, faces)
  detector = with_run_background(detector, workdir, methods)
  if SANITY.value:
    chosen = {"methods": methods} if METHODS.value or SET.value else {"layers": LAYERS.value}
    failures = check_run(detector, items, workdir, faces=faces, target=TARGET.value, **chosen)
    return app.exit_code(failures)
  from fakeface_jax.commands.explain import explain_items
  from fakeface_jax.runs.map_scale import with_scale
  from fakeface_jax.runs.reference import with_reference

  detector = with_reference(with_scale(detector, workdir, methods), workdir)
  failures = explain_items(
      detector, items, out, faces=faces, confidence=CONFIDENCE.value, target=TARGET.value, methods=methods,
      trust=trust_of_run(workdir, methods), best=best, colours=COLOURS.value,
      overwrite=OVERWRITE.value)
  print(f"{len(items) - len(failures)} of {len(items)} images explained in {out}")
  return app.exit_code(failures)


if __name__ == "__main__":
  app.run(main, lists=["Methods"])
