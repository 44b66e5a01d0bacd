"""What explaining costs: in FLOPs, in time beside inference and beside captum, and how exact it is."""

import io
import platform
import time
from importlib.util import find_spec

import jax
import numpy as np

from benchmarks.timing import take_turns
from fakeface_jax.data.schema import FAKE
from fakeface_jax.detector import Detector, Seen, load
from fakeface_jax.drawing.panel import draw_panel
from fakeface_jax.explain.capture import last_conv_layers
from fakeface_jax.explain.engine import Engine, explain_batch
from fakeface_jax.explain.methods import DEFAULT_METHODS, METHODS, resolve_methods
from fakeface_jax.explain.scale import measure_scale
from fakeface_jax.models import init_variables
from fakeface_jax.models.network import normalize
from fakeface_jax.models.pretrained import depth_of, to_state_dict
from fakeface_jax.models.resnet import resnet
from fakeface_jax.runs.records import first_images, split_of_run
from fakeface_jax.workdir import read_config

SCORE_CAM_CHANNELS = 64  # of up to 2,048: the time is in proportion


def bench_explain(depth=50, size=224, batch_size=8, repeats=4, workdir=None):
  """Measures a network of random weights on noise, or with `workdir` a run's detector on its test images.

  Returns: (text, {"flops_ratio_ten_cams": ..., ...}), all figures in both.
  """
  if workdir:
    detector = load(workdir, batch_size)
    model, variables, size = detector.model, detector.variables, detector.crop
    images = first_images(split_of_run(read_config(workdir), "test"), batch_size)
    pixels = detector.prepare([images[i % len(images)] for i in range(batch_size)]).pixels
    network = f"the network of {workdir}, {size} px, {batch_size} fakes of its test split"
  else:
    model = resnet(depth)
    variables = init_variables(model, jax.random.key(0), size)
    pixels = np.random.default_rng(0).integers(0, 256, (batch_size, size, size, 3), np.uint8)
    network = f"ResNet-{depth}, {size} px, {batch_size} images of noise, random weights"
  result = {
      "network": network,
      "device": f"{jax.local_device_count()} x {jax.devices()[0].device_kind} ({platform.machine()})",
      "versions": {"jax": jax.__version__},
  } | flops_ratios(model, size)
  engine = Engine(model, variables, batch_size)
  times = article_times(engine, model, variables, pixels, repeats, result)
  inference = times["inference"]
  lines = [f"{result['network']}; {result['device']}", f"{'':<34}{'images/s':>9}{'forward passes':>16}", "-" * 59]
  lines += [
      f"{name:<34}{batch_size / seconds:>9.1f}{seconds / inference:>16.2f}" for name, seconds in times.items()]
  sampled = sampled_times(engine, model, pixels)
  lines += [
      f"{name:<34}{1 / seconds:>9.3g}{seconds * batch_size / inference:>16.1f}" for name, seconds in sampled.items()]
  result["images_per_second"] = {name: batch_size / seconds for name, seconds in times.items()} | {
      name: 1 / seconds for name, seconds in sampled.items()}
  result["ten_layers_over_one"] = times["ten Grad-CAMs"] / times["one Grad-CAM"]
  result["drawing_over_computing"] = drawing_time(model, variables, pixels) / (times["article's set"] / batch_size)
  result["bf16_deviation"] = bf16_deviation(model, variables, pixels)
  lines += [
      "-" * 59,
      f"FLOPs in forward passes: ten Grad-CAMs {result['flops_ratio_ten_cams']:.3f}, article's set"
      f" {result['flops_ratio_article_set']:.3f}",
      f"ten layers over one, in time: {result['ten_layers_over_one']:.2f}",
      f"drawing and saving a panel over computing it: {result['drawing_over_computing']:.2f}",
      "bfloat16 against float32 (median over images of |difference| / largest value): "
      + ", ".join(f"{name} {value:.1%}" for name, value in result["bf16_deviation"].items()),
  ]
  if "article_set_over_captum" in result:
    lines += [
        f"article's set, ours over captum's images/s: {result['article_set_over_captum']:.2f}",
        "largest |difference| to captum over largest value: "
        + ", ".join(f"{name} {value:.1e}" for name, value in result["deviation_from_captum"].items())]
  else:
    lines.append("captum is not installed (pip install torch captum): no comparison")
  return "\n".join(lines), result


