"""Reads the tensors of weights files: safetensors, torch's, and those of the Hugging Face hub.

Nothing here knows a network; every float type becomes float32. Format: https://github.com/huggingface/safetensors.
"""

import pickle
import re
import warnings
from multiprocessing.pool import ThreadPool
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from fakeface_jax.errors import UserError

BUNDLED = Path(__file__).parent / "bundled" / "resnet18.safetensors"  # what it is: MODEL_CARD.md beside it
HUB_FILE = "model.safetensors"
HUB_SECONDS = 5  # to hear from the hub at all; the download itself has no limit
TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar")
WRAPPERS = ("state_dict", "model_state_dict", "model")  # where training scripts put the state dict in a checkpoint
DTYPES = {"F16": np.float16, "BF16": jnp.bfloat16, "F32": np.float32, "F64": np.float64, "I64": np.int64}


def weights_path(source):
  """The path of a file as it is, of the file that comes with the project, or of the hub's after its download."""
  if source == "bundled":
    return BUNDLED
  path = Path(source).expanduser()
  if path.is_file():
    return path
  if path.is_dir():
    raise UserError(f"{source}: is a folder; give the weights file in it, such as {path / HUB_FILE}")
  if path.suffix in (".safetensors", *TORCH_SUFFIXES):
    raise UserError(f"{source}: no such weights file; check the path")
  if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", str(source)):
    return hub_file(str(source))
  raise UserError(f"{source}: neither a weights file nor a hub repository like timm/resnet50.tv_in1k; check the path")


def hub_file(repository):
  """Path of the repository's `model.safetensors`: from the cache, where it is, else downloaded into it."""
  import huggingface_hub as hub
  from huggingface_hub import errors

  try:
    try:
      return Path(hub.hf_hub_download(repository, HUB_FILE, local_files_only=True))
    except errors.LocalEntryNotFoundError:
      # Asked once, in a thread: hf_hub_download would try six times in 23 s, and a connection's own timeout starts
      # anew with each address of the hub.
      with ThreadPool(1) as pool:
        url = hub.hf_hub_url(repository, HUB_FILE)
        pool.apply_async(hub.get_hf_file_metadata, [url], {"timeout": HUB_SECONDS}).get(HUB_SECONDS)
    return Path(hub.hf_hub_download(repository, HUB_FILE))
  except Exception as error:  # which network error it is depends on the hub client's HTTP library
    unreachable = (
        f"is neither a file here nor in the hub's cache, and cannot be fetched from the hub ({reason(error)}); "
        f"run `hf download {repository} {HUB_FILE}` where there is a network and give the file's path")
    advice = {
        errors.LocalEntryNotFoundError: unreachable,
        errors.GatedRepoError: "is gated; accept its terms on its hub page, then run `hf auth login`",
        errors.RepositoryNotFoundError: "is neither a file here nor a repository of the hub that can be read; check "
            "the spelling, or run `hf auth login` if it is private",
        errors.EntryNotFoundError: f"has no {HUB_FILE}; download the weights it has and give the file's path",
        errors.HFValidationError: "is neither a file here nor a valid name of a hub repository; check the spelling",
        Exception: unreachable,
    }
    raise UserError(f"{repository}: {next(advice[kind] for kind in advice if isinstance(error, kind))}") from error


def reason(error):
  """The first line of an exception's message."""
  return str(error).strip().partition("\n")[0] or type(error).__name__


def read(path):
  """{key: float32 NumPy array} of a file, under its own keys.

  Raises: UserError for an unreadable, empty, truncated or unknown kind of file, and for a torch file that would run
    code or that holds something other than a state dict.
  """
  if path.suffix not in (".safetensors", *TORCH_SUFFIXES):
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
  return read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)


def read_safetensors(path):
  import safetensors

  try:
    entries = safetensors.deserialize(path.read_bytes())
  except safetensors.SafetensorError as error:
    raise UserError(f"{path}: truncated or no safetensors file ({error}); download it again") from error
  tensors = {}
  for key, entry in entries:
    if entry["dtype"] not in DTYPES:
      raise UserError(f"{path}: {key} is of type {entry['dtype']}; only weights of {', '.join(DTYPES)} can be read")
    tensor = np.frombuffer(entry["data"], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    with np.errstate(over="ignore"):  # becomes infinite, which `check_finite` reports
      tensors[key] = tensor.astype(np.float32)
  return tensors


def read_torch(path):
  try:
    import torch
  except ImportError as error:
    raise UserError(
        f"{path}: reading it needs torch; `pip install 'fakeface-jax[torch]'` or give a .safetensors file") from error
  try:
    with warnings.catch_warnings(action="ignore"):  # about pickles that are then refused
      checkpoint = torch.load(path, map_location="cpu", weights_only=True)
  except pickle.UnpicklingError as error:
    raise UserError(
        f"{path}: no file of weights alone, so nothing of it was run; have its author save "
        "torch.save(model.state_dict(), path) or a .safetensors file") from error
  except Exception as error:  # a damaged file raises whatever its damage leads to
    raise UserError(f"{path}: truncated or no torch file ({reason(error)}); download it again") from error
  while isinstance(checkpoint, dict) and (inner := [checkpoint[name] for name in WRAPPERS if name in checkpoint]):
    checkpoint = inner[0]
  if not isinstance(checkpoint, dict) or not all(isinstance(value, torch.Tensor) for value in checkpoint.values()):
    raise UserError(f"{path}: holds no state dict, that is {{name: tensor}}, at its top or under {', '.join(WRAPPERS)}")
  return {key: tensor.detach().float().numpy() for key, tensor in checkpoint.items()}
