"""ResNet v1.5 (He et al., 2015; the stride sits on the 3 x 3 convolution) in Flax Linen, laid out as torchvision's.

Layer names are torchvision's with the dots of a block written as in `layer4_2/conv3`; paddings are written out, because
SAME pads strided convolutions differently from torch.

The network runs in two parts: `stop="layer4_2"` returns what enters that block (the frozen trunk's features), and
`start="layer4_2"` goes on from there to the logits. `"layer4_2/conv3"` cuts within the block.
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from fakeface_jax.errors import UserError
from fakeface_jax.models.convolution import Convolution, max_pool, precision
from fakeface_jax.models.network import Network


def BasicBlock(width, stride):  # the two as torchvision calls them
  """(channels, side of the kernel, stride) of a block's convolutions in order, 3 x 3 twice: ResNet-18 and 34."""
  return (width, 3, stride), (width, 3, 1)


def Bottleneck(width, stride):
  """The same, 1 x 1, 3 x 3 and 1 x 1 with four times the channels at the end: ResNet-50, 101 and 152."""
  return (width, 1, 1), (width, 3, stride), (4 * width, 1, 1)


def projects(plan, channels):
  """Whether a block's shortcut needs a convolution: an input of so many channels has not the output's shape."""
  return channels != plan[-1][0] or any(stride > 1 for *_, stride in plan)


class Block(nn.Module):
  """Convolutions, as `BasicBlock` and `Bottleneck` plan them, around which a shortcut leads.

  It can be cut before conv2 or a later one: `stop=3` returns what enters conv3 and the end of the shortcut, {"x",
  "shortcut"}, and `start=3` goes on from these.
  """

  plan: tuple
  conv: Callable
  norm: Callable
  act: Callable

  @nn.compact
  def __call__(self, x, start=1, stop=None):
    y, shortcut = (x, x) if start == 1 else (x["x"], x["shortcut"])
    for number, (features, kernel_size, stride) in list(enumerate(self.plan, start=1))[start - 1 : stop and stop - 1]:
      y = self.norm(self.conv(features, kernel_size, stride, name=f"conv{number}")(y), f"bn{number}")
      y = self.act(y) if number < len(self.plan) else y
    if start == 1 and projects(self.plan, x.shape[-1]):
      stride = math.prod(stride for *_, stride in self.plan)
      shortcut = self.norm(self.conv(self.plan[-1][0], 1, stride, name="downsample_0")(x), "downsample_1")
    return {"x": y, "shortcut": shortcut} if stop else self.act(y + shortcut)


