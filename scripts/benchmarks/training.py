"""What fine-tuning costs: FLOPs of its steps, and a whole run beside one inference pass and beside PyTorch."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.commands import SCRIPTS, own_process
from benchmarks.photographs import SIDE, write_data_set
from fakeface_jax.commands.app import ROOT
from fakeface_jax.data.batches import plan_batches, read_batches
from fakeface_jax.data.datasets import open_dataset
from fakeface_jax.devices import on_cpu
from fakeface_jax.errors import UserError
from fakeface_jax.evaluation.predict import make_predict_step, predict_split
from fakeface_jax.models import init_variables
from fakeface_jax.models.network import normalize
from fakeface_jax.models.pretrained import save_safetensors
from fakeface_jax.models.resnet import resnet
from fakeface_jax.training.optimizer import first_trained_cut, make_optimizer, split_params, trainable_mask
from fakeface_jax.training.steps import TrainState, make_feature_steps, make_image_step, make_tail_step, zero_totals
from fakeface_jax.training.trunk import DEVICE_BATCH, Trunk
from fakeface_jax.workdir import SECONDS_FILE

PREFIX = {"last_block": "", "last_conv": "last_conv_"}  # of the figures' names
TORCH_EPOCHS = 1  # measured in each of two turns
VAL_SHARE = 16  # one validation image for so many training images
MEMORY_DEPTH, MEMORY_IMAGES = 18, (500, 2000)  # of the runs whose memory is measured


def bench_training(depth=50, size=224, images=1024, batch_size=32, epochs=20):
  """Measures the article's recipe on JPEGs made for it; see `compare_runs` and `flops_ratios`.

  Returns: (text, {"cached_step_flops_ratio": ..., "run_over_inference": ..., "torch_over_ours": ..., and so on}).
  """
  figures = {
      "device": f"{jax.local_device_count()} x {jax.devices()[0].device_kind} ({platform.machine()})",
      "network": f"ResNet-{depth}, {size} px, batches of {batch_size}", "images": images, "epochs": epochs}
  for trainable, prefix in PREFIX.items():
    figures |= {prefix + name: value for name, value in flops_ratios(depth, size, batch_size, trainable).items()}
  figures |= compare_runs(depth, size, images, batch_size, epochs)
  figures["peak_memory"] = {count: peak_memory(count, size) for count in MEMORY_IMAGES}
  return "\n".join(describe(figures)), figures


def flops_ratios(depth, size, batch_size, trainable):
  """FLOPs, as XLA counts them, of a step over features and of one over images, as shares of what they must cost.

  That is three times the tail's forward pass, and that and once the trunk.
  """
  model, variables = resnet(depth), resnet(depth).shapes
  mask = trainable_mask(model, variables["params"], trainable)
  params, frozen = split_params(variables["params"], mask)
  tx = make_optimizer(1e-3, mask)
  trunk, tail_step = Trunk(model, first_trained_cut(model, mask), variables, size), make_tail_step(model, tx, mask)
  state = jax.eval_shape(
      lambda params, stats: TrainState(params, stats, tx.init(params), zero_totals()), params, variables["batch_stats"])

  shape = lambda dtype, *dimensions: jax.ShapeDtypeStruct(dimensions, dtype)
  devices = jax.local_device_count()
  share = batch_size // devices
  table = shape(np.uint16, devices, batch_size, trunk.width)
  rows, weights = shape(np.int32, devices, 1, share), shape(np.float32, devices, 1, share)
  batch = {
      "image": shape(np.uint8, devices, share, size, size, 3), "label": shape(np.int32, devices, share),
      "weight": shape(np.float32, devices, share)}
  pixels = shape(np.uint8, share, size, size, 3)
  features = jax.tree.map(
      lambda leaf: shape(np.float32, *leaf.shape), jax.eval_shape(trunk, trunk.variables, pixels))

  flops = lambda compiled, *arguments: compiled.lower(*arguments).compile().cost_analysis()["flops"]
  tail = flops(jax.jit(lambda v, x: model.apply(v, x, start=trunk.cut)), variables, features)
  before = flops(jax.jit(lambda v, x: model.apply(v, normalize(x), stop=trunk.cut)), variables, pixels)
  cached = flops(make_feature_steps(tail_step, trunk), state, frozen, table, rows, weights, *[shape(np.int32)] * 2)
  uncached = flops(make_image_step(tail_step, trunk), state, frozen, batch)
  return {
      "cached_step_flops_ratio": cached / (3 * tail), "uncached_step_flops_ratio": uncached / (before + 3 * tail)}


def compare_runs(depth, size, images, batch_size, epochs):
  """Whole runs of `scripts/train.py`, in turns with inference passes over the same images and with PyTorch's epochs.

  Returns: {"inference": seconds of one pass, "decoding": seconds of reading alone, "seconds": of a run by part,
    "run_over_inference", "torch_over_ours" and "torch"} (the last two where PyTorch is installed), those of a run with
    each of `PREFIX`.
  """
  figures = {}
  with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    faces = write_data_set(folder / "faces", {"train": images, "val": max(images // VAL_SHARE, 2)})
    model = resnet(depth, dtype=jnp.dtype(dtype(not on_cpu())))
    variables = init_variables(model, jax.random.key(0), size)
    save_safetensors(folder / "weights.safetensors", variables)
    dataset = open_dataset(str(faces), data_dir=str(folder / "warm"))  # the runs make records of their own
    sources = [dataset[split] for split in ("train", "val")]
    at_once = batch_size if on_cpu() else DEVICE_BATCH * jax.local_device_count()
    options = dict(batch_size=at_once, resize=SIDE, crop=size)
    predict = make_predict_step(model)
    predict_split(predict, variables, sources[1], **options)  # compiles

    infer = lambda: [predict_split(predict, variables, source, **options) for source in sources]
    seconds = {"inference": [], **{f"torch {trainable}": [] for trainable in PREFIX}}
    for trainable, prefix in PREFIX.items():
      seconds["inference"].append(_timed(infer))
      if find_spec("torch"):
        for each in PREFIX:
          figures["torch"] = torch = run_torch(folder, each, depth, size, batch_size, not on_cpu())
          seconds[f"torch {each}"].append(torch["epoch"])
          seconds.setdefault("torch inference", []).append(torch["inference"])
      figures[f"{prefix}seconds"] = run_training(
          folder, trainable, depth, size, batch_size, epochs, not on_cpu())
    seconds["inference"].append(_timed(infer))
    figures["decoding"] = _timed(lambda: [_read(source, **options) for source in sources])
  for name in ("inference", "torch inference"):
    if name in seconds:
      figures[name.replace(" ", "_")] = float(np.median(seconds[name]))
  for trainable, prefix in PREFIX.items():
    run = sum(figures[f"{prefix}seconds"]["parts"].values())
    figures[f"{prefix}run_over_inference"] = run / figures["inference"]
    if find_spec("torch"):
      figures[f"{prefix}torch_epoch"] = float(np.mean(seconds[f"torch {trainable}"]))
      figures[f"{prefix}torch_over_ours"] = epochs * figures[f"{prefix}torch_epoch"] / run
  return figures


def peak_memory(images, size):
  """Bytes that an epoch over features in a file takes at most, the whole process with its pass over the images."""
  with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    write_data_set(folder / "faces", {"train": images, "val": 16})
    save_safetensors(folder / "weights.safetensors", init_variables(resnet(MEMORY_DEPTH), jax.random.key(0), size))
    command, _ = _train_command(folder, "last_block", MEMORY_DEPTH, size, 32, 1, not on_cpu())
    process = subprocess.Popen(
        [*command, "--config.trunk=file"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
      raise UserError(f"{' '.join(command)} failed")
    return usage.ru_maxrss * 1024


def dtype(accelerated):
  """What both compute in: the fast choice of an accelerator, and of a CPU."""
  return "bfloat16" if accelerated else "float32"


def _timed(function):
  start = time.perf_counter()
  function()
  return time.perf_counter() - start


def _read(source, batch_size, resize, crop):
  for _ in read_batches(source, plan_batches(len(source), batch_size), resize=resize, crop=crop):
    pass


def run_torch(folder, trainable, depth, size, batch_size, accelerated):
  """What `torch_training` prints. `accelerated`: whether it has a GPU, which this process may leave to it unseen."""
  workers = os.cpu_count() if accelerated else 1  # on CPU its threads compute
  options = dict(
      depth=depth, trainable=trainable, batch_size=batch_size,
      inference_batch_size=DEVICE_BATCH if accelerated else batch_size,  # as ours takes them
      resize=SIDE, crop=size, epochs=TORCH_EPOCHS, workers=workers)
  command = own_process(
      "torch_training", str(folder / "faces"), str(folder / "weights.safetensors"), json.dumps(options))
  return json.loads(_output(command).splitlines()[-1])


def run_training(folder, trainable, depth, size, batch_size, epochs, accelerated, log=None):
  """{"parts": seconds of a run by part, "compiling": of these, "test": besides, "command": of the whole command}.

  Nothing is compiled, and no records are written, before it. `accelerated`: whether it has a GPU or TPU, which this
  process may leave to it unseen; `log`: an open file that gets what the command says.
  """
  command, workdir = _train_command(folder, trainable, depth, size, batch_size, epochs, accelerated)
  for place in (workdir, folder / f"records_{trainable}"):
    shutil.rmtree(place, ignore_errors=True)
  start = time.perf_counter()
  _output(command, log, JAX_COMPILATION_CACHE_DIR=str(workdir / "compiled"))
  command_seconds = time.perf_counter() - start
  seconds = json.loads((workdir / SECONDS_FILE).read_text())
  return seconds | {"test": seconds["parts"].pop("test"), "command": command_seconds}


def _train_command(folder, trainable, depth, size, batch_size, epochs, accelerated):
  """(the command that trains on folder/faces from folder/weights.safetensors, its workdir)."""
  workdir = folder / trainable
  flags = {
      "model.depth": depth, "model.dtype": dtype(accelerated),
      "pretrained": folder / "weights.safetensors", "trainable": trainable,
      "data.path": folder / "faces", "data.dir": folder / f"records_{trainable}", "data.resize": SIDE,
      "data.crop": size, "batch_size": batch_size, "epochs": epochs, "early_stopping_patience": epochs}
  return [
      sys.executable, str(SCRIPTS / "train.py"), f"--config={ROOT / 'configs' / 'resnet50.py'}",
      f"--workdir={workdir}", *(f"--config.{name}={value}" for name, value in flags.items())], workdir


def _output(command, log=None, **environment):
  place = subprocess.PIPE if log is None else log
  process = subprocess.run(
      command, stdout=place, stderr=place, text=True, env={**os.environ, **environment})
  if process.returncode:
    raise UserError(f"{' '.join(command)} failed: {(process.stderr or 'see the log').strip().splitlines()[-1:]}")
  return process.stdout


def describe(figures):
  """The figures in lines for people."""
  images = figures["images"]
  yield f"{figures['network']}, {images:,} training images, {figures['epochs']} epochs; {figures['device']}"
  yield f"one inference pass {figures['inference']:.1f} s; reading alone {figures['decoding']:.1f} s"
  if "torch" in figures:
    yield (
        f"PyTorch {figures['torch']['version']}: inference pass {figures['torch_inference']:.1f} s, epoch"
        f" {figures['torch_epoch']:.1f} s (last_conv {figures['last_conv_torch_epoch']:.1f} s), of which"
        f" {TORCH_EPOCHS} in each of two turns was measured, times {figures['epochs']}")
  else:
    yield "PyTorch is not installed (pip install torch): no comparison"
  yield f"{'':<58}{'last_block':>12}{'last_conv':>12}"
  both = lambda name: [figures.get(prefix + name) for prefix in PREFIX.values()]
  row = lambda title, values, digits=2: f"{title:<58}" + "".join(
      f"{'' if value is None else format(value, f'.{digits}f'):>12}" for value in values)
  yield row("FLOPs: step over features / (3 tails)", both("cached_step_flops_ratio"), 3)
  yield row("FLOPs: step over images / (trunk + 3 tails)", both("uncached_step_flops_ratio"), 3)
  runs = both("seconds")
  for part in runs[0]["parts"]:
    yield row(f"  {part}, s", [run["parts"][part] for run in runs], 1)
  yield row("run, s", [sum(run["parts"].values()) for run in runs], 1)
  yield row("  (of that compiling, s)", [run["compiling"] for run in runs], 1)
  yield row("  (besides: scoring the test split, s)", [run["test"] for run in runs], 1)
  yield row("  (start to finish, with Python's start and the report, s)", [run["command"] for run in runs], 1)
  yield row("run / inference pass", both("run_over_inference"))
  yield row("images/s of the trunk's pass, compiling included", [
      images * (1 + 1 / VAL_SHARE) / run["parts"]["features"] for run in runs], 0)
  yield row("PyTorch's run / ours", both("torch_over_ours"))
  yield "peak memory with the features in a file, ResNet-18: " + ", ".join(
      f"{count:,} images {peak / 2**20:,.0f} MiB" for count, peak in figures["peak_memory"].items())
