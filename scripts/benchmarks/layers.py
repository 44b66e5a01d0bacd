"""The forms of the network's layers that `models.convolution` has for CPU, beside XLA's own, on any device."""

import jax
import jax.numpy as jnp

from benchmarks.timing import take_turns
from fakeface_jax.models.convolution import dilated, form_for_cpu, pool_by_pairs, pool_by_window

BATCH = 8
STRETCHES = {  # name: (side, channels, kernel, features, stride) as in a ResNet-50 on 224 px
    "first layer, 7 x 7 / 2": (224, 3, 7, 64, 2),
    "layer1, 1 x 1, 64 to 256": (56, 64, 1, 256, 1),
    "layer2, 1 x 1, 512 to 128": (28, 512, 1, 128, 1),
    "layer3, 3 x 3": (14, 256, 3, 256, 1),
}


def bench_layers(repeats=4):
  """Returns (text, {layer: {"forward" | "gradient" | "gradient in a loop": [for CPU, XLA's] milliseconds}})."""
  result = {}
  for name, (side, channels, kernel, features, stride) in STRETCHES.items():
    x = jax.random.normal(jax.random.key(0), (BATCH, side, side, channels))
    weights = jax.random.normal(jax.random.key(1), (kernel, kernel, channels, features))
    forward, gradients = form_for_cpu(kernel, channels, stride)
    own = lambda x, weights=weights, stride=stride: dilated(x, weights, stride)
    result[name] = _compare(
        (lambda x, f=forward, w=weights, s=stride: f(x, w, s),
         lambda x, gradient, f=gradients, w=weights, s=stride: f(x, w, s, gradient)[0]),
        (own, _gradient_of(own)), x, repeats)
  x = jax.nn.relu(jax.random.normal(jax.random.key(0), (BATCH, 112, 112, 64)))
  result["max-pooling"] = _compare(
      *((form, _gradient_of(form)) for form in (pool_by_pairs, pool_by_window)), x, repeats)
  lines = [f"{BATCH} images on {jax.devices()[0].device_kind}, milliseconds: the form for CPU / XLA's own"]
  lines += [
      f"{name:<28}" + "   ".join(f"{what} {ours:.1f} / {theirs:.1f}" for what, (ours, theirs) in figures.items())
      for name, figures in result.items()]
  return "\n".join(lines), result


def _gradient_of(function):
  return lambda x, gradient: jax.vjp(function, x)[1](gradient)[0]


def _compare(ours, theirs, x, repeats):
  """Forward, gradient to the input, and that gradient within a compiled loop of four rounds.

  Args: `ours`, `theirs`: (forward(x), gradient(x, gradient)) each.
  """
  candidates = {}
  for label, (function, back) in (("ours", ours), ("theirs", theirs)):
    gradient = jax.random.normal(jax.random.key(2), jax.eval_shape(function, x).shape)
    forward, backward = jax.jit(function), jax.jit(back)
    loop = jax.jit(lambda x, gradient, back=back: jax.lax.map(
        lambda factor: back(factor * x, gradient).sum(), 1.0 + jnp.arange(4.0)))
    candidates |= {
        ("forward", label): lambda run=forward: jax.block_until_ready(run(x)),
        ("gradient", label): lambda run=backward, g=gradient: jax.block_until_ready(run(x, g)),
        ("four gradients in a loop", label): lambda run=loop, g=gradient: jax.block_until_ready(run(x, g)),
    }
  times = take_turns(candidates, repeats)
  kinds = dict.fromkeys(what for what, _ in candidates)
  return {what: [1e3 * times[what, label] for label in ("ours", "theirs")] for what in kinds}