class ResNet(Network):
  """A ResNet with `head` logits."""

  stage_sizes: tuple[int, ...]  # number of blocks in each of the four stages
  block: Callable  # `BasicBlock` or `Bottleneck`

  @property
  def title(self):
    """'ResNet-50', by the layers with weights."""
    return f"ResNet-{2 + len(self.plan(self.blocks[0])) * sum(self.stage_sizes)}"

  @property
  def stages(self):
    """Names of the residual blocks of each stage: ('layer1_0', ...), ..., (..., 'layer4_2')."""
    return tuple(tuple(f"layer{s}_{b}" for b in range(size)) for s, size in enumerate(self.stage_sizes, start=1))

  @property
  def blocks(self):
    """Names of all residual blocks in order: 'layer1_0', ..., 'layer4_2'."""
    return tuple(block for stage in self.stages for block in stage)

  @property
  def parts(self):
    """What the network runs through, in order: 'stem', the blocks, 'head'."""
    return ("stem", *self.blocks, "head")

  @property
  def cuts(self):
    """Everywhere the network can be cut, in order: before its parts, and before a block's later convolutions."""
    within = lambda part: [f"{part}/conv{i}" for i in range(2, len(self.plan(part)) + 1)] if "_" in part else []
    return tuple(cut for part in self.parts for cut in (part, *within(part)))

  @nn.nowrap
  def cut_of(self, path):
    """As the names say it; a block's shortcut runs first."""
    part, layer = path[0] if path[0] in self.parts else "stem", path[1] if len(path) > 1 else ""
    cut = f"{part}/conv{layer[-1:]}"
    return cut if layer.startswith(("conv", "bn")) and cut in self.cuts else part

  @property
  def layers(self):
    """The convolutions, and each block after those within it."""
    paths = self.convolutions
    within = lambda block: [path for path in paths if path.startswith(f"{block}/")]
    return ("conv1", *(layer for block in self.blocks for layer in (*within(block), block)))

  @property
  def kernels(self):
    """{path: shape of its kernel} of all convolutions in the order in which they run, known without tracing anything.

    From 'conv1' and 'layer1_0/conv1' to 'layer4_2/conv3'; a block's 'downsample_0' runs last.
    """
    shapes, channels = {"conv1": (7, 7, 3, 64)}, 64
    for name in self.blocks:
      plan, entering = self.plan(name), channels
      for number, (features, size, _) in enumerate(plan, start=1):
        shapes[f"{name}/conv{number}"] = (size, size, channels, features)
        channels = features
      if projects(plan, entering):
        shapes[f"{name}/downsample_0"] = (1, 1, entering, channels)
    return shapes

  @property
  def convolutions(self):
    """Paths of all convolutions in the order in which they run."""
    return tuple(self.kernels)

  @property
  def shapes(self):
    """The variables {"params", "batch_stats"} as `jax.ShapeDtypeStruct`, without tracing anything."""
    of = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.float32)
    params, statistics = {}, {}
    for path, kernel in self.kernels.items():
      params[f"{path}/kernel"] = of(*kernel)
      norm = path.replace("downsample_0", "downsample_1").replace("conv", "bn")
      for name in ("bias", "scale"):
        params[f"{norm}/{name}"] = of(kernel[-1])
      for name in ("mean", "var"):
        statistics[f"{norm}/{name}"] = of(kernel[-1])
    params |= {"head/kernel": of(kernel[-1], self.num_classes), "head/bias": of(self.num_classes)}
    return {"params": unflatten_dict(params, sep="/"), "batch_stats": unflatten_dict(statistics, sep="/")}

  @nn.nowrap
  def plan(self, block):
    """The convolutions of a block by its name."""
    stage, index = int(block[5]), int(block[7:])
    return self.block(64 * 2 ** (stage - 1), 2 if stage > 1 and index == 0 else 1)

  @nn.compact
  def __call__(self, x, *, train: bool = False, start: str | None = None, stop: str | None = None):
    """As `Network` has it; with `stop` float[N, h, w, C], before 'head' [N, C], within a block {"x", "shortcut"}."""
    cuts = self.stretch(start, stop)
    (first, _, start_conv), (last, _, stop_conv) = (cut.partition("/conv") for cut in (start or "", stop or ""))

    def norm(x, name):
      layer = nn.BatchNorm(
          momentum=0.9, epsilon=1e-5, dtype=self.dtype, name=name,
          axis_name=None if self.is_initializing() else self.axis_name)
      return layer(x, use_running_average=not train)

    def conv(features, kernel_size, stride=1, name=None):
      return Convolution(features, kernel_size, stride, self.dtype, name=name)

    x = jax.tree.map(lambda x: x.astype(self.dtype), x)
    for part in dict.fromkeys(cut.partition("/")[0] for cut in cuts):
      if part == "stem":
        x = norm(conv(64, 7, 2, "conv1")(x), "bn1")
        x = max_pool(self.act(x), before=x)
      elif part == "head":
        x = nn.Dense(self.num_classes, precision=precision(jnp.float32), name="head")(x.astype(jnp.float32))
      else:
        begin = int(start_conv) if start_conv and part == first else 1
        end = int(stop_conv) if stop_conv and part == last else None
        x = Block(self.plan(part), conv, norm, self.act, name=part)(x, begin, end)
        if part == self.blocks[-1] and end is None:
          x = x.mean(axis=(1, 2))
    return x


DEPTHS = {
    18: ((2, 2, 2, 2), BasicBlock),
    34: ((3, 4, 6, 3), BasicBlock),
    50: ((3, 4, 6, 3), Bottleneck),
    101: ((3, 4, 23, 3), Bottleneck),
    152: ((3, 8, 36, 3), Bottleneck),
}


def resnet(depth, **attributes):
  """The ResNet of 18, 34, 50, 101 or 152 layers; further attributes go to `ResNet`."""
  if depth not in DEPTHS:
    raise UserError(f"there is no ResNet of depth {depth}; depths are {', '.join(map(str, DEPTHS))}")
  stage_sizes, block = DEPTHS[depth]
  return ResNet(stage_sizes=stage_sizes, block=block, **attributes)
