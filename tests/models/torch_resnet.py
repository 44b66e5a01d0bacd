"""ResNet v1.5 in PyTorch, the reference our Flax network is measured against.

Written from He et al. (2015), table 1, and torchvision's published facts: parameter names, the stride on the 3 x 3
convolution of a bottleneck, 1 x 1 projections with BatchNorm, eps 1e-5 and momentum 0.1.
"""

import torch
from seeded import STAGES, state_dict
from torch import nn


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
      channels = features
    self.downsample = nn.Sequential(*unit(inputs, outputs, 1, stride)) if stride > 1 or inputs != outputs else None

  def forward(self, x):
    y = x
    for i in range(1, self.depth + 1):
      y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
      if i < self.depth:
        y = y.relu()
    return (y + (x if self.downsample is None else self.downsample(x))).relu()


class TorchResNet(nn.Module):
  def __init__(self, depth, classes):
    super().__init__()
    self.conv1, self.bn1 = unit(3, 64, 7, 2)
    channels = 64
    for stage, blocks in enumerate(STAGES[depth], start=1):
      width = 32 * 2**stage
      layers = []
      for block in range(blocks):
        layers.append(Block(channels, width, 2 if stage > 1 and block == 0 else 1, depth >= 50))
        channels = 4 * width if depth >= 50 else width
      self.add_module(f"layer{stage}", nn.Sequential(*layers))
    self.fc = nn.Linear(channels, classes)

  def forward(self, x):
    """{stage: NHWC output}, in order."""
    x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, stride=2, padding=1)
    outputs = {"stem": x}
    for name in ("layer1", "layer2", "layer3", "layer4"):
      outputs[name] = x = getattr(self, name)(x)
    outputs = {name: output.permute(0, 2, 3, 1) for name, output in outputs.items()}
    outputs["pooled"] = x = x.mean((2, 3))
    outputs["logits"] = self.fc(x)
    return outputs


def reference(depth, dtype=torch.float32):
  """The network of that depth with the seeded weights, in evaluation mode."""
  tensors = {name: torch.from_numpy(tensor) for name, tensor in state_dict(depth).items()}
  network = TorchResNet(depth, classes=1000)
  network.load_state_dict(tensors, strict=True)
  return network.to(dtype).eval()


def outputs(network, images):
  """{stage: NumPy NHWC} of images NHWC."""
  with torch.no_grad():
    x = torch.from_numpy(images.transpose(0, 3, 1, 2)).to(network.fc.weight.dtype)
    return {name: output.numpy() for name, output in network(x).items()}


def train_step(network, images):
  """The logits in training mode, {key: running statistics after it}, and {norm: values a channel's mean is over}."""
  counts = {}
  norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
  for name, module in norms.items():
    module.register_forward_hook(lambda _, inputs, __, name=name: counts.update({name: inputs[0][:, 0].numel()}))
  logits = outputs(network.train(), images)["logits"]
  statistics = {key: value.numpy() for key, value in network.state_dict().items() if "running_" in key}
  return logits, statistics, counts
