"""Compiled calls that are kept whole, so that the next process neither traces nor compiles them.

JAX's own cache is asked by the text of a program, for which all of it has to be traced first: seconds for a deep
network. Here a call is asked for by what its program is made from: this package's source, the versions of what it is
built on, JAX's settings, the devices, the kind of processor, and what the caller names. Like JAX's cache the files hold
machine code, so that whoever may write into the folder may run anything.

Nothing is kept before `compilation_cache.use_compilation_cache`, as in a notebook; where the processor cannot be told
(no Linux); where a part has no name that tells it from others (a function of the user's); and where the backend cannot
hand out what it compiled.
"""

import hashlib
import logging
import os
import pickle
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import flax
import flax.linen as nn
import jax
import jaxlib
import numpy as np
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from fakeface_jax.compilation_cache import calls_folder
from fakeface_jax.cores import usable_cores
from fakeface_jax.errors import of_disk
from fakeface_jax.progress import compiling
from fakeface_jax.workdir import write_whole

log = logging.getLogger(__name__)

MOST_BYTES = 512 * 2**20  # of all kept calls; beyond that those go that were not used for longest
ENVIRONMENT = ("XLA_", "TF_XLA_", "LIBTPU_", "TPU_", "CUDA_", "NVIDIA_", "NPROC")  # what compilers may look at
OUR_OWN = ("fakeface_jax", "jax", "jaxlib", "flax", "numpy")  # packages whose functions are told by their names
_UNSUPPORTED = (jax.errors.JaxRuntimeError, NotImplementedError, ValueError)
_DIGEST = hashlib.sha256().digest_size


def kept(make, devices, parts):
  """The `jax.stages.Compiled` that `make()` would return, from its file where there is one.

  Args: `parts`: {name: value} of all else that the program depends on, see `_told`.
  """
  folder = calls_folder()
  key = None if folder is None else key_of(devices, parts)
  if key is None:
    return make()
  path = folder / f"{key.hex()}.call"
  call = _load(path, key, devices)
  if call is None:
    call = compiled_now(make)
    _keep(path, key, call)
  return call


def compiled_now(make):
  """`make()` past JAX's own cache: on CPU, what comes from there can be run, but not handed out a second time."""
  enabled = jax.config.jax_enable_compilation_cache
  try:
    jax.config.update("jax_enable_compilation_cache", False)
    reset_cache()  # which remembers whether it is in use
    with compiling():
      return make()
  finally:
    jax.config.update("jax_enable_compilation_cache", enabled)
    reset_cache()


def _load(path, key, devices):
  """The call of a file; None where there is none, or none that can be used, which is said and the file removed."""
  try:
    content = path.read_bytes()
    os.utime(path)  # see `_make_room`
  except FileNotFoundError:
    return None
  except OSError as error:
    log.warning("%s cannot be read (%s): compiling again", path, of_disk(error))
    return None
  digest, rest = content[:_DIGEST], content[_DIGEST:]
  try:
    if hashlib.sha256(rest).digest() != digest:
      raise ValueError("it is damaged")
    if rest[:_DIGEST] != key:
      raise ValueError("it is another call's")
    return deserialize_and_load(*pickle.loads(rest[_DIGEST:]), execution_devices=devices)
  except _UNSUPPORTED as error:
    log.warning("%s cannot be used (%s) and is removed: compiling again", path, " ".join(str(error).split()))
  with suppress(OSError):
    path.unlink()
  return None


def _keep(path, key, call):
  try:
    rest = key + pickle.dumps(serialize(call))
  except _UNSUPPORTED:
    return
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, hashlib.sha256(rest).digest() + rest)
    _make_room(path.parent)
  except OSError as error:
    log.warning("the compiled call could not be kept (%s)", of_disk(error))


def _make_room(folder):
  files = {}
  for path in folder.iterdir():
    with suppress(FileNotFoundError):  # another process may remove it
      files[path] = path.stat()
  total = sum(file.st_size for file in files.values())
  for path in sorted(files, key=lambda path: files[path].st_mtime):
    if total <= MOST_BYTES:
      return
    path.unlink(missing_ok=True)
    total -= files[path].st_size


# --- what a program depends on ---------------------------------------------------------------------------------------


def key_of(devices, parts):
  """32 bytes that change with anything that a compiled call depends on; None where that cannot be told."""
  processor = _processor()
  if processor is None:
    return None
  try:
    made_from = {
        "source": _source(Path(__file__).parent),
        "versions": [sys.version, jax.__version__, jaxlib.__version__, flax.__version__, np.__version__],
        "settings": [
            f"{name}={value!r}" for name, value in sorted(jax.config.values.items())
            if name != "jax_compilation_cache_dir"],
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith(ENVIRONMENT)},
        "devices": [[device.id, device.platform, device.device_kind] for device in devices],
        "compiler": devices[0].client.platform_version,
        "processor": processor,
        "cores": usable_cores(),  # XLA splits work by them
        **parts}
    return hashlib.sha256(_told(made_from).encode()).digest()
  except _Untold:
    return None


@cache
def _source(folder):
  """A digest of all Python files in a folder and below."""
  digest = hashlib.sha256()
  for path in sorted(folder.rglob("*.py")):
    content = path.read_bytes()
    digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
  return digest.hexdigest()


@cache
def _processor():
  """What machine code may depend on: the processor's model and features; None where the system does not tell."""
  try:
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
  except OSError:
    return None
  fields = dict(line.split(":", 1) for line in lines if ":" in line)
  told = {name.strip(): " ".join(sorted(value.split())) for name, value in fields.items()}
  features = told.get("flags") or told.get("Features")
  if not features:
    return None
  names = ("vendor_id", "cpu family", "model", "stepping", "model name", "CPU implementer", "CPU part", "CPU variant")
  return [os.uname().machine, features, *(told.get(name) for name in names)]


class _Untold(Exception):
  """Something of which no text tells it from others."""


def _told(value):
  """A text that is the same in every process for this value, and for no other.

  Known are plain values, lists, tuples and dicts, arrays by their shape and type, Flax modules, types, and functions of
  `OUR_OWN`. Raises: _Untold for anything else.
  """
  if value is None or isinstance(value, bool | int | float | str):
    return repr(value)
  if isinstance(value, list | tuple):
    return f"({', '.join(map(_told, value))})"
  if isinstance(value, dict):
    return f"{{{', '.join(f'{_told(key)}: {_told(value[key])}' for key in value)}}}"
  if isinstance(value, jax.Array | np.ndarray | jax.ShapeDtypeStruct):
    return f"{value.dtype}{list(value.shape)}"
  if isinstance(value, nn.Module):
    fields = {name: getattr(value, name) for name in type(value).__dataclass_fields__ if name not in ("parent", "name")}
    return f"{_told(type(value))}{_told(fields)}"
  module, name = getattr(value, "__module__", None) or "", getattr(value, "__qualname__", None)
  if name and module.split(".")[0] in OUR_OWN and getattr(sys.modules.get(module), name, None) is value:
    return f"{module}.{name}"
  raise _Untold(value)
