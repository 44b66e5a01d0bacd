"""The types in the signatures of methods."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import numpy as np
from jax import Array

Model = nn.Module
Variables = Mapping[str, Any]  # {"params", "batch_stats"}
Given = np.ndarray | Array  # images float32[N, H, W, 3], targets int32[N]
Layers = Sequence[str]  # module paths such as "layer4_2/conv3"
Maps = dict[str, Array]  # {layer: float32[N, h, w]}
Methods = str | Sequence[str] | Mapping[str, Mapping[str, Any]]  # a name, names, or {name: {setting: value}}

__all__ = ["Array", "Given", "Layers", "Maps", "Methods", "Model", "Variables"]
