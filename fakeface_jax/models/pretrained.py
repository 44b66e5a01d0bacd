"""Other people's ResNet weights -> ours, and back.

Read are torchvision's and timm's state dicts (the same keys and shapes) and Hugging Face transformers' ResNet, from a
`.safetensors` file, a torch file, or a repository of the Hugging Face hub. Tensors are OIHW and [out, in] there, HWIO
and [in, out] here, float32 in both. The images these weights expect are `network.normalize`'s.

Keys and shapes cannot tell a stride on the 3 x 3 convolution (v1.5: torchvision, timm, microsoft/resnet-*; ours) from
one on the first 1 x 1 (the paper's): weights of the latter load and give poor features.

Source of the key names: torchvision.models.resnet, transformers.ResNetForImageClassification.
"""

import logging
import re
from pathlib import Path

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from fakeface_jax.errors import UserError
from fakeface_jax.models.resnet import DEPTHS, Bottleneck
from fakeface_jax.models.weight_files import read, weights_path
from fakeface_jax.workdir import write_whole

log = logging.getLogger(__name__)

# Ours -> torchvision's, applied in turn to 'layer1_0/downsample_1/scale'.
TORCHVISION_NAMES = (
    (r"^head/", "fc/"),
    (r"_(\d+)", r".\1"),
    (r"/(kernel|scale)$", ".weight"),
    (r"/(mean|var)$", r".running_\1"),
    (r"/", "."),
)
# transformers' -> torchvision's; stages and layers count from 0 there, from 1 here, blocks from 0 in both.
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
# The key that every ResNet has once, in either naming; what stands before it, all keys of the network share.
ANCHOR = re.compile(
    r"(.*?)(?:layer1\.0\.conv1|(?:resnet\.)?encoder\.stages\.0\.layers\.0\.layer\.0\.convolution)\.weight")
HEAD = ("fc.weight", "fc.bias")
ALIGNMENT = 64  # bytes
# Which is meant of several networks in a checkpoint; torch.compile and DataParallel add the rest.
PREFERRED = re.compile(
    r"(?:(?:state_dict|model_state_dict|params)\.)?(?:(?:module|model|net|network|backbone|encoder|_orig_mod)\.)*")


def load_pretrained(source, variables):
  """`variables` with the weights of `source` in place of its own.

  Every tensor must be there, in its shape, and no other. The head alone may differ: where the source has another
  number of classes or no head, the head of `variables` stays. Which of the two happened is logged. A head that is
  loaded brings its own class order; this project's is real = 0, fake = 1.

  The network may lie at any depth of a checkpoint and under any prefix ('state_dict', 'backbone.', 'module.'); what
  lies beside it there, such as an optimiser's state, is left aside, and that is logged.

  Args:
    source: 'bundled', a ResNet-18 that comes along (`bundled/MODEL_CARD.md`); a `.safetensors` file; a torch file
      (`.pth`, `.pt`, ...; needs torch, and runs no code from the file); or a repository of the Hugging Face hub such as
      'timm/resnet50.tv_in1k', whose `model.safetensors` is downloaded once.
    variables: {"params": ..., "batch_stats": ...} as `ResNet.init` returns them.
  Returns: the same tree, NumPy float32. Float16, bfloat16 and float64 tensors are converted.
  Raises: UserError saying what is wrong with the source, or listing all tensors that do not fit.
  """
  return from_state_dict(read(weights_path(source)), variables, source)


def from_state_dict(tensors, variables, source="the state dict"):
  """`load_pretrained` of {key: float32 NumPy array} in one of the known layouts; `source` is what errors call it."""
  tensors = torchvision_state_dict(tensors, source)
  wanted = to_state_dict(variables)
  check_is_resnet(tensors, wanted, source)
  head = {key: tensors.pop(key) for key in HEAD if key in tensors}
  classes = len(wanted["fc.bias"])
  fresh = not head or ("fc.weight" in head and head["fc.weight"].shape[:1] != (classes,))
  tensors |= {key: wanted[key] for key in HEAD} if fresh else head
  check_fit(tensors, wanted, source)
  check_finite(tensors, source)
  log.info(
      "%s: weights loaded; the head of %d classes %s", source, classes,
      "is new, not the source's" if fresh else "is the source's too, in its class order")
  ours = all_to_ours({path: tensors[torchvision_key(path)] for path in leaves(variables)})
  return dict(variables) | unflatten_dict(ours, sep="/")


def to_state_dict(variables):
  """torchvision's state dict of `variables`: {'layer1.0.conv1.weight': float32 NumPy array, ...}.

  `num_batches_tracked`, which torch does without, is left out; so `load_state_dict(strict=True)` takes it.
  Raises: UserError naming what holds a NaN or an infinity.
  """
  tensors = {torchvision_key(path): to_torch(leaf) for path, leaf in leaves(variables).items()}
  check_finite(tensors, "the network")
  return tensors


