"""Seeded ResNet weights and images, the same for the tests and for `make_golden.py`.

The keys and shapes are written from the paper's table 1 and torchvision's published names, not from our network.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
BASIC_SIZE, BOTTLENECK_SIZE = (97, 75), (75, 72)  # odd and even on the way down, never square
CLASSES = 1000


def conv_shapes(depth):
  """[(key of the convolution, key of its BatchNorm, OIHW shape)] in torchvision's names."""
  shapes, channels = [("conv1", "bn1", (64, 3, 7, 7))], 64
  for stage, blocks in enumerate(STAGES[depth], start=1):
    width = 32 * 2**stage
    for block in range(blocks):
      prefix = f"layer{stage}.{block}."
      if depth < 50:
        convs = [(width, channels, 3, 3), (width, width, 3, 3)]
      else:
        convs = [(width, channels, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
      shapes += [(f"{prefix}conv{i}", f"{prefix}bn{i}", shape) for i, shape in enumerate(convs, start=1)]
      if block == 0 and channels != convs[-1][0]:
        shapes.append((f"{prefix}downsample.0", f"{prefix}downsample.1", (convs[-1][0], channels, 1, 1)))
      channels = convs[-1][0]
  return shapes


def state_dict(depth, classes=CLASSES):
  """A float32 state dict of He-scaled kernels and BatchNorms far from their initial values."""
  rng = np.random.default_rng(depth)
  last = "bn2" if depth < 50 else "bn3"
  tensors = {}
  for conv, norm, shape in conv_shapes(depth):
    scale = np.float32(np.sqrt(2 / np.prod(shape[1:])))
    tensors[f"{conv}.weight"] = rng.standard_normal(shape, np.float32) * scale
    low, high = (0.1, 0.5) if norm.endswith(last) else (0.5, 1.5)  # small where a block ends, so that depth adds up
    for name, (a, b) in {
        "weight": (low, high), "bias": (-0.3, 0.3), "running_mean": (-0.3, 0.3), "running_var": (0.5, 2)}.items():
      tensors[f"{norm}.{name}"] = rng.uniform(a, b, shape[0]).astype(np.float32)
    tensors[f"{norm}.num_batches_tracked"] = np.array(1000)
  features = 512 if depth < 50 else 2048
  tensors["fc.weight"] = rng.standard_normal((classes, features), np.float32) / np.float32(np.sqrt(features))
  tensors["fc.bias"] = rng.uniform(-0.5, 0.5, classes).astype(np.float32)
  return tensors


def images(depth):
  """Two images of normal noise, float32[2, H, W, 3]; few sizes, as each is compiled anew."""
  size = BASIC_SIZE if depth < 50 else BOTTLENECK_SIZE
  return np.random.default_rng(1000 + depth).standard_normal((2, *size, 3), np.float32)


def sample(array, count=256):
  """`count` values of the array at seeded positions."""
  flat = np.asarray(array).ravel()
  return flat[np.random.default_rng(flat.size).integers(0, flat.size, count)]


def small_state_dict(classes=2):
  """Of a network of one basic block per stage."""
  return {key: tensor for key, tensor in state_dict(18, classes).items() if not re.match(r"layer\d\.1\.", key)}


def template(model):
  """Variables as from `model.init`, but every value -1, so that what was not loaded shows."""
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
  return jax.tree.map(lambda leaf: np.full(leaf.shape, -1, np.float32), shapes)


def check_equal(tree, other):
  assert jax.tree.structure(tree) == jax.tree.structure(other)
  jax.tree.map(np.testing.assert_array_equal, tree, other)
