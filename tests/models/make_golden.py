"""Writes golden/resnet{depth}.npz with PyTorch in double precision: `python tests/models/make_golden.py`.

Each file holds the logits of `seeded.images(depth)` under `seeded.state_dict(depth)`, 256 sampled values of every
stage, and the largest magnitude of each stage as `{stage}_max`. ResNet-18's also holds one training step.
"""

from pathlib import Path

import numpy as np
import torch
from seeded import STAGES, images, sample
from torch_resnet import outputs, reference, train_step

FOLDER = Path(__file__).parent / "golden"


def golden(depth):
  arrays = {}
  for stage, output in outputs(reference(depth, torch.float64), images(depth)).items():
    arrays[stage] = output if stage == "logits" else sample(output)
    arrays[f"{stage}_max"] = np.abs(output).max()
  if depth == 18:
    logits, statistics, counts = train_step(reference(depth, torch.float64), images(depth))
    arrays["train/logits"] = logits
    for norm in ("bn1", "layer1.0.bn1", "layer2.0.downsample.1", "layer4.1.bn2"):
      arrays[f"train/{norm}/count"] = np.array(counts[norm])
      arrays |= {f"train/{norm}/{name}": statistics[f"{norm}.running_{name}"] for name in ("mean", "var")}
  return {name: array.astype(np.float32) for name, array in arrays.items()}


if __name__ == "__main__":
  FOLDER.mkdir(exist_ok=True)
  for depth in STAGES:
    np.savez_compressed(FOLDER / f"resnet{depth}.npz", **golden(depth))
    print(FOLDER / f"resnet{depth}.npz")
