"""Other people's ResNet weights -> ours, and back.

Read are torchvision's and timm's state dicts (the same keys and shapes) and Hugging Face transformers' ResNet, from a
`.safetensors` file, a torch file, or a repository of the Hugging Face hub. Tensors are OIHW and [out, in] there, HWIO
and [in, out] here, float32 in both. The images these weights expect are `resnet.normalize`'s.

Keys and shapes cannot tell a stride on the 3 x 3 convolution (v1.5: torchvision, timm, microsoft/resnet-*; ours) from
one on the first 1 x 1 (the paper's): weights of the latter load and give poor features.

Sources: https://github.com/huggingface/safetensors (the format), torchvision.models.resnet (the key names).
"""

import pickle
import re
import warnings
from multiprocessing.pool import ThreadPool
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from absl import logging
from flax.traverse_util import flatten_dict, unflatten_dict

from fakeface_jax.errors import UserError
from fakeface_jax.models.resnet import DEPTHS, Bottleneck

HUB_FILE = "model.safetensors"
HUB_SECONDS = 5  # to hear from the hub at all; the download itself has no limit
TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar")
WRAPPERS = ("state_dict", "model_state_dict", "model")  # where training scripts put the state dict in a checkpoint
DTYPES = {"F16": np.float16, "BF16": jnp.bfloat16, "F32": np.float32, "F64": np.float64, "I64": np.int64}

# Ours -> torchvision's, applied in turn to 'layer1_0/downsample_1/scale'.
TORCHVISION_NAMES = (
    (r"^head/", "fc/"),
    (r"_(\d+)", r".\1"),
    (r"/(kernel|scale)$", ".weight"),
    (r"/(mean|var)$", r".running_\1"),
    (r"/", "."),
)
# transformers' -> torchvision's; `{n}` is the group plus one, as transformers counts from 0.
STAGE = r"^(?:resnet\.)?encoder\.stages\.(\d+)\.layers\.(\d+)\."
TRANSFORMERS_NAMES = (
    (r"^(?:resnet\.)?embedder\.embedder\.convolution\.", "conv1."),
    (r"^(?:resnet\.)?embedder\.embedder\.normalization\.", "bn1."),
    (STAGE + r"shortcut\.convolution\.", "layer{0}.{1}.downsample.0."),
    (STAGE + r"shortcut\.normalization\.", "layer{0}.{1}.downsample.1."),
    (STAGE + r"layer\.(\d+)\.convolution\.", "layer{0}.{1}.conv{2}."),
    (STAGE + r"layer\.(\d+)\.normalization\.", "layer{0}.{1}.bn{2}."),
    (r"^classifier\.1\.", "fc."),
)


def load_pretrained(source, variables):
  """`variables` with the weights of `source` in place of its own.

  Every tensor must be there, in its shape, and no other. The head alone may differ: where the source has another
  number of classes or no head, the head of `variables` stays. Which of the two happened is logged. A head that is
  loaded brings its own class order; this project's is real = 0, fake = 1.

  Args:
    source: a `.safetensors` file; a torch file (`.pth`, `.pt`, ...; needs torch, and runs no code from the file); or a
      repository of the Hugging Face hub such as 'timm/resnet50.tv_in1k', whose `model.safetensors` is downloaded once.
    variables: {"params": ..., "batch_stats": ...} as `ResNet.init` returns them.
  Returns: the same tree, NumPy float32. Float16, bfloat16 and float64 tensors are converted.
  Raises: UserError saying what is wrong with the source, or listing all tensors that do not fit.
  """
  return from_state_dict(read(weights_file(source)), variables, source)


def from_state_dict(tensors, variables, source="the state dict"):
  """`load_pretrained` of {key: float32 NumPy array} in one of the known layouts; `source` is what errors call it."""
  tensors = torchvision_state_dict(tensors, source)
  wanted = to_state_dict(variables)
  head = {key: tensors.pop(key) for key in ("fc.weight", "fc.bias") if key in tensors}
  classes = len(wanted["fc.bias"])
  fresh = not head or ("fc.weight" in head and head["fc.weight"].shape[:1] != (classes,))
  logging.info(
      "%s: %d tensors; the head of %d classes %s", source, len(tensors), classes,
      "is new, not the source's" if fresh else "is the source's as well, in its class order")
  tensors |= {key: wanted[key] for key in ("fc.weight", "fc.bias")} if fresh else head
  check_fit(tensors, wanted, source)
  check_finite(tensors, source)
  ours = {path: to_ours(tensors[torchvision_key(path)]) for path in leaves(variables)}
  return dict(variables) | unflatten_dict(ours, sep="/")


