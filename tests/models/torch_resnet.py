"""Stage outputs and training steps of the PyTorch ResNet with the seeded weights."""

import torch
from benchmarks.torch_resnet import TorchResNet, from_state_dict
from seeded import state_dict
from torch import nn

__all__ = ["TorchResNet", "outputs", "reference", "train_step"]


def reference(depth, dtype=torch.float32):
  """The network of that depth with the seeded weights, in evaluation mode."""
  return from_state_dict(depth, state_dict(depth), dtype)


def outputs(network, images):
  """{stage: NumPy NHWC} of images NHWC, in order."""
  seen = {}
  stages = {"stem": network.maxpool} | {f"layer{i}": network.get_submodule(f"layer{i}") for i in range(1, 5)}
  hooks = [
      module.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output.permute(0, 2, 3, 1)}))
      for name, module in stages.items()]
  hooks.append(network.fc.register_forward_hook(lambda _, inputs, output: seen.update(pooled=inputs[0], logits=output)))
  with torch.no_grad():
    network(torch.from_numpy(images.transpose(0, 3, 1, 2)).to(network.fc.weight.dtype))
  for hook in hooks:
    hook.remove()
  return {name: output.numpy() for name, output in seen.items()}


def train_step(network, images):
  """The logits in training mode, {key: running statistics after it}, and {norm: values a channel's mean is over}."""
  counts = {}
  norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
  for name, module in norms.items():
    module.register_forward_hook(lambda _, inputs, __, name=name: counts.update({name: inputs[0][:, 0].numel()}))
  logits = outputs(network.train(), images)["logits"]
  statistics = {key: value.numpy() for key, value in network.state_dict().items() if "running_" in key}
  return logits, statistics, counts
