"""Networks small enough to be worked out by hand."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fakeface_jax.models import network
from fakeface_jax.models.convolution import Convolution


class TwoFilters(nn.Module):
  """a1 = x, a2 = -x; the logits are (0, 4 mean(relu(a1)) - 2 mean(relu(a2)))."""

  act: Callable = nn.relu

  @nn.compact
  def __call__(self, x):
    x = self.act(nn.Conv(2, (1, 1), use_bias=False, name="conv")(x))
    return nn.Dense(2, use_bias=False, name="head")(x.mean(axis=(1, 2)))


VARIABLES = {"params": {
    "conv": {"kernel": jnp.array([1.0, -1.0]).reshape(1, 1, 1, 2)},
    "head": {"kernel": jnp.array([[0.0, 4.0], [0.0, -2.0]])},
}}
X = jnp.array([[1.0, -2.0], [3.0, 0.5]]).reshape(1, 2, 2, 1)
FAKE = jnp.array([1])


class Every(nn.Module):
  """Every `stride`-th pixel."""

  stride: int

  def __call__(self, x):
    return x[:, :: self.stride, :: self.stride]


class Network(nn.Module):
  """A layer named 'layer' that puts out its input, or every `stride`-th pixel of it, and the logits (0, score) of that.

  So a test chooses activations, the images, and by `score`, float[N, h, w, C] -> float[N], the gradients there.
  """

  score: Callable
  stride: int = 1

  @nn.compact
  def __call__(self, x):
    score = self.score(Every(self.stride, name="layer")(x))
    return jnp.stack([jnp.zeros_like(score), score], axis=-1)


def linear(weights, stride=1):
  """The network whose logit is the sum of weights [h, w, C] times activations."""
  return Network(lambda x: (x * jnp.asarray(weights)).sum(axis=(1, 2, 3)), stride)


def explain(method, model, images, variables=None, **settings):
  """`method` for the second class, of images that may lack the batch axis."""
  images = jnp.asarray(images, jnp.float32)
  images = images if images.ndim == 4 else images[None]
  call = jax.jit(lambda images: method(model, variables or {}, images, jnp.ones(len(images), jnp.int32), **settings))
  return jax.device_get(call(images))


def cam(method, model, images, **settings):
  """The heatmap of 'layer'."""
  return explain(method, model, images, layers=("layer",), **settings)["layer"]


class Small(network.Network):
  """Two convolutions: all that the methods ask of a network, compiled in no time."""

  parts = ("conv1", "conv2", "head")

  @nn.compact
  def __call__(self, x):
    x = self.act(Convolution(8, 3, 2, self.dtype, name="conv1")(x))
    x = self.act(Convolution(12, 3, 1, self.dtype, name="conv2")(x))
    return nn.Dense(2, name="head")(x.mean(axis=(1, 2)).astype(jnp.float32))


SIZE = 16  # px


def small(**attributes):
  """`Small`, and variables for it."""
  model = Small(**attributes)
  return model, jax.jit(model.init)(jax.random.key(1), jnp.zeros((1, SIZE, SIZE, 3)))


def pictures(count, size=SIZE, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


# Settings with which methods of many evaluations are quick.
QUICK = {
    "scorecam": {"channels": 5}, "smoothgrad": {"samples": 3}, "integrated_gradients": {"steps": 3},
    "occlusion": {"window": 8}, "expected_gradients": {"samples": 3}, "rise": {"masks": 9, "cells": 3},
    "lime": {"samples": 9, "segments": 4}}


def check_close(got, expected, tolerance=1e-4):
  """Every array, relative to its own largest value."""
  assert jax.tree.structure(got) == jax.tree.structure(expected)
  jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max() + 1e-12), got, expected)
