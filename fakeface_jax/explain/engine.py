"""All methods on batches of any size, through few compiled calls.

Methods that cost one backward pass each stand in one jitted function: XLA merges their equal passes, so that logits,
ten Grad-CAMs, guided backprop and Guided Grad-CAM come from a single forward pass. A method that evaluates the network
many times has a call of its own.
"""

import logging
from functools import partial

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from fakeface_jax.data.schema import FAKE, REAL
from fakeface_jax.devices import AXIS, available_memory, on_cpu
from fakeface_jax.errors import UserError
from fakeface_jax.explain.methods import METHODS
from fakeface_jax.explain.pooled_features import pooled_features
from fakeface_jax.kept_calls import kept
from fakeface_jax.models.network import normalize

log = logging.getLogger(__name__)

CPU_BATCH, DEVICE_BATCH = 8, 64  # images at a time where nothing else is said: in all on CPU, on each GPU or TPU

TARGETS = {"real": REAL, "fake": FAKE, "predicted": -1}


def target_code(target):
  """'real', 'fake' or 'predicted' -> the class index that `explain_batch` takes."""
  if target not in TARGETS:
    raise UserError(f"target={target!r} is not known; use {', '.join(TARGETS)}")
  return TARGETS[target]


def explain_batch(model, methods, batch_size, variables, pixels, target, background=None, pooled=()):
  """Logits and raw maps of a batch, to be jitted.

  Args:
    methods: {name: settings} as `resolve_methods` returns it.
    batch_size: network evaluations at a time, for methods that make many.
    variables: {"params", "batch_stats"}.
    pixels: uint8[N, H, W, 3].
    target: class index int32[N]; -1 stands for whichever class is predicted.
    background: uint8[K, H, W, 3] or None, the references of expected_gradients.
    pooled: layers whose `pooled_features` are asked for.
  Returns: {"logits": float32[N, 2], method: its maps, "completeness_error": {method: float32[N]}}, and with `pooled`
    "features": float32[N, D].
  """
  images = normalize(pixels)
  logits = model.apply(variables, images)
  target = jax.numpy.where(target < 0, logits.argmax(-1), target)
  given = {"batch_size": batch_size, "background": None if background is None else normalize(background)}
  result, errors = {"logits": logits}, {}
  if pooled:
    result["features"] = pooled_features(model, variables, images, pooled)
  for name, settings in methods.items():
    method = METHODS[name]
    filled_in = {key: value for key, value in given.items() if key in method.arguments}
    result[name] = method.compute(model, variables, images, target, **settings, **filled_in)
    if method.complete:
      result[name], errors[name] = result[name]
  return result | {"completeness_error": errors}


def lower(model, methods, batch_size, mesh, variables, size, shape, background=None, pooled=()):
  """`explain_batch` of `size` images uint8[*shape], split over the devices of a mesh, as `jax.stages.Lowered`.

  Args: `variables`, `background`: arrays, or `jax.ShapeDtypeStruct` of such, on all devices of the mesh.
  """
  function = partial(explain_batch, model, methods, batch_size, pooled=pooled)
  everywhere, split = PartitionSpec(), PartitionSpec(AXIS)
  mapped = jax.shard_map(
      function, mesh=mesh, in_specs=(everywhere, split, split, everywhere), out_specs=split, check_vma=False)
  place = NamedSharding(mesh, split)
  pixels = jax.ShapeDtypeStruct((size, *shape), np.uint8, sharding=place)
  target = jax.ShapeDtypeStruct((size,), np.int32, sharding=place)
  return jax.jit(mapped).lower(variables, pixels, target, background)


