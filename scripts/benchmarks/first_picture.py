"""The wait for the first picture: `scripts/explain.py` on one photograph, and where the time goes."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.commands import SCRIPTS, own_process

RUNS = 3


def bench_first_picture(depth=50, size=224):
  """Times the command on a run folder made for it, first with nothing compiled before, then again.

  Returns: (text, {"first_call": seconds, "whole_command": median seconds, "stages": {stage: seconds}}).
  """
  with tempfile.TemporaryDirectory() as folder:
    run, photograph = Path(folder) / "run", Path(folder) / "photograph.jpg"
    _make_run(run, photograph, depth, size)
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": f"{folder}/cache"}
    command = [sys.executable, str(SCRIPTS / "explain.py"), "--workdir", str(run), str(photograph)]
    seconds = []
    for number in range(1 + RUNS):
      start = time.perf_counter()
      subprocess.run([*command, "--out", f"{folder}/panels{number}"], check=True, capture_output=True, env=environment)
      seconds.append(time.perf_counter() - start)
    command = own_process("first_picture", str(run), str(photograph))
    stages = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
  figures = {
      "first_call": seconds[0], "whole_command": sorted(seconds[1:])[RUNS // 2],
      "stages": json.loads(stages.stdout.splitlines()[-1])}
  lines = [
      f"explain.py, one photograph, ResNet-{depth}, {size} px: first call ever {seconds[0]:.1f} s, then"
      f" {figures['whole_command']:.1f} s (median of {RUNS}); of a call by stage:",
      *(f"  {stage:<44}{value:>6.2f} s" for stage, value in figures["stages"].items())]
  return "\n".join(lines), figures


def _make_run(run, photograph, depth, size):
  """A run folder of random weights with all that a trained one has, and a JPEG of noise."""
  import jax
  import numpy as np
  from PIL import Image

  from configs import resnet  # found from the repository's root
  from fakeface_jax.detector import Detector
  from fakeface_jax.explain.scale import measure_scale
  from fakeface_jax.models import init_variables, make_model
  from fakeface_jax.models.pretrained import save_safetensors
  from fakeface_jax.workdir import CHECKPOINTS, CONFIG_FILE, SCALE_FILE, WEIGHTS_FILE

  config = resnet.get_config()
  config.model.depth, config.data.resize, config.data.crop = depth, size, size
  model = make_model(config.model)
  variables = init_variables(model, jax.random.key(0), size)
  (run / CHECKPOINTS / "1").mkdir(parents=True)
  (run / CONFIG_FILE).write_text(config.to_json_best_effort())
  save_safetensors(run / WEIGHTS_FILE, variables, step="1")
  pixels = np.random.default_rng(0).integers(0, 256, (2 * size, 2 * size, 3), np.uint8)
  Image.fromarray(pixels).save(photograph)
  results = Detector(model, variables, size, size, 1).explain([pixels])
  (run / SCALE_FILE).write_text(json.dumps(measure_scale(results)))


def _stages(run, photograph):
  """Prints what each step of the command takes, as JSON."""
  stages, start = {}, time.perf_counter()

  def lap(stage):
    nonlocal start
    stages[stage] = time.perf_counter() - start
    start = time.perf_counter()

  from fakeface_jax.commands import app
  from fakeface_jax.compilation_cache import use_compilation_cache

  app.import_jax()
  lap("import JAX")
  import fakeface_jax.commands.explain as explanations
  import fakeface_jax.detector as detectors
  import fakeface_jax.runs.map_scale
  import fakeface_jax.runs.sanity  # noqa: F401
  from fakeface_jax.commands.items import items_of_files
  from fakeface_jax.explain.engine import lower
  from fakeface_jax.explain.methods import resolve_methods
  from fakeface_jax.kept_calls import compiled_now

  lap("import all else")
  use_compilation_cache(app.compilation_cache())
  detector = detectors.load(run)
  lap("load the weights")
  (item,) = items_of_files([photograph])
  image = item.read()
  lap("read the photograph")
  engine, methods, shape = detector.engine, resolve_methods(detector.model), detector.prepare([image]).pixels.shape[1:]
  engine.compile(methods, 1, shape)
  lap("load the kept call")
  detector.explain([image])
  lap("compute")
  detector.explain([image])
  lap("(compute once more)")
  explanations.explain_items(detector, [item], run / "panels of the stages")
  lap("compute again, draw, write")
  lowered = lower(
      detector.model, methods, engine.batch_size // engine._mesh.size, engine._mesh, engine._variables,
      engine._mesh.size, shape)
  lap("(only in a first call: trace and lower)")
  compiled_now(lowered.compile)
  lap("(only in a first call: XLA)")
  print(json.dumps(stages))


if __name__ == "__main__":
  _stages(Path(sys.argv[1]), sys.argv[2])
