"""ResNet v1.5 in PyTorch, the reference our Flax network is measured against.

Written from He et al. (2015), table 1, and torchvision's published facts: parameter names, the stride on the 3 x 3
convolution of a bottleneck, 1 x 1 projections with BatchNorm, eps 1e-5 and momentum 0.1.

Every ReLU is a module of its own and leaves its input alone, as captum's hooks need it.
"""

import torch
from torch import nn

from fakeface_jax.models.resnet import DEPTHS, Bottleneck


def unit(inputs, outputs, kernel, stride=1):
  return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)


class Block(nn.Module):
  """(inner kernels, each with its stride) on a shortcut; the ReLU comes after every unit but the last, then the sum."""

  def __init__(self, inputs, width, stride, bottleneck):
    super().__init__()
    outputs = 4 * width if bottleneck else width
    plan = [(width, 1, 1), (width, 3, stride), (outputs, 1, 1)] if bottleneck else [(width, 3, stride), (width, 3, 1)]
    self.depth, channels = len(plan), inputs
    for i, (features, kernel, step) in enumerate(plan, start=1):
      conv, bn = unit(channels, features, kernel, step)
      self.add_module(f"conv{i}", conv)
      self.add_module(f"bn{i}", bn)
      self.add_module(f"relu{i}", nn.ReLU())
      channels = features
    self.downsample = nn.Sequential(*unit(inputs, outputs, 1, stride)) if stride > 1 or inputs != outputs else None

  def forward(self, x):
    y = x
    for i in range(1, self.depth + 1):
      y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
      if i == self.depth:
        y = y + (x if self.downsample is None else self.downsample(x))
      y = getattr(self, f"relu{i}")(y)
    return y


class TorchResNet(nn.Module):
  """The ResNet of 18, 34, 50, 101 or 152 layers: normalised images float[N, 3, H, W] -> logits float[N, classes]."""

  def __init__(self, depth, classes=2):
    super().__init__()
    stage_sizes, block = DEPTHS[depth]
    bottleneck = block is Bottleneck
    self.conv1, self.bn1 = unit(3, 64, 7, 2)
    self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1)
    channels = 64
    for stage, blocks in enumerate(stage_sizes, start=1):
      width = 32 * 2**stage
      layers = []
      for index in range(blocks):
        layers.append(Block(channels, width, 2 if stage > 1 and index == 0 else 1, bottleneck))
        channels = 4 * width if bottleneck else width
      self.add_module(f"layer{stage}", nn.Sequential(*layers))
    self.fc = nn.Linear(channels, classes)

  def forward(self, x):
    x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
    x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
    return self.fc(x.mean((2, 3)))


def from_state_dict(depth, tensors, dtype=torch.float32):
  """The network in evaluation mode with weights {torchvision's key: NumPy array}, such as `to_state_dict` returns."""
  network = TorchResNet(depth, classes=len(tensors["fc.bias"]))
  network.load_state_dict({key: torch.tensor(tensor) for key, tensor in tensors.items()}, strict=True)
  return network.to(dtype).eval()
