"""XLA's compilers for chips that are not there: of TPUs and GPUs that are only described.

A compiler is asked in a process of its own, whose environment is set before JAX is imported: GPU compilers are known to
abort, and what one platform's needs is no good for another's.
"""

import dataclasses
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from benchmarks.chips import CHIPS
from fakeface_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Target:
  """What is compiled for: `devices` of a kind.

  Attributes: `platform`: cpu, tpu or gpu; `kind`: of `CHIPS`, '' for this machine's CPU.
  """

  platform: str
  kind: str = ""
  devices: int = 1


TARGETS = {
    "cpu": Target("cpu"),
    "v5e": Target("tpu", "TPU v5 lite"), "v6e": Target("tpu", "TPU v6 lite"),
    "v5e 2x2": Target("tpu", "TPU v5 lite", 4), "v6e 2x2": Target("tpu", "TPU v6 lite", 4),
    "T4": Target("gpu", "T4"), "A100": Target("gpu", "A100"), "L4": Target("gpu", "L4"), "H100": Target("gpu", "H100")}

ENVIRONMENTS = {
    "cpu": {"XLA_FLAGS": ""},
    "tpu": {
        "XLA_FLAGS": "", "TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v5litepod-4",
        "TPU_WORKER_HOSTNAMES": "localhost", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"},
    # Without a GPU there is nothing to try kernels on.
    "gpu": {"XLA_FLAGS": "--xla_gpu_autotune_level=0", "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1"}}


def chosen_targets(names):
  """{name: Target} of platforms ('cpu', 'tpu', 'gpu') and of targets by their own names ('H100', 'v5e 2x2').

  Raises: UserError for a name that is neither.
  """
  chosen = {}
  for name in names:
    found = {key: target for key, target in TARGETS.items() if name.lower() in (target.platform, key.lower())}
    if not found:
      raise UserError(f"--platform: there is no {name!r}; use cpu, tpu or gpu, or some of {','.join(TARGETS)}")
    chosen |= found
  return chosen


def versions():
  """{package: its version, or None} of JAX and its compilers."""
  return {name: _version(name) for name in ("jax", "jaxlib", "libtpu", "jax-cuda12-plugin")}


def _version(package):
  try:
    return version(package)
  except PackageNotFoundError:
    return None


def missing(platform):
  """Why this machine cannot compile for a platform, and what to install; None where it can."""
  ours = version("jax")
  if platform == "tpu":
    wanted = next(need for need in map(Requirement, requires("jax")) if need.name == "libtpu")
    return _missing("libtpu", wanted.specifier, f"pip install '{wanted.name}{wanted.specifier}'")
  if platform == "gpu":
    packages = [f"jax-cuda12-{part}" for part in ("plugin", "pjrt")]
    install = "pip install --no-deps " + " ".join(f"{package}=={ours}" for package in packages)
    exactly = Requirement(f"jax=={ours}").specifier
    return next(filter(None, (_missing(package, exactly, install) for package in packages)), None)
  return None


def _missing(package, specifier, install):
  there = _version(package)
  if there is None:
    return f"{package} is not installed: {install}"
  return None if there in specifier else f"{package} {there} is not of JAX's version ({specifier}): {install}"


def environment(target):
  """What a process that compiles for a target has to have in its environment."""
  return {"JAX_PLATFORMS": "cpu", **ENVIRONMENTS[target.platform]}


def devices_of(target):
  """The devices to compile for; in a process with that `environment`."""
  import jax
  from jax.experimental import topologies

  if target.platform == "cpu":
    return jax.devices()[: target.devices]
  if target.platform == "tpu":
    topology = topologies.get_topology_desc(platform="tpu", topology_name=CHIPS[target.kind].topology)
  else:
    if jax.__version_info__ < (0, 8):  # whose older pmap asks for a GPU that is there
      jax.config.update("jax_pmap_shmap_merge", True)
    topology = topologies.get_topology_desc(
        platform="cuda", topology_name="1x1x1", topology="1x1x1", target_config=_described(CHIPS[target.kind]))
  return topology.devices[: target.devices]


def _described(chip):
  """A GPU as XLA's `GpuTargetConfigProto` in text."""
  gpu = chip.gpu
  major, minor = gpu["capability"].split(".")
  fields = {
      "threads_per_block_limit": 1024, "threads_per_warp": 32, "shared_memory_per_block": 49152,
      "shared_memory_per_core": gpu["shared"], "threads_per_core_limit": gpu["threads"],
      "core_count": gpu["multiprocessors"], "fpus_per_core": gpu["units"], "block_dim_limit_x": 2**31 - 1,
      "block_dim_limit_y": 65535, "block_dim_limit_z": 65535, "memory_bandwidth": int(chip.bandwidth),
      "l2_cache_size": gpu["l2"], "clock_rate_ghz": gpu["ghz"], "device_memory_size": int(chip.memory),
      "shared_memory_per_block_optin": gpu["of_block"], "registers_per_core_limit": 65536,
      "registers_per_block_limit": 65536}
  described = " ".join(f"{name}: {value}" for name, value in fields.items())
  return (
      f"gpu_device_info {{ {described} cuda_compute_capability {{ major: {major} minor: {minor} }} }}"
      ' platform_name: "CUDA" dnn_version_info { major: 9 minor: 8 patch: 0 } runtime_version { major: 12 minor: 8 }'
      f' device_description_str: "compute {gpu["capability"]}"')