def save_safetensors(path, variables, *, dtype=np.float32, **notes):
  """Writes `variables` for torchvision, timm and `load_pretrained`, making the folders on the way.

  Args:
    dtype: of the tensors in the file, float32 or float16.
    notes: text for the file's metadata.
  Raises: UserError naming what holds a NaN or an infinity, or would in float16.
  """
  import safetensors.numpy

  with np.errstate(over="ignore"):  # reported below
    tensors = {key: tensor.astype(dtype) for key, tensor in to_state_dict(variables).items()}
  check_finite(tensors, f"the network in {np.dtype(dtype).name}")

  path = Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  write_whole(path, safetensors.numpy.save(tensors, metadata={"format": "pt", **notes}))


def load_safetensors(path, like):
  """What `save_safetensors` wrote, as NumPy float32 in a tree like `like` (arrays or shapes); nothing may differ.

  Raises: UserError where the file is broken, is another network's, or holds NaN.
  """
  tensors = read(Path(path))
  wanted = {torchvision_key(name): leaf for name, leaf in leaves(like).items()}
  ours = all_to_ours(tensors)
  if {key: tensor.shape for key, tensor in ours.items()} != {key: leaf.shape for key, leaf in wanted.items()}:
    raise UserError(f"{path}: holds the weights of another network than the run's config says; remove one of them")
  check_finite(ours, path)
  return dict(like) | unflatten_dict({name: ours[torchvision_key(name)] for name in leaves(like)}, sep="/")


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
  """The network's tensors under torchvision's keys, without the step counters of BatchNorm."""
  renamed = {}
  for key, tensor in _network(tensors, source).items():
    for pattern, name in TRANSFORMERS_NAMES:
      if match := re.match(pattern, key):
        stage, block, layer = [int(number) for number in match.groups()] + [0] * (3 - len(match.groups()))
        key = name.format(stage + 1, block, layer + 1) + key[match.end() :]
        break
    if key in renamed:
      raise UserError(f"{source}: holds {key} twice; give a file with one network in it")
    if not key.endswith("num_batches_tracked"):
      renamed[key] = tensor
  return renamed


def _network(tensors, source):
  """The tensors of the one network in a checkpoint, without the prefix that they share."""
  prefixes = list(dict.fromkeys(match[1] for key in tensors if (match := ANCHOR.fullmatch(key))))
  if len(prefixes) > 1 and "" not in prefixes:
    preferred = [prefix for prefix in prefixes if PREFERRED.fullmatch(prefix)]
    if len(preferred) != 1:
      raise UserError(f"{source}: holds several networks, under {shortened(prefixes)}; give a file with one of them")
    prefixes = preferred
  prefix = "" if "" in prefixes or not prefixes else prefixes[0]
  if not prefix:
    return tensors
  network = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
  others = {key: tensor for key, tensor in tensors.items() if not key.startswith(prefix)}
  if not any(name in network for name in HEAD):  # as in a module of a backbone and a head
    outer = prefix.rstrip(".").rpartition(".")[0]
    outer = f"{outer}." if outer else ""
    network |= {name: others.pop(outer + name) for name in HEAD if outer + name in others}
  if others:
    log.info("%s: the network is what lies under %r; left aside: %s", source, prefix, shortened(list(others), 3))
  return network


def all_to_ours(tensors):
  """Copies of {key: array}: OIHW -> HWIO and [out, in] -> [in, out]; vectors stay.

  They begin where JAX can take them as they lie when they go to a CPU: new memory is what takes long.
  """
  turned = {key: tensor.transpose({4: (2, 3, 1, 0), 2: (1, 0)}.get(tensor.ndim)) for key, tensor in tensors.items()}
  space = {key: -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT for key, tensor in turned.items()}
  memory = np.empty(sum(space.values()) + ALIGNMENT, np.uint8)
  place, copies = -memory.ctypes.data % ALIGNMENT, {}
  for key, tensor in turned.items():
    copies[key] = np.ndarray(tensor.shape, tensor.dtype, memory, place)
    copies[key][...] = tensor
    place += space[key]
  return copies


def to_torch(leaf):
  """The inverse of `all_to_ours`, of one array."""
  leaf = np.asarray(leaf, np.float32)
  return np.ascontiguousarray(leaf.transpose({4: (3, 2, 0, 1), 2: (1, 0)}.get(leaf.ndim)))


# --- checks ----------------------------------------------------------------------------------------------------------


def check_is_resnet(tensors, wanted, source):
  """Raises a UserError in one sentence where nothing but perhaps a head is the network's."""
  if not any(key in wanted and key not in HEAD for key in tensors):
    kind = "ResNet" if any(map(ANCHOR.fullmatch, wanted)) else "network like the one that is to train"
    raise UserError(
        f"{source}: holds no {kind} under the names of torchvision, timm or transformers, but"
        f" {shortened(list(tensors), 3) or 'nothing'}; give the weights of a {kind}")


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
  """Raises a UserError naming the tensors that hold no finite floats."""
  integers = [f"{key} ({tensor.dtype})" for key, tensor in tensors.items() if tensor.dtype.kind != "f"]
  if integers:
    raise UserError(f"{source}: not floating-point numbers: {shortened(integers)}; use weights that are not quantised")
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
