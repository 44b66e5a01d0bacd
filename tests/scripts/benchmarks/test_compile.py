"""Compiled programs of chips that are not there: run where their compilers are installed (pip install -e '.[aot]')."""

import re

import jax
import jax.numpy as jnp
import pytest
from benchmarks import compilers
from benchmarks.compile import (
  all_reduced_bytes,
  bench_compile,
  chosen_networks,
  count_convolutions,
  describe,
  figures_of,
)
from benchmarks.programs import lowered

from fakeface_jax.errors import UserError
from fakeface_jax.models.resnet import resnet

SMALL = [(18, 64, "bfloat16")]
CONVOLUTIONS, LAST_TEN = 20, 10  # of a ResNet-18
STEPS = ["trunk_forward", "tail_forward", "cached_step", "image_step"]
VALIDATION = "cached_validation"


def compiled(target, programs):
  """{program: figures}, none of which failed."""
  if why := compilers.missing(compilers.TARGETS[target].platform):
    pytest.skip(why)
  found = bench_compile([target], SMALL, programs, each=print)
  rows = next(rows for title, rows in found.items() if title != "versions")
  assert list(rows) == programs
  assert not [row for row in rows.values() if "failed" in row]
  assert all(row.get("fits", True) for row in rows.values())
  return rows


def one_pass_for_all(rows):
  """The set has the convolutions of a forward pass, of one back to the pixels, and of one to the tenth-last layer."""
  assert rows["forward"]["forward_convolutions"] == rows["set"]["forward_convolutions"] == CONVOLUTIONS
  assert rows["forward"]["backward_convolutions"] == 0
  assert rows["set"]["backward_convolutions"] <= CONVOLUTIONS + LAST_TEN - 1


@pytest.mark.parametrize("target", ["T4", "A100", "L4", "H100"])
def test_on_gpus_the_set_takes_one_forward_pass_and_all_steps_compile(target):
  one_pass_for_all(compiled(target, ["forward", "set", *STEPS]))


def test_on_tpu_the_set_takes_one_forward_pass():
  rows = compiled("v5e", ["forward", "gradcam", "set"])
  one_pass_for_all(rows)
  assert rows["set"]["flops_ratio"] < 2.5  # ten layers are half of this network: 1 + 1 + 9 / 20
  assert rows["set"]["bytes_ratio"] < 2.8
  assert rows["gradcam"]["bytes_ratio"] < 1.4


def test_on_a_slice_of_tpus_a_step_costs_its_floor_and_only_what_trains_is_all_reduced():
  rows = compiled("v5e 2x2", [*STEPS, VALIDATION])
  assert rows[VALIDATION]["bytes_ratio"] < 1.2  # the table is not copied, see `steps._rows_of`
  for step in ("cached_step", "image_step"):
    assert rows[step]["flops_ratio"] < 1.05
    beside = rows[step]["all_reduced_bytes"] - rows[step]["trained_bytes"]
    assert 0 < beside < 0.01 * rows[step]["trained_bytes"]  # the loss, and what BatchNorm has to know


@pytest.mark.slow
def test_on_this_cpu_the_set_takes_one_forward_pass():
  model = resnet(18)
  rows = {}
  for program in ("forward", "set"):
    given, images, _ = lowered(program, model, 64, jax.devices()[:1])
    rows[program] = figures_of(given.compile(), images, None, "float32")
  assert rows["set"]["forward_convolutions"] == rows["forward"]["forward_convolutions"] == CONVOLUTIONS
  assert rows["set"]["flops"] < 2.5 * rows["forward"]["flops"]


def test_convolutions_are_told_from_other_products_and_by_direction():
  kernel, x = jnp.ones((3, 3, 4, 4)), jnp.ones((1, 8, 8, 4))

  def of(x):
    y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return (y**2).sum() + (x[0, 0] @ x[0, 0].T).sum()

  text = jax.jit(jax.grad(of)).lower(x).compile().as_text()
  assert count_convolutions(text) == {"forward_convolutions": 1, "backward_convolutions": 1}


def test_all_reduced_bytes_are_those_of_every_part():
  text = """
    %a = f32[10,2]{1,0} all-reduce(%x), replica_groups={}
    %b = (bf16[3]{0:T(8,128)}, /*index=1*/f32[]) all-reduce-start(%y, %z), replica_groups={}
    %c = f32[99]{0} add(%a, %a)"""
  assert all_reduced_bytes(text) == 80 + 6 + 4


def test_a_platform_that_there_is_not_is_one_line_that_lists_those_there_are():
  with pytest.raises(UserError, match=r"--platform: there is no 'v9'; use cpu, tpu or gpu, or some of .*v5e.*H100"):
    bench_compile(["v9"], SMALL)


def test_an_unknown_program_is_one_line_that_lists_those_there_are():
  with pytest.raises(UserError, match=r"--only: there is no 'sets'; use some of forward,gradcam,set"):
    bench_compile(["cpu"], SMALL, ["sets"])


@pytest.mark.parametrize("there, expected", [
    (None, r"libtpu is not installed: pip install 'libtpu==[\d.]+\*?'"),
    ("0.0.1", r"libtpu 0.0.1 is not of JAX's version \(.*\): pip install 'libtpu==")])
def test_a_compiler_that_is_missing_or_of_another_version_is_said(monkeypatch, there, expected):
  monkeypatch.setattr(compilers, "_version", lambda name: there if name == "libtpu" else jax.__version__)
  said = []
  found = bench_compile(["v5e"], SMALL, each=said.append)
  assert found["v5e"]["not_compiled"] in said[0]
  assert re.search(expected, said[0])


@pytest.mark.slow
def test_a_compiler_that_aborts_costs_one_program(monkeypatch, tmp_path):
  """As XLA's do on a failed check."""
  (tmp_path / "sitecustomize.py").write_text(
      "import jax, os\ncompile = jax.stages.Lowered.compile\n"
      "def aborting(self, *rest):\n"
      "  return os.abort() if self.as_text().count('convolution') > 30 else compile(self, *rest)\n"
      "jax.stages.Lowered.compile = aborting\n")
  monkeypatch.setattr(compilers, "ENVIRONMENTS", {"cpu": {"PYTHONPATH": str(tmp_path)}})
  found = bench_compile(["cpu"], SMALL, ["forward", "set", "tail_forward"], each=print)
  rows = found["cpu, ResNet-18, 64 px, bfloat16"]
  assert "aborted (exit code -6)" in rows["set"]["failed"]
  assert rows["forward"]["flops"] > rows["tail_forward"]["flops"] > 0
  assert describe("set", rows["set"]).startswith("set")


def test_networks_are_those_that_runs_have_unless_told():
  assert chosen_networks() == [
      (18, 72, "float32"), (18, 72, "bfloat16"), (50, 224, "float32"), (50, 224, "bfloat16")]
  assert chosen_networks(50, dtype="bfloat16") == [(50, 224, "bfloat16")]
  assert chosen_networks(34, 96, "float32") == [(34, 96, "float32")]
