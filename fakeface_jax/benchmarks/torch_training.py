"""The usual fine-tuning of a pretrained ResNet in PyTorch, the reference our training is measured against.

  python -m fakeface_jax.benchmarks.torch_training FOLDER WEIGHTS.safetensors '{"depth": 50, "batch_size": 32}'
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

from fakeface_jax.data.features import LABELS
from fakeface_jax.models.resnet import MEAN_RGB, STD_RGB

CPU_WORKERS = 1


@dataclass
class Options:
  """Attributes:
    trainable: "last_block", or "last_conv" with its BatchNorm; the fc layer is trained besides.
    resize, crop: pixels, of the shorter side and of the square at the centre.
    threads: on CPU those that PyTorch computes with, beside `CPU_WORKERS`; on CUDA the processes that read images.
  """

  depth: int = 50
  trainable: str = "last_block"
  batch_size: int = 32
  resize: int = 256
  crop: int = 224
  epochs: int = 1
  threads: int = 2
  learning_rate: float = 1e-3


class Faces(Dataset):
  """The images of folder/real and folder/fake: (uint8[crop, crop, 3], label). They are normalised on the device."""

  def __init__(self, folder, resize, crop):
    self.files = [(path, label) for label, name in enumerate(LABELS) for path in sorted((folder / name).glob("*.jpg"))]
    self.resize, self.crop = resize, crop

  def __len__(self):
    return len(self.files)

  def __getitem__(self, index):
    path, label = self.files[index]
    with Image.open(path) as file:
      image = file.convert("RGB")
    if (short := min(image.size)) != self.resize:
      image = image.resize([round(side * self.resize / short) for side in image.size], Image.Resampling.BILINEAR)
    left, top = ((side - self.crop) // 2 for side in image.size)
    return torch.from_numpy(np.array(image.crop((left, top, left + self.crop, top + self.crop)))), label


class FineTuning(nn.Module):
  """A network cut in two: the frozen `trunk`, and the `tail` that is trained.

  Only what is trained is ever in training mode.
  """

  def __init__(self, network, trainable):
    super().__init__()
    self.network, self.block = network, network.layer4[-1]
    last = [getattr(self.block, f"{name}{self.block.depth}") for name in ("conv", "bn", "relu")]
    self.last_conv = nn.Sequential(*last[:2]) if trainable == "last_conv" else None
    self.trained = nn.ModuleList([self.last_conv or self.block, network.fc])
    self.requires_grad_(False)
    self.trained.requires_grad_(True)
    for module in network.modules():
      if isinstance(module, nn.ReLU):
        module.inplace = True  # saves memory traffic, as torchvision's networks do
    self.register_buffer("mean", torch.tensor(MEAN_RGB).view(3, 1, 1))
    self.register_buffer("stddev", torch.tensor(STD_RGB).view(3, 1, 1))

  def train(self, mode=True):
    super().train(False)
    self.trained.train(mode)
    return self

  def trunk(self, images):
    """uint8[N, H, W, 3] -> the features the tail takes: of the last block, or (of the last conv, of the shortcut)."""
    net, block = self.network, self.block
    x = (images.permute(0, 3, 1, 2) / 255 - self.mean) / self.stddev
    x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    x = net.layer4[:-1](net.layer3(net.layer2(net.layer1(x))))
    if self.last_conv is None:
      return (x,)
    y = x
    for i in range(1, block.depth):
      y = getattr(block, f"relu{i}")(getattr(block, f"bn{i}")(getattr(block, f"conv{i}")(y)))
    return y, x

  def tail(self, y, shortcut=None):
    """The features -> logits float[N, 2]."""
    y = self.block(y) if self.last_conv is None else torch.relu(self.last_conv(y) + shortcut)
    return self.network.fc(y.mean((2, 3)))