class Engine:
  """Compiled calls of one network over all local devices.

  A call is compiled for one image per device or for `batch_size` images; what is missing is filled up.

  Attributes:
    batch_size: images, or network evaluations of methods that make many, at a time. It is lowered, and that is said,
      where the memory does not hold so many.
  """

  def __init__(self, model, variables, batch_size=None):
    devices = jax.local_devices()
    self._model = model
    self._mesh = jax.make_mesh((len(devices),), (AXIS,), devices=devices)
    self._compiled = {}
    self.use(variables)
    self.batch_size = self._round_up(batch_size or (CPU_BATCH if on_cpu() else DEVICE_BATCH * len(devices)))

  def use(self, variables):
    """Takes other variables of the same network from now on; what is compiled stays."""
    self._variables = jax.device_put(variables, self._placed(PartitionSpec()))

  def logits(self, pixels):
    """uint8[N, H, W, 3] -> float32[N, 2]."""
    if not len(pixels):
      return np.zeros((0, 2), np.float32)
    return self.explain(pixels, np.zeros(len(pixels)), {})["logits"]

  def explain(self, pixels, target, methods, background=None, pooled=()):
    """`explain_batch` of any number of images, at least one, as NumPy arrays."""
    target = np.asarray(target, np.int32)
    together = {name: settings for name, settings in methods.items() if not METHODS[name].sampled}
    result, errors = self._in_batches(together, pixels, target, None, pooled), {}
    for name, settings in methods.items():
      method = METHODS[name]
      if method.from_logits:
        chosen = np.where(target < 0, result["logits"].argmax(-1), target)
        rounded = lambda images: self.logits(np.rint(images).astype(np.uint8))
        result[name] = method.compute(rounded, pixels, chosen, batch_size=self.batch_size, **settings)
        if method.complete:
          result[name], errors[name] = result[name]
      elif name not in together:
        references = background if "background" in method.arguments else None
        of_this = self._in_batches({name: settings}, pixels, target, references)
        result[name] = of_this[name]
        errors |= of_this["completeness_error"]
    return result | {"completeness_error": errors}

  def compile(self, methods, count, shape, background=None):
    """Compiles what `count` images uint8[*shape] take, ahead of time; `methods` is one sampled one or all others.

    Returns: the call(variables, pixels, target, background), whose arguments lie on the devices.
    """
    if not any("background" in METHODS[name].arguments for name in methods):
      background = None
    return self._call_for(methods, count, shape, jax.device_put(background, self._placed(PartitionSpec())))[1]

  def _in_batches(self, methods, pixels, target, background, pooled=()):
    background = jax.device_put(background, self._placed(PartitionSpec()))
    parts, start = [], 0
    while start < len(pixels):
      size, call = self._call_for(methods, len(pixels) - start, pixels.shape[1:], background, pooled)
      chosen = np.minimum(np.arange(start, start + size), len(pixels) - 1)  # filled up with the last
      batch = [values[chosen] for values in (pixels, target)]
      parts.append(call(self._variables, *jax.device_put(batch, self._placed(PartitionSpec(AXIS))), background))
      start += size
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(pixels)], *jax.device_get(parts))

  def _call_for(self, methods, count, shape, background, pooled=()):
    """How many images the next call takes, and the compiled call."""
    while True:
      size = self._mesh.size if count <= self._mesh.size else self.batch_size
      key = repr((methods, size, self.batch_size, shape, jax.tree.map(np.shape, background), pooled))
      if key in self._compiled:
        return size, self._compiled[key]
      call = self._compile(methods, size, shape, background, pooled)
      needed, free = _memory_of(call), available_memory()
      if needed <= free:
        self._compiled[key] = call
        return size, call
      what = f"{', '.join(methods) or 'the network'} needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free"
      if size == self._mesh.size and (self.batch_size == size or not any(METHODS[name].sampled for name in methods)):
        raise UserError(f"{what}, at one image at a time; use smaller images, fewer layers, or a machine with more")
      log.warning("%s at batch size %d: going on with %d", what, self.batch_size, self._round_up(self.batch_size // 2))
      self.batch_size = self._round_up(self.batch_size // 2)

  def _compile(self, methods, size, shape, background, pooled):
    evaluations = self.batch_size // self._mesh.size
    make = lambda: lower(
        self._model, methods, evaluations, self._mesh, self._variables, size, shape, background, pooled).compile()
    leaves, structure = jax.tree.flatten((self._variables, background))
    return kept(make, list(self._mesh.devices.flat), {
        "program": "explain_batch", "model": self._model, "methods": methods, "evaluations": evaluations,
        "pooled": pooled, "pixels": [size, *shape], "arguments": [str(structure), leaves]})

  def _placed(self, spec):
    return NamedSharding(self._mesh, spec)

  def _round_up(self, count):
    return max(1, -(-count // self._mesh.size)) * self._mesh.size


def _memory_of(compiled):
  """Bytes that a compiled call takes on each device beside its arguments; 0 where the backend does not tell."""
  analysis = compiled.memory_analysis()
  return analysis.temp_size_in_bytes + analysis.output_size_in_bytes if analysis else 0
