"""Reads the tensors of weights files: safetensors, torch's, and those of the Hugging Face hub.

Nothing here knows a network; every float type becomes float32, other types stay as they are. Format:
https://github.com/huggingface/safetensors.
"""

import json
import pickle
import re
import warnings
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from fakeface_jax.errors import UserError
from fakeface_jax.paths import FILE, FOLDER, path_kind, user_path

BUNDLED = Path(__file__).parent / "bundled" / "resnet18.safetensors"  # what it is: MODEL_CARD.md beside it
HUB_FILE = "model.safetensors"
HUB_SECONDS = 5  # to hear from the hub at all; the download itself has no limit
TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar")
DEEPEST = 6  # levels of dicts within dicts in a checkpoint that are looked through
DTYPES = {
    "F16": np.float16, "BF16": jnp.bfloat16, "F32": np.float32, "F64": np.float64, "I64": np.int64, "I32": np.int32,
    "I16": np.int16, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_}


def weights_path(source):
  """The path of a file as it is, of the file that comes with the project, or of the hub's after its download."""
  if source == "bundled":
    return BUNDLED
  path = Path(user_path(source))
  kind = path_kind(path)
  if kind == FILE:
    return path
  if kind == FOLDER:
    raise UserError(f"{source}: is a folder; give the weights file in it, such as {path / HUB_FILE}")
  if path.suffix.lower() in (".safetensors", *TORCH_SUFFIXES):
    raise UserError(f"{source}: no such weights file; check the path")
  if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", str(source)):
    return hub_file(str(source))
  raise UserError(f"{source}: neither a weights file nor a hub repository like timm/resnet50.tv_in1k; check the path")


def hub_file(repository, name=HUB_FILE, kind="file", needed=HUB_FILE):
  """Path of a repository's file: from the cache, where it is, else downloaded into it.

  Args: `kind`: what else its name could have meant; `needed`: the files that whoever asks needs, for error messages.
  """
  import huggingface_hub as hub
  from huggingface_hub import errors

  try:
    try:
      return Path(hub.hf_hub_download(repository, name, local_files_only=True))
    except errors.LocalEntryNotFoundError:
      asked_once(hub.get_hf_file_metadata, hub.hf_hub_url(repository, name), timeout=HUB_SECONDS)
    return Path(hub.hf_hub_download(repository, name))
  except Exception as error:  # which network error it is depends on the hub client's HTTP library
    raise hub_error(error, repository, name, kind, needed) from error


def asked_once(function, *args, **kwargs):
  """function(...) of the hub's client, given up after HUB_SECONDS.

  Asked once, in a thread: hf_hub_download would try six times in 23 s, and a connection's own timeout starts anew with
  each address of the hub.
  """
  from multiprocessing.pool import ThreadPool

  with ThreadPool(1) as pool:
    return pool.apply_async(function, args, kwargs).get(HUB_SECONDS)


def hub_error(error, repository, name, kind, needed):
  """The UserError for what the hub's client has raised; arguments as of `hub_file`."""
  from huggingface_hub import errors

  unreachable = (
      f"is neither a {kind} here nor in the hub's cache, and cannot be fetched from the hub ({reason(error)}); "
      f"run `hf download {repository} {needed}` where there is a network and give the {kind}'s path")
  advice = {
      errors.LocalEntryNotFoundError: unreachable,
      errors.GatedRepoError: "is gated; accept its terms on its hub page, then run `hf auth login`",
      errors.RepositoryNotFoundError: f"is neither a {kind} here nor a repository of the hub that can be read; check "
          "the spelling, or run `hf auth login` if it is private",
      errors.EntryNotFoundError: f"has no {name}; download what it has and give the {kind}'s path",
      errors.HFValidationError: f"is neither a {kind} here nor a valid name of a hub repository; check the spelling",
      Exception: unreachable,
  }
  return UserError(f"{repository}: {next(advice[kind] for kind in advice if isinstance(error, kind))}")


def reason(error):
  """The first line of an exception's message."""
  return str(error).strip().partition("\n")[0] or type(error).__name__


