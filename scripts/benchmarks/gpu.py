"""All figures of an accelerator by one command, in the order of their worth, each written as soon as it is there.

Every part runs in a process of its own, so that one that fails, or takes too long, costs only itself.

A GPU machine without a network may have JAX, Flax, Optax, Orbax, PyTorch, scikit-learn and pytest, but not the rest.
Another machine with the same version of Python makes wheels of it (`promise` is published as sources only):

  pip wheel --no-deps --wheel-dir wheels array_record captum dm-tree immutabledict importlib_resources lz4 mtcnn \\
    ml_collections promise simplejpeg six tensorboardX tensorflow-datasets tensorflow-metadata toml

and the GPU machine, given that folder, installs them in a place of their own:

  pip install --no-index --no-deps --target /tmp/site wheels/*.whl
  PYTHONPATH=$PWD:/tmp/site python scripts/bench.py gpu

Grain is not used, and of what tensorflow-datasets asks for, docstring_parser, googleapis-common-protos, simple-parsing
and termcolor are not imported. Without ml_collections nothing starts; a part that misses another package says which.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from benchmarks.commands import own_process
from fakeface_jax.commands.app import ROOT
from fakeface_jax.errors import UserError
from fakeface_jax.workdir import write_whole

FIGURES_FILE = "gpu.json"
NEEDS = {  # packages beside the project's own
    "captum": ("torch", "captum"), "training_torch": ("torch",), "exactness": ("pytest",)}
SECONDS = {  # a part is ended after so many, which an accelerator does not need
    "explain_bfloat16": 120, "explain_float32": 120, "captum": 90, "training": 360, "training_torch": 120,
    "exactness": 120, "pretraining": 150, "layers": 60}
SECONDS_IN_ALL = 480  # where no parts are named: those of the least worth go without
SMALL_FACTOR = 5  # a CPU, which may have other work besides, is given so many times as long


def bench_gpu(out, small=False, parts=None):
  """Runs the parts, by default all of `SECONDS`, and prints and writes each one's figures as it ends.

  Args:
    out: folder for `gpu.json` and each part's `PART.log`; figures of other parts that are there stay.
    small: sizes that a CPU can do, to try the command.
  Returns: where the figures, {part: figures}, are; a part that could not be measured has {"not_measured": why}.
  Raises: UserError where there is no accelerator, or a part is unknown.
  """
  if unknown := [name for name in parts or [] if name not in SECONDS]:
    raise UserError(f"--parts: there is no {unknown[0]!r}; use some of {','.join(SECONDS)}")
  out = Path(out)
  out.mkdir(parents=True, exist_ok=True)
  start, factor = time.monotonic(), SMALL_FACTOR if small else 1
  device = _part("device", small, out / "device.log", 120)
  if not small and device.get("platform", "cpu") == "cpu":
    raise UserError(f"gpu: JAX finds no GPU or TPU here ({device}); install '.[cuda12]' or '.[tpu]', or try --small")
  there = out / FIGURES_FILE
  figures = (json.loads(there.read_text()) if there.exists() else {}) | {"device": device}
  for part in parts or SECONDS:
    missing = [package for package in NEEDS.get(part, ()) if not find_spec(package)]
    begin = time.monotonic()
    left = SECONDS[part] if parts else min(SECONDS[part], SECONDS_IN_ALL - (begin - start) / factor)
    if missing:
      figures[part] = _not_installed(*missing)
    elif left <= 0:
      figures[part] = {"not_measured": f"the time for all parts was over; --parts={part} measures it"}
    else:
      figures[part] = _part(part, small, out / f"{part}.log", factor * left)
    figures[part]["seconds"] = time.monotonic() - begin
    write_whole(there, json.dumps(figures, indent=2) + "\n")
    print(f"{part}: {json.dumps(figures[part])}", flush=True)
  return f"written to {there}"


def _not_installed(*packages):
  return {"not_measured": f"not installed: {', '.join(packages)}"}


def _part(part, small, log, seconds):
  """The figures that a part prints as its last line. Whatever ends this process, but SIGKILL, ends the part too."""
  command = own_process("gpu", part, *["small"] * small)
  before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
  with open(log, "w") as file, subprocess.Popen(
      command, stdout=subprocess.PIPE, stderr=file, text=True, start_new_session=True) as process:
    try:
      said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
      return {"not_measured": f"it took more than {seconds:.0f} s; {log.name} says how far it got"}
    finally:
      signal.signal(signal.SIGTERM, before)
      if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # and what it started, which would keep the chip
  if process.returncode:
    words = log.read_text()
    if missing := re.search(r"^ModuleNotFoundError: No module named '([\w.]+)'", words, re.MULTILINE):
      return _not_installed(missing[1])  # here, or in what it started
    return {"not_measured": f"exit code {process.returncode}: {(words.strip().splitlines() or ['no word'])[-1]}"}
  return json.loads(said.splitlines()[-1])


def _leave_the_chip():
  """Keeps JAX on the CPU in this process alone: the chip and its memory are for those that it starts."""
  import jax

  jax.config.update("jax_platforms", "cpu")


def device(small):
  import jax

  found = jax.devices()
  return {"platform": found[0].platform, "kind": found[0].device_kind, "count": len(found),
          "jax": jax.__version__, "cores": os.cpu_count()}


def explain(small, dtype):
  """Images per second of inference, ten Grad-CAMs and the article's set at the best batch size, and shares of the peak.

  `on_device` leaves out bringing pixels there and maps back, which `whole_call` has.
  """
  import jax
  import numpy as np

  from benchmarks.chips import chip_of
  from benchmarks.timing import take_turns
  from fakeface_jax.data.schema import FAKE
  from fakeface_jax.explain.engine import Engine
  from fakeface_jax.explain.methods import DEFAULT_METHODS, resolve_methods
  from fakeface_jax.models import init_variables
  from fakeface_jax.models.resnet import resnet

  depth, size, batches = (18, 64, (4,)) if small else (50, 224, (64, 256))
  model = resnet(depth, dtype=jax.numpy.dtype(dtype))
  variables = jax.device_put(init_variables(model, jax.random.key(0), size))
  sets = {"inference": [], "ten_cams": ["gradcam"], "article_set": DEFAULT_METHODS}
  rows, compiling = {}, {}
  for batch_size in batches:
    pixels = np.random.default_rng(0).integers(0, 256, (batch_size, size, size, 3), np.uint8)
    target = np.full(batch_size, FAKE, np.int32)
    on_device, engine, candidates = jax.device_put((pixels, target)), Engine(model, variables, batch_size), {}
    for name, methods in sets.items():
      methods = resolve_methods(model, methods) if methods else {}
      start = time.perf_counter()
      call = engine.compile(methods, batch_size, pixels.shape[1:])
      compiling[f"{name} {batch_size}"] = time.perf_counter() - start
      candidates[name, "on_device"] = lambda call=call, given=on_device: jax.block_until_ready(
          call(variables, *given, None))
      candidates[name, "whole_call"] = lambda methods=methods, engine=engine, pixels=pixels, target=target: (
          engine.explain(pixels, target, methods))
    for (name, kind), seconds in take_turns(candidates, 5).items():
      rows.setdefault(name, {}).setdefault(kind, {})[batch_size] = batch_size / seconds
  best = {name: {kind: max(rates.values()) for kind, rates in kinds.items()} for name, kinds in rows.items()}
  flops = _part("forward_flops", small, Path(os.devnull), 120)["flops"]
  chip = chip_of(jax.devices()[0].device_kind)
  share = chip and {name: best[name]["on_device"] * flops / getattr(chip, dtype) for name in best}
  return {
      "network": f"ResNet-{depth}, {size} px, {dtype}", "images_per_second": rows, "best": best,
      "gflop_of_a_forward_pass": flops / 1e9,
      "share_of_peak_counting_forward_passes_only": share, "peak": chip and getattr(chip, dtype),
      "set_over_forward_in_time": best["inference"]["on_device"] / best["article_set"]["on_device"],
      "compile_seconds": compiling}


def forward_flops(small):
  """Of a forward pass of one image, as XLA counts them on CPU; on GPUs it does not tell."""
  import jax
  import numpy as np

  from fakeface_jax.models.network import normalize
  from fakeface_jax.models.resnet import resnet

  _leave_the_chip()
  depth, size = (18, 64) if small else (50, 224)
  model, image = resnet(depth), jax.ShapeDtypeStruct((1, size, size, 3), np.uint8)
  forward = jax.jit(lambda variables, image: model.apply(variables, normalize(image)))
  return {"flops": forward.lower(model.shapes, image).compile().cost_analysis()["flops"]}


def captum(small):
  """captum on the same chip, PyTorch's defaults (which allow TF32): images per second at the best batch size."""
  import jax
  import numpy as np
  import torch

  from benchmarks.captum_process import CaptumProcess
  from benchmarks.timing import take_turns
  from fakeface_jax.explain.capture import last_conv_layers
  from fakeface_jax.models.pretrained import to_state_dict
  from fakeface_jax.models.resnet import resnet

  _leave_the_chip()
  depth, size, batches = (18, 64, (4,)) if small else (50, 224, (16, 64))
  model, random = resnet(depth), np.random.default_rng(0)
  variables = jax.tree.map(
      lambda leaf: random.uniform(0.5, 1, leaf.shape).astype(np.float32) / max(leaf.size // leaf.shape[-1], 1),
      model.shapes)
  rates = {"logits": {}, "article_set": {}}
  for batch_size in batches:  # each in a process of its own: one that runs out of memory costs itself only
    images = random.standard_normal((batch_size, size, size, 3), np.float32)
    try:
      with CaptumProcess(depth, to_state_dict(variables)) as process:
        about = process.about
        process.send(images, np.zeros(batch_size, np.int64), last_conv_layers(model))
        times = take_turns({name: lambda name=name, process=process: process(name) for name in rates}, 2)
    except (EOFError, BrokenPipeError):
      if batch_size == batches[0]:
        raise
      break  # the log says why
    for name, seconds in times.items():
      rates[name][batch_size] = batch_size / seconds
  return {"about": about, "tf32": torch.backends.cudnn.allow_tf32, "images_per_second": rates,
          "best": {name: max(found.values()) for name, found in rates.items()}}


def _training_set(small):
  """(folder with faces/ and weights.safetensors, depth, size, images); made once for the parts that need it."""
  import jax

  from benchmarks.photographs import write_data_set
  from benchmarks.training import VAL_SHARE
  from fakeface_jax.models import init_variables
  from fakeface_jax.models.pretrained import save_safetensors
  from fakeface_jax.models.resnet import resnet

  depth, size, images = (18, 64, 64) if small else (50, 224, 40_000)
  folder = Path(tempfile.gettempdir()) / f"fakeface_jax_bench_{depth}_{size}_{images}"
  if not (folder / "weights.safetensors").exists():  # written last
    shutil.rmtree(folder, ignore_errors=True)
    write_data_set(folder / "faces", {"train": images, "val": max(images // VAL_SHARE, 2)})
    save_safetensors(folder / "weights.safetensors", init_variables(resnet(depth), jax.random.key(0), size))
  return folder, depth, size, images


def training(small):
  """The article's recipe on JPEGs: seconds of 20 epochs from start to finish, by part. What it says is in the log."""
  from benchmarks.training import VAL_SHARE, dtype, run_training

  _leave_the_chip()
  folder, depth, size, images = _training_set(small)
  epochs = 2 if small else 20
  seconds = run_training(folder, "last_block", depth, size, 32, epochs, not small, sys.stderr)
  return {"network": f"ResNet-{depth}, {size} px, {dtype(not small)}, last_block", "images": images,
          "epochs": epochs, **seconds, "run": sum(seconds["parts"].values()),
          "trunk_images_per_second": images * (1 + 1 / VAL_SHARE) / seconds["parts"]["features"]}


def training_torch(small):
  """PyTorch on the same images: an epoch and an inference pass, compiled, channels last, bfloat16 by autocast."""
  from benchmarks.training import VAL_SHARE, run_torch

  _leave_the_chip()
  folder, depth, size, images = _training_set(small)
  found = run_torch(folder, "last_block", depth, size, 32, not small)
  return {**found, "inference_images_per_second": images * (1 + 1 / VAL_SHARE) / found["inference"]}


def pretraining(small):
  """Pictures per second that pretraining draws and learns from, compiling left out."""
  import jax

  from configs import pretrain
  from fakeface_jax.pretraining.backbone import pretrain as run

  config = pretrain.get_config()
  config.batch_size = (16 if small else 512) * jax.device_count()
  config.epochs, config.val_steps, config.steps_per_epoch, config.faces = (2, 1, 2, 32) if small else (3, 1, 40, 3000)
  with tempfile.TemporaryDirectory() as folder:
    rate = run(config, folder)["images_per_second"]
  return {"dtype": config.model.dtype, "batch_size": config.batch_size, "pictures_per_second": rate}


def exactness(small):
  """The lines of the golden tests, float32 on this device against captum's values in double precision."""
  tests = "tests/explain/test_golden.py"
  which = "equal_captums and not live" + " and resnet18" * small
  command = [sys.executable, "-m", "pytest", "-s", "-q", "-p", "no:cacheprovider", tests, "-k", which,
             "-o", "addopts=--import-mode=importlib",
             "-o", "filterwarnings=default"]  # such as of pytest-timeout, which may not be there, as pytest-xdist
  environment = {"JAX_PLATFORMS": "", **os.environ}  # where nothing is said, tests take the CPU
  done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
  print(done.stdout, done.stderr, file=sys.stderr)
  lines = [line for line in done.stdout.splitlines() if ", golden" in line]
  if not lines:
    raise UserError(f"the tests did not get to their figures: {(done.stdout + done.stderr).strip().splitlines()[-1:]}")
  return {"passed": done.returncode == 0, "errors": lines}


def layers(small):
  """The forms of layers for CPU beside XLA's own."""
  from benchmarks.layers import bench_layers

  return bench_layers(1 if small else 10)[1]


def main(part, small):
  name, _, dtype = part.partition("_") if part.startswith("explain_") else (part, "", "")
  arguments = [dtype] if dtype else []
  print(json.dumps(globals()[name](small, *arguments)))


if __name__ == "__main__":
  main(sys.argv[1], sys.argv[2:] == ["small"])
