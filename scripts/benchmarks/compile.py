"""What every compiled call costs on a chip, as its compiler says, whether the chip is there or not.

Every network is compiled for every target in a process of its own; where a compiler aborts, the next process goes on
with the programs that are left.
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time

from benchmarks.chips import CHIPS
from benchmarks.commands import own_process
from benchmarks.compilers import TARGETS, chosen_targets, devices_of, environment, missing, versions
from benchmarks.programs import PROGRAMS, lowered
from fakeface_jax.errors import UserError
from fakeface_jax.lines import one_line

NETWORKS = {18: 72, 50: 224}  # {depth: px} that runs usually have
DTYPE_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4}
RATIOS = {  # what a program's FLOPs and bytes are shares of: programs, and how often each
    "gradcam": {"forward": 1}, "set": {"forward": 1}, "one_pass": {"forward": 1}, "trunk": {"trunk_forward": 1},
    "cached_step": {"tail_forward": 3}, "image_step": {"trunk_forward": 1, "tail_forward": 3},
    "validation": {"forward": 1}, "cached_validation": {"tail_forward": 1}, "all_layers_step": {"forward": 3}}


def _say(line):
  print(line, flush=True)


def chosen_networks(depth=None, size=None, dtype=None):
  """[(depth, size, dtype)]: `NETWORKS` in both dtypes, or what is given of them."""
  return [(chosen, size or NETWORKS.get(chosen, 224), kind) for chosen in ([depth] if depth else NETWORKS)
          for kind in ([dtype] if dtype else ("float32", "bfloat16"))]


def bench_compile(platforms, networks, programs=None, each=_say):
  """Compiles the programs of `programs.PROGRAMS`, or some, for the targets of `platforms`.

  Args:
    networks: as `chosen_networks` returns them.
    each: called with every line of the table as soon as it is known.
  Returns: {"target network": {program: its figures, or {"failed": why}}, or {"not_compiled": why}}, and the versions.
  Raises: UserError for an unknown platform or program.
  """
  if unknown := [program for program in programs or [] if program not in PROGRAMS]:
    raise UserError(f"--only: there is no {unknown[0]!r}; use some of {','.join(PROGRAMS)}")
  found = {}
  for name, target in chosen_targets(platforms).items():
    if why := missing(target.platform):
      found[name] = {"not_compiled": why}
      each(f"{name}: not compiled; {why}")
      continue
    for depth, size, dtype in networks:
      title = f"{name}, ResNet-{depth}, {size} px, {dtype}"
      each(f"\n{title}\n{HEADINGS}")
      found[title] = rows = {}
      for program, figures in _compiled(name, target, depth, size, dtype, programs):
        rows[program] = figures
        _compare(rows, program)
        each(describe(program, figures))
  return {"versions": versions(), **found}


def _compiled(name, target, depth, size, dtype, programs):
  """Yields (program, figures) from processes that compile one after the other."""
  left = programs
  while left is None or left:
    command = own_process("compile", name, str(depth), str(size), dtype, *(left or []))
    with tempfile.TemporaryFile("w+") as errors, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, text=True,
        env={**os.environ, **environment(target)}) as process:
      for line in process.stdout:
        message = json.loads(line)
        if "programs" in message:
          left = message["programs"]
        else:
          left.remove(message["program"])
          yield message["program"], message["figures"]
      process.wait()
      errors.seek(0)
      said = errors.read()
    if not process.returncode or left == []:  # also where it ends badly after the last one
      return
    if left is None:  # before the first program
      raise UserError(f"compile: {name} cannot be compiled for: {_reason(said)}")
    yield left[0], {"failed": f"the compiler aborted (exit code {process.returncode}): {_reason(said)}"}
    left = left[1:]


def _reason(said):
  lines = [line for line in said.strip().splitlines() if "cudart" not in line and "absl::Init" not in line]
  failed = [line for line in lines if "Check failed" in line or "Error" in line]
  return one_line((failed or lines or ["no word"])[-1])[:300]


def main(name, depth, size, dtype, *wanted):
  """In a process of its own: prints {"programs": names}, then a line for each."""
  import jax

  from fakeface_jax.models.resnet import resnet

  target, model = TARGETS[name], resnet(int(depth), dtype=jax.numpy.dtype(dtype))
  devices, wanted = devices_of(target), wanted or PROGRAMS
  print(json.dumps({"programs": list(wanted)}), flush=True)
  for program in wanted:
    try:
      start = time.perf_counter()
      given, images, trained = lowered(program, model, int(size), devices)
      tracing, start = time.perf_counter() - start, time.perf_counter()
      compiled = given.compile()
      figures = figures_of(compiled, images, CHIPS.get(target.kind), dtype)
      figures |= {"images": images, "trained_bytes": trained, "tracing_seconds": tracing,
                  "compile_seconds": time.perf_counter() - start}
    except (RuntimeError, NotImplementedError) as error:
      figures = {"failed": one_line(str(error))[:300]}
    print(json.dumps({"program": program, "figures": figures}), flush=True)


def figures_of(compiled, images, chip, dtype):
  """What a compiled program says of itself; where the compiler tells, `flops` and `bytes` an image and the roofline."""
  cost, memory, text = compiled.cost_analysis() or {}, compiled.memory_analysis(), compiled.as_text()
  figures = {
      **({"all_reduced_bytes": all_reduced_bytes(text)} | count_convolutions(text) if text else {}),
      "temporaries": memory.temp_size_in_bytes,
      "memory": memory.temp_size_in_bytes + memory.argument_size_in_bytes + memory.output_size_in_bytes
      - memory.alias_size_in_bytes}
  if chip:
    figures["fits"] = figures["memory"] <= chip.memory
  if cost.get("flops"):
    flops, moved = cost["flops"] / images, cost["bytes accessed"] / images
    figures |= {"flops": flops, "bytes": moved, "intensity": flops / moved}
    if chip:
      figures["roofline"] = 1 / max(flops / getattr(chip, dtype), moved / chip.bandwidth)
  return figures


def count_convolutions(text):
  """How many of a compiled program's operations are the network's convolutions, forward and backward.

  The compilers write them as convolutions or as calls of cuDNN; where they come from stands in `op_name`, and what a
  backward pass does is within a `transpose`. CPU has products in place of 1 x 1 kernels, see `models.convolution`.
  """
  ours = re.compile(r'(?:\bconvolution\(|\bdot\(|custom_call_target="__c\w+\$).*op_name="([^"]*)"')
  of_network = re.compile(r"conv_general_dilated|nhwc,cd->nhwd")
  names = [found[1] for found in map(ours.search, text.splitlines()) if found and of_network.search(found[1])]
  backward = sum("transpose(" in name for name in names)
  return {"forward_convolutions": len(names) - backward, "backward_convolutions": backward}


def all_reduced_bytes(text):
  """Bytes that a program sums over devices."""
  shapes = re.findall(r" = (.*?) all-reduce(?:-start)?\(", text)
  pieces = [piece for shape in shapes for piece in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shape)]
  return sum(DTYPE_BYTES.get(dtype, 0) * math.prod(map(int, filter(None, sides.split(",")))) for dtype, sides in pieces)


def _compare(rows, program):
  """Adds FLOPs and bytes over those of the programs of `RATIOS`."""
  parts = RATIOS.get(program, {})
  for name in ("flops", "bytes"):
    if parts and all(name in rows.get(part, {}) for part in (*parts, program)):
      rows[program][f"{name}_ratio"] = rows[program][name] / sum(
          times * rows[part][name] for part, times in parts.items())


HEADINGS = (f"{'':<21}{'GFLOP':>8}{'ratio':>7}{'MB':>8}{'ratio':>7}{'FLOP/B':>7}{'images/s':>10}{'convolutions':>14}"
            f"{'GiB':>7}{'trace s':>9}{'compile s':>10}")


def describe(program, figures):
  """A line of the table."""
  if "failed" in figures:
    return f"{program:<21} FAILED: {figures['failed']}"

  def cell(name, width, digits, by=1.0):
    return f"{format(figures[name] / by, f',.{digits}f') if name in figures else '':>{width}}"

  passes = " + ".join(
      str(figures[f"{way}_convolutions"]) for way in ("forward", "backward") if f"{way}_convolutions" in figures)
  return (
      f"{program:<21}" + cell("flops", 8, 2, 1e9) + cell("flops_ratio", 7, 2) + cell("bytes", 8, 1, 1e6)
      + cell("bytes_ratio", 7, 2) + cell("intensity", 7, 0) + cell("roofline", 10, 0) + f"{passes:>14}"
      + cell("memory", 7, 2, 2**30) + cell("tracing_seconds", 9, 1) + cell("compile_seconds", 10, 1)
      + ("" if figures.get("fits", True) else "  does not fit into the chip's memory"))


if __name__ == "__main__":
  main(*sys.argv[1:])