def read(path):
  """{key: NumPy array} of a file, float32 where they are of a float type, under its own keys.

  Of a torch checkpoint, all tensors at any depth: {"model": {"conv1.weight": tensor}} is {"model.conv1.weight": array}.

  Raises: UserError for an unreadable, empty, truncated or unknown kind of file, and for a torch file that would run
    code or that holds no tensors under names.
  """
  suffix = path.suffix.lower()
  if suffix not in (".safetensors", *TORCH_SUFFIXES):
    raise UserError(f"{path}: not a kind of weights file known here; give .safetensors or one of {TORCH_SUFFIXES}")
  try:
    with path.open("rb") as file:
      start = file.read(64)
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
  if not start:
    raise UserError(f"{path}: empty; download it again")
  if start.startswith(b"version https://git-lfs"):
    raise UserError(f"{path}: only a git-lfs pointer; run `git lfs pull` in its folder to fetch the weights")
  return read_safetensors(path) if suffix == ".safetensors" else read_torch(path)


def read_safetensors(path):
  import safetensors

  try:
    with safetensors.safe_open(path, framework="numpy"):  # checks that the header and the file's length agree
      pass
    data = np.memmap(path, np.uint8, mode="r")  # reading it as a whole would take as long as all else together
  except (safetensors.SafetensorError, OSError) as error:
    raise UserError(f"{path}: truncated or no safetensors file ({error}); download it again") from error
  start = 8 + int.from_bytes(data[:8].tobytes(), "little")
  entries = json.loads(data[8:start].tobytes())
  entries.pop("__metadata__", None)
  tensors = {}
  for key, entry in entries.items():
    if entry["dtype"] not in DTYPES:
      raise UserError(f"{path}: {key} is of type {entry['dtype']}; only weights of {', '.join(DTYPES)} can be read")
    dtype = np.dtype(DTYPES[entry["dtype"]])
    tensor = np.ndarray(entry["shape"], dtype, data, start + entry["data_offsets"][0])
    with np.errstate(over="ignore"):  # becomes infinite, which whoever uses it reports
      tensors[key] = tensor if dtype.kind in "iub" else tensor.astype(np.float32, copy=False)
  return tensors


def read_torch(path):
  try:
    import torch
  except ImportError as error:
    raise UserError(
        f"{path}: reading it needs torch; `pip install 'fakeface-jax[torch]'` or give a .safetensors file") from error
  if zipfile.is_zipfile(path) and any(name.endswith("/constants.pkl") for name in zipfile.ZipFile(path).namelist()):
    raise UserError(f"{path}: a TorchScript program, not weights alone; save torch.jit.load(path).state_dict()")
  try:
    with warnings.catch_warnings(action="ignore"):  # about pickles that are then refused
      checkpoint = torch.load(path, map_location="cpu", weights_only=True)
  except pickle.UnpicklingError as error:
    raise UserError(
        f"{path}: no file of weights alone, so nothing of it was run; have its author save "
        "torch.save(model.state_dict(), path) or a .safetensors file") from error
  except Exception as error:  # a damaged file raises whatever its damage leads to
    raise UserError(f"{path}: truncated or no torch file ({reason(error)}); download it again") from error
  tensors = tensors_in(checkpoint, torch.Tensor)
  if not tensors:
    raise UserError(f"{path}: holds no state dict, that is {{name: tensor}}, at whatever depth")
  return {key: to_numpy(tensor, f"{path}: {key}") for key, tensor in tensors.items()}


def tensors_in(container, kind, depth=0):
  """{'model.conv1.weight': tensor, ...}: all that is of this kind in dicts and lists within each other."""
  if depth == DEEPEST or not isinstance(container, (dict, list, tuple)):
    return {}
  found = {}
  for key, value in container.items() if isinstance(container, dict) else enumerate(container):
    inner = {"": value} if isinstance(value, kind) else tensors_in(value, kind, depth + 1)
    found |= {f"{key}.{name}" if name else str(key): tensor for name, tensor in inner.items()}
  return found


def to_numpy(tensor, name):
  """A torch tensor of any layout as a NumPy array, float32 where it is of a float type or quantised."""
  try:
    tensor = tensor.detach()
    if tensor.is_quantized:
      tensor = tensor.dequantize()
    if str(tensor.layout) != "torch.strided":
      tensor = tensor.to_dense()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
  except (RuntimeError, TypeError, NotImplementedError) as error:
    raise UserError(f"{name} is a tensor that cannot be read ({reason(error)}); save it as float32") from error
