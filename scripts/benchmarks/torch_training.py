"""The usual fine-tuning of a pretrained ResNet in PyTorch, which ours is measured against.

python -m benchmarks.torch_training FOLDER WEIGHTS.safetensors '{"depth": 50, "batch_size": 32}'

It does what one writes with PyTorch who means well: the trunk under `no_grad`, a DataLoader with workers, channels
last, and on a GPU bfloat16 by autocast and `torch.compile`. Prints as JSON what an epoch with its validation
takes, and an inference pass over the same images.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from benchmarks.torch_resnet import from_state_dict
from fakeface_jax.data.schema import LABELS
from fakeface_jax.models.network import MEAN_RGB, STD_RGB


@dataclass
class Options:
  """Attributes:
    trainable: "last_block", or "last_conv" with its BatchNorm; the fc layer is trained besides.
    resize, crop: pixels, of the shorter side and of the square at the centre.
    workers: processes that read images.
  """

  depth: int = 50
  trainable: str = "last_block"
  batch_size: int = 32
  inference_batch_size: int = 32
  resize: int = 256
  crop: int = 224
  epochs: int = 1
  workers: int = 2
  learning_rate: float = 1e-3


class Faces(Dataset):
  """The images of folder/real and folder/fake: (uint8[crop, crop, 3], label). They are normalised on the device."""

  def __init__(self, folder, options):
    self.files = [(path, label) for label, name in enumerate(LABELS) for path in sorted((folder / name).glob("*.jpg"))]
    self.resize, self.crop = options.resize, options.crop

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
    last = [getattr(self.block, f"{name}{self.block.depth}") for name in ("conv", "bn")]
    self.last_conv = nn.Sequential(*last) if trainable == "last_conv" else None
    self.trained = nn.ModuleList([self.last_conv or self.block, network.fc])
    self.requires_grad_(False)
    self.trained.requires_grad_(True)
    for module in network.modules():
      if isinstance(module, nn.ReLU):
        module.inplace = True  # saves memory traffic, as torchvision's networks do
    self.register_buffer("mean", torch.tensor(MEAN_RGB).view(3, 1, 1))
    self.register_buffer("std", torch.tensor(STD_RGB).view(3, 1, 1))

  def train(self, mode=True):
    super().train(False)
    self.trained.train(mode)
    return self

  def trunk(self, images):
    """uint8[N, H, W, 3] -> the features the tail takes: of the last block, or (of the last conv, of the shortcut)."""
    net, block = self.network, self.block
    x = (images.permute(0, 3, 1, 2) / 255 - self.mean) / self.std
    x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    x = net.layer4[:-1](net.layer3(net.layer2(net.layer1(x))))
    if self.last_conv is None:
      return (x,)
    y = x
    for i in range(1, block.depth):
      y = getattr(block, f"relu{i}")(getattr(block, f"bn{i}")(getattr(block, f"conv{i}")(y)))
    return y, x if block.downsample is None else block.downsample(x)

  def tail(self, y, shortcut=None):
    """The features -> logits float[N, 2]."""
    y = self.block(y) if self.last_conv is None else torch.relu(self.last_conv(y) + shortcut)
    return self.network.fc(y.mean((2, 3)))


class Bench:
  """One network, its data and its steps."""

  def __init__(self, folder, weights, options):
    self.cuda = torch.cuda.is_available()
    self.device = torch.device("cuda" if self.cuda else "cpu")
    model = FineTuning(from_state_dict(options.depth, load_file(weights)), options.trainable)
    model = model.to(self.device, memory_format=torch.channels_last)
    self.model, self.options = model, options
    compiled = torch.compile if self.cuda else lambda function: function
    self.trunk, self.tail = compiled(model.trunk), compiled(model.tail)
    self.train_data, self.val_data = (Faces(folder / split, options) for split in ("train", "val"))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    self.optimizer = torch.optim.Adam(trained, lr=options.learning_rate)

  def batches(self, data, batch_size, shuffle=False):
    loader = DataLoader(
        data, batch_size, shuffle=shuffle, num_workers=self.options.workers, pin_memory=self.cuda)
    for images, labels in loader:
      yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)

  def autocast(self):
    return torch.autocast(self.device.type, torch.bfloat16, enabled=self.cuda)

  def epoch(self):
    """Trains on every image once; then the loss over the validation images. Returns both losses."""
    self.model.train()
    total = torch.zeros((), device=self.device)
    for images, labels in self.batches(self.train_data, self.options.batch_size, shuffle=True):
      with self.autocast():
        with torch.no_grad():
          features = self.trunk(images)
        loss = cross_entropy(self.tail(*features).float(), labels)
      self.optimizer.zero_grad()
      loss.backward()
      self.optimizer.step()
      total += loss.detach() * len(labels)
    return total.item() / len(self.train_data), self.inference(self.val_data)

  def inference(self, data):
    """The mean loss over a data set."""
    self.model.eval()
    total = torch.zeros((), device=self.device)
    with torch.inference_mode(), self.autocast():
      for images, labels in self.batches(data, self.options.inference_batch_size):
        total += cross_entropy(self.tail(*self.trunk(images)).float(), labels, reduction="sum")
    return total.item() / len(data)


def timed(function, *arguments):
  start = time.perf_counter()
  result = function(*arguments)  # has read a number from the device, so all is done
  return time.perf_counter() - start, result


def main(folder, weights, options):
  torch.manual_seed(0)
  bench = Bench(Path(folder), weights, options)
  if bench.cuda:  # compiles both modes, also for a last batch of another size
    timed(bench.epoch)
    timed(bench.inference, bench.train_data)
  else:  # where nothing is compiled, a few images warm it up
    timed(bench.inference, bench.val_data)
  seconds, losses = zip(*(timed(bench.epoch) for _ in range(options.epochs)), strict=True)
  inference = timed(bench.inference, bench.train_data)[0] + timed(bench.inference, bench.val_data)[0]
  print(json.dumps({
      "epoch": sum(seconds) / len(seconds), "inference": inference, "losses": losses,
      "version": torch.__version__, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
  main(sys.argv[1], sys.argv[2], Options(**json.loads(sys.argv[3])))