def flops_ratios(model, size):
  """FLOPs of ten Grad-CAMs and of the article's set, in forward passes, as XLA counts them for one image."""
  variables = model.shapes
  pixels, target = jax.ShapeDtypeStruct((1, size, size, 3), np.uint8), jax.ShapeDtypeStruct((1,), np.int32)
  flops = lambda function, *arguments: jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]
  forward = flops(lambda variables, pixels: model.apply(variables, normalize(pixels)), variables, pixels)
  of = lambda names: flops(
      lambda *arguments: explain_batch(model, resolve_methods(model, names), 1, *arguments), variables, pixels, target)
  return {
      "flops_ratio_ten_cams": of(["gradcam"]) / forward,
      "flops_ratio_article_set": of(DEFAULT_METHODS) / forward,
  }


def article_times(engine, model, variables, pixels, repeats, result):
  """Median seconds per batch of inference and of all methods of one backward pass; captum's among them, if there."""
  target = np.full(len(pixels), FAKE)
  run = lambda methods, layers=None: lambda: engine.explain(pixels, target, resolve_methods(model, methods, layers))
  candidates = {
      "inference": lambda: engine.logits(pixels),
      "one Grad-CAM": run(["gradcam"], last_conv_layers(model, 1)),
      "ten Grad-CAMs": run(["gradcam"]),
      "article's set": run(DEFAULT_METHODS),
  }
  candidates |= {
      method.title: run([name]) for name, method in METHODS.items()
      if not method.sampled and name not in DEFAULT_METHODS}
  if not find_spec("captum"):
    return take_turns(candidates, repeats)
  from benchmarks.captum_process import CaptumProcess

  layers, tensors = last_conv_layers(model), to_state_dict(variables)
  with CaptumProcess(depth_of(tensors), tensors) as captum:
    captum.send(np.asarray(normalize(pixels)), target, layers)
    candidates["captum: inference"] = lambda: captum("logits")
    candidates["captum: article's set"] = lambda: captum("article_set")
    times = take_turns(candidates, repeats)
    ours, theirs = run(DEFAULT_METHODS)(), captum("article_set", answer=True)
  result["captum"] = captum.about
  result["article_set_over_captum"] = times["captum: article's set"] / times["article's set"]
  result["deviation_from_captum"] = {
      "Grad-CAM": max(deviation(ours["gradcam"][layer], theirs["gradcam"][layer]) for layer in layers),
      "guided backprop": deviation(ours["guided_backprop"], theirs["guided_backprop"]),
      "Guided Grad-CAM": deviation(ours["guided_gradcam"], theirs["guided_gradcam"])}
  return times


def deviation(ours, theirs):
  """max |ours - theirs| / max |theirs|."""
  return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def sampled_times(engine, model, pixels):
  """Seconds of one image, taken once, by every method that evaluates the network many times, as it is usually set."""
  times = {}
  for name, method in METHODS.items():
    if not method.sampled or (name == "shap" and not find_spec("shap")):
      continue
    settings = {"channels": SCORE_CAM_CHANNELS} if name == "scorecam" else {}
    methods = resolve_methods(model, {name: settings})
    of_channels = f" ({SCORE_CAM_CHANNELS} channels)" if settings else ""
    run = lambda methods=methods: engine.explain(pixels[:1], [FAKE], methods, pixels)
    if not method.from_logits:
      engine.compile(methods, 1, pixels.shape[1:], pixels)
    start = time.perf_counter()
    run()
    times[method.title + of_channels] = time.perf_counter() - start
  return times


def drawing_time(model, variables, pixels):
  """Seconds to draw and encode the panel of one image."""
  detector = Detector(model, variables, pixels.shape[1], pixels.shape[1], len(pixels))
  results = detector.explain_seen(Seen(pixels))
  scale = measure_scale(results)

  def draw():
    for result in results:
      draw_panel(result, "photo.jpg", scale).save(io.BytesIO(), "PNG", compress_level=1)

  return take_turns({"draw": draw}, 3)["draw"] / len(pixels)


def bf16_deviation(model, variables, pixels):
  """{map: median over images of max |bfloat16 - float32| / max |float32|} of the article's set and the probability."""
  exact, rounded = (
      Detector(network, variables, pixels.shape[1], pixels.shape[1], len(pixels)).explain_seen(Seen(pixels))
      for network in (model, model.clone(dtype=jax.numpy.bfloat16)))
  layer = last_conv_layers(model, 1)[0]
  median = lambda of: float(np.median([deviation(of(b), of(a)) for a, b in zip(exact, rounded, strict=True)
                                       if np.any(of(a))] or [0]))
  return {
      "probability": median(lambda result: np.array([result["probability"]])),
      "last Grad-CAM": median(lambda result: result["gradcam"][layer]),
      "guided backprop": median(lambda result: result["guided_backprop"]),
  }