def to_state_dict(variables):
  """torchvision's state dict of `variables`: {'layer1.0.conv1.weight': float32 NumPy array, ...}.

  `num_batches_tracked`, which torch does without, is left out; so `load_state_dict(strict=True)` takes it.
  Raises: UserError naming what holds a NaN or an infinity.
  """
  tensors = {torchvision_key(path): to_torch(leaf) for path, leaf in leaves(variables).items()}
  check_finite(tensors, "the network")
  return tensors


def save_safetensors(path, variables):
  """Writes `variables` for torchvision, timm and `load_pretrained`, making the folders on the way."""
  import safetensors.numpy

  Path(path).parent.mkdir(parents=True, exist_ok=True)
  Path(path).write_bytes(safetensors.numpy.save(to_state_dict(variables), metadata={"format": "pt"}))


# --- names and layouts -----------------------------------------------------------------------------------------------


def leaves(variables):
  """{'params/conv1/kernel': array, ...} of the parameters and statistics."""
  return flatten_dict({name: variables[name] for name in ("params", "batch_stats")}, sep="/")


def torchvision_key(path):
  """'params/layer1_0/downsample_1/scale' -> 'layer1.0.downsample.1.weight'."""
  key = path.partition("/")[2]
  for pattern, name in TORCHVISION_NAMES:
    key = re.sub(pattern, name, key)
  return key


def torchvision_state_dict(tensors, source):
  """The same tensors under torchvision's keys, without the step counters of BatchNorm."""
  renamed = {}
  for key, tensor in tensors.items():
    new = re.sub(r"^(?:(?:module|model|_orig_mod)\.)+", "", key)  # DataParallel, Lightning, torch.compile
    for pattern, name in TRANSFORMERS_NAMES:
      if match := re.match(pattern, new):
        stage, block, layer = [int(number) for number in match.groups()] + [0] * (3 - len(match.groups()))
        new = name.format(stage + 1, block, layer + 1) + new[match.end() :]
        break
    if new in renamed:
      raise UserError(f"{source}: holds {new} twice, once as {key}; give a file with one network in it")
    if not new.endswith(".num_batches_tracked"):
      renamed[new] = tensor
  return renamed


def to_ours(tensor):
  """OIHW -> HWIO and [out, in] -> [in, out]; vectors stay."""
  return np.ascontiguousarray(tensor.transpose({4: (2, 3, 1, 0), 2: (1, 0)}.get(tensor.ndim)))


def to_torch(leaf):
  """The inverse of `to_ours`."""
  leaf = np.asarray(leaf, np.float32)
  return np.ascontiguousarray(leaf.transpose({4: (3, 2, 0, 1), 2: (1, 0)}.get(leaf.ndim)))


# --- checks ----------------------------------------------------------------------------------------------------------


def check_fit(tensors, wanted, source):
  """Raises a UserError listing every missing, unexpected and mis-shaped tensor."""
  missing = [key for key in wanted if key not in tensors]
  unexpected = [key for key in tensors if key not in wanted]
  misshaped = [
      f"{key} {tensors[key].shape} instead of {wanted[key].shape}"
      for key in wanted if key in tensors and tensors[key].shape != wanted[key].shape]
  theirs, ours = depth_of(tensors), depth_of(wanted)
  if theirs and ours and theirs != ours:
    raise UserError(
        f"{source}: looks like the weights of a ResNet-{theirs}, but the network is a ResNet-{ours} ({len(missing)} "
        f"tensors missing, {len(unexpected)} unexpected, {len(misshaped)} of another shape); set the depth to {theirs}"
        f" or give weights of a ResNet-{ours}")
  groups = (("missing", missing), ("unexpected", unexpected), ("of another shape", misshaped))
  problems = [f"{len(names)} {what}: {shortened(names)}" for what, names in groups if names]
  if problems:
    raise UserError(f"{source}: the weights do not fit the network; tensors {'; '.join(problems)}")


def check_finite(tensors, source):
  broken = [key for key, tensor in tensors.items() if not np.isfinite(tensor).all()]
  if broken:
    raise UserError(f"{source}: NaN or infinite values in {shortened(broken)}; use weights of a run that converged")


def shortened(names, most=10):
  more = f" and {len(names) - most} more" if len(names) > most else ""
  return ", ".join(names[:most]) + more


def depth_of(keys):
  """18, 34, 50, 101 or 152, as told by torchvision's keys, or None."""
  blocks = {match.groups() for key in keys if (match := re.match(r"layer(\d)\.(\d+)\.", key))}
  sizes = tuple(sum(stage == s for stage, _ in blocks) for s in "1234")
  found = [
      depth for depth, (stage_sizes, block) in DEPTHS.items()
      if stage_sizes == sizes and (block is Bottleneck) == ("layer1.0.conv3.weight" in keys)]
  return found[0] if found else None


# --- files and the hub -----------------------------------------------------------------------------------------------


def weights_file(source):
  """The path of a file as it is, or of the hub's file after its download."""
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
