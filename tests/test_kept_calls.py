"""Compiled calls that are kept whole: the same bits as those traced, and never another program's."""

import logging
import os
import re
import shutil
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from fakeface_jax import compilation_cache, kept_calls
from fakeface_jax.explain import engine as engines
from fakeface_jax.explain.engine import Engine
from fakeface_jax.explain.methods import resolve_methods
from fakeface_jax.models.resnet import resnet
from tests.conftest import ROOT, run_script
from tests.explain.tiny import QUICK, pictures, small

FAKE = 1
SIZE = 16  # px


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.setattr(compilation_cache, "_calls", tmp_path / "calls")
  monkeypatch.setattr(kept_calls, "OUR_OWN", (*kept_calls.OUR_OWN, "tests"))
  return tmp_path / "calls"


def add_up(name="f", made=None):
  """A small kept call, and how often it was made until now in `made`."""
  made = [] if made is None else made

  def make():
    made.append(name)
    return jax.jit(lambda x: jnp.cumsum(x) + len(name)).lower(np.zeros(3, np.float32)).compile()

  return kept_calls.kept(make, jax.devices()[:1], {"name": name})


def check_adds_up(call, name="f"):
  np.testing.assert_array_equal(call(np.float32([1, 2, 4])), np.float32([1, 3, 7]) + len(name))


# --- the same bits, without tracing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("methods", [
    ("gradcam", "guided_backprop", "guided_gradcam"), ("gradient", "eigencam", "feature_maps"),
    ("expected_gradients", "occlusion")])
def test_a_kept_call_gives_the_traced_ones_bits(folder, monkeypatch, methods):
  network = small()
  given = resolve_methods(network[0], {name: QUICK.get(name, {}) for name in methods})
  explain = lambda: Engine(*network, 2).explain(pictures(3), [FAKE] * 3, given, pictures(2, seed=1))
  with monkeypatch.context() as patch:
    patch.setattr(compilation_cache, "_calls", None)
    traced = explain()
  first = explain()
  monkeypatch.setattr(engines, "lower", None)  # nothing may be traced from now on
  second = explain()
  for got in (first, second):
    assert jax.tree.structure(got) == jax.tree.structure(traced)
    jax.tree.map(np.testing.assert_array_equal, got, traced)


def test_nothing_is_kept_before_a_folder_is_set_nor_in_a_bucket(tmp_path, monkeypatch):
  monkeypatch.setattr(compilation_cache, "_calls", None)
  made = []
  for _ in range(2):
    check_adds_up(add_up(made=made))
  assert len(made) == 2
  before, shown = jax.config.jax_compilation_cache_dir, compilation_cache.warnings.showwarning
  try:
    compilation_cache.use_compilation_cache("gs://bucket/xla")
    assert compilation_cache.calls_folder() is None
    compilation_cache.use_compilation_cache(tmp_path)
    assert compilation_cache.calls_folder() == tmp_path / "calls"
  finally:
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.warnings.showwarning = shown


def test_what_jaxs_own_cache_has_is_compiled_again_as_it_could_not_be_handed_out(folder, tmp_path, monkeypatch):
  """On CPU, an executable from there that is kept and loaded lacks some of its functions."""
  network = small()
  given = resolve_methods(network[0])
  settings = {"jax_compilation_cache_dir": str(tmp_path / "xla"), "jax_persistent_cache_min_compile_time_secs": 0.0}
  before = {name: getattr(jax.config, name) for name in settings}
  try:
    for name, value in settings.items():
      jax.config.update(name, value)
    kept_calls.reset_cache()
    with monkeypatch.context() as patch:
      patch.setattr(compilation_cache, "_calls", None)
      traced = Engine(*network, 2).explain(pictures(2), [FAKE] * 2, given)  # fills it
    assert list((tmp_path / "xla").glob("*-cache"))
    for _ in range(2):
      jax.clear_caches()
      got = Engine(*network, 2).explain(pictures(2), [FAKE] * 2, given)
      jax.tree.map(np.testing.assert_array_equal, got, traced)
    assert jax.config.jax_enable_compilation_cache
  finally:
    for name, value in before.items():
      jax.config.update(name, value)
    kept_calls.reset_cache()


# --- the key ---------------------------------------------------------------------------------------------------------


def key(devices=None, **parts):
  return kept_calls.key_of(devices or jax.devices(), parts)


def test_every_circumstance_makes_another_key(monkeypatch):
  keys = [key()]
  assert key() == keys[0] and len(keys[0]) == 32
  for module, name, value in (
      (jax, "__version__", "0"), (kept_calls.jaxlib, "__version__", "0"), (kept_calls.flax, "__version__", "0"),
      (sys, "version", "3.99"), (kept_calls, "_source", lambda folder: "0"),
      (kept_calls, "_processor", lambda: ["x86_64", "avx9"]), (kept_calls, "usable_cores", lambda: 99)):
    with monkeypatch.context() as patch:
      patch.setattr(module, name, value)
      keys.append(key())
  for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NPROC"):
    with monkeypatch.context() as patch:
      patch.setenv(name, "--xla_cpu_enable_fast_math=true")
      keys.append(key())
  for name, value in (("jax_default_matmul_precision", "bfloat16"), ("jax_enable_x64", True)):
    before = getattr(jax.config, name)
    try:
      jax.config.update(name, value)
      keys.append(key())
    finally:
      jax.config.update(name, before)
  keys.append(key(jax.devices()[:1]))
  keys.append(key(jax.devices()[::-1]))
  assert len(set(keys)) == len(keys)
  assert key() == keys[0]


def test_every_argument_of_the_engine_makes_another_key(monkeypatch):
  monkeypatch.setattr(kept_calls, "OUR_OWN", (*kept_calls.OUR_OWN, "tests"))
  monkeypatch.setattr(engines, "kept", lambda make, devices, parts: kept_calls.key_of(devices, parts))

  def of(depth=18, batch_size=4, methods=("gradcam",), size=2, shape=(32, 32, 3), background=None, cast=None, **model):
    network = resnet(depth, **model)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, cast or leaf.dtype), network.shapes)
    engine = Engine(network, variables, batch_size)
    return engine._compile(resolve_methods(network, methods), size, shape, background, ())

  keys = [
      of(), of(depth=34), of(dtype=jnp.bfloat16), of(num_classes=3), of(act=jax.nn.gelu), of(batch_size=2),
      of(methods=("gradient",)), of(methods=("gradcam", "gradient")), of(methods=("gradient", "gradcam")),
      of(methods={"occlusion": {"window": 8}}), of(methods={"occlusion": {"window": 9}}), of(size=4),
      of(shape=(32, 40, 3)), of(background=np.zeros((3, 32, 32, 3), np.uint8)),
      of(background=np.zeros((4, 32, 32, 3), np.uint8)), of(cast=np.float16)]
  assert None not in keys and len(set(keys)) == len(keys)
  assert of() == keys[0]


def test_every_byte_and_name_of_the_source_counts(tmp_path):
  source = kept_calls._source.__wrapped__
  (tmp_path / "models").mkdir()
  file = tmp_path / "models" / "resnet.py"
  file.write_text("stride = 1\n")
  digests = [source(tmp_path)]
  file.write_text("stride = 2\n")
  digests.append(source(tmp_path))
  file.rename(tmp_path / "models" / "net.py")
  digests.append(source(tmp_path))
  (tmp_path / "empty.py").touch()
  digests.append(source(tmp_path))
  assert len(set(digests)) == 4


def test_what_no_name_tells_from_others_is_not_kept(folder):
  def relu(x):
    return jnp.maximum(x, 0)

  for act in (relu, lambda x: x, partial(jax.nn.elu, alpha=2.0)):
    network = small(act=act)
    Engine(*network, 2).logits(pictures(2))
  assert not folder.exists()


def test_nothing_is_kept_where_the_processor_cannot_be_told(folder, monkeypatch):
  monkeypatch.setattr(kept_calls, "_processor", lambda: None)
  check_adds_up(add_up())
  assert not folder.exists()


# --- files -----------------------------------------------------------------------------------------------------------


def flip(data, place):
  return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("damage", [
    lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data[:40], lambda data: flip(data, 5),
    lambda data: flip(data, 50), lambda data: flip(data, len(data) - 9), lambda data: data + b"more"])
def test_a_damaged_file_is_removed_with_a_word_and_written_anew(folder, caplog, damage):
  made = []
  add_up(made=made)
  (path,) = folder.iterdir()
  data = path.read_bytes()
  path.write_bytes(damage(data))
  with caplog.at_level(logging.WARNING):
    check_adds_up(add_up(made=made))
  assert caplog.messages == [f"{path} cannot be used (it is damaged) and is removed: compiling again"]
  assert len(made) == 2 and len(path.read_bytes()) > 0.9 * len(data)
  check_adds_up(add_up(made=made))
  assert len(made) == 2 and len(caplog.messages) == 1


def test_another_calls_file_is_not_taken_for_this_ones(folder, caplog):
  add_up("other")
  (other,) = folder.iterdir()
  add_up()
  (path,) = set(folder.iterdir()) - {other}
  shutil.copy(other, path)
  check_adds_up(add_up())
  assert caplog.messages == [f"{path} cannot be used (it is another call's) and is removed: compiling again"]


def test_what_the_backend_refuses_is_compiled_again(folder, monkeypatch, caplog):
  made = []
  add_up(made=made)

  def refuse(*_, **__):
    raise jax.errors.JaxRuntimeError("INVALID_ARGUMENT: of another\nmachine")

  monkeypatch.setattr(kept_calls, "deserialize_and_load", refuse)
  check_adds_up(add_up(made=made))
  assert len(made) == 2 and "(INVALID_ARGUMENT: of another machine) and is removed" in caplog.messages[0]
  monkeypatch.setattr(kept_calls, "serialize", refuse)
  for path in folder.iterdir():
    path.unlink()
  check_adds_up(add_up(made=made))
  assert len(made) == 3 and list(folder.iterdir()) == []


def test_where_nothing_can_be_read_or_written_calls_are_compiled_and_that_is_said(folder, caplog):
  folder.write_text("no folder")
  check_adds_up(add_up())
  assert len(caplog.messages) == 2
  assert caplog.messages[0].endswith(": compiling again")
  assert caplog.messages[1].startswith("the compiled call could not be kept (")


def test_those_not_used_for_longest_make_room(folder, monkeypatch):
  for age, name in enumerate("cba"):
    add_up(name * (1 + age))
  files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
  for age, path in enumerate(files):
    os.utime(path, (1000 + age, 1000 + age))
  add_up("c")  # the oldest, but used again
  monkeypatch.setattr(kept_calls, "MOST_BYTES", sum(path.stat().st_size for path in files))
  add_up("new")
  assert files[0].exists() and files[2].exists() and not files[1].exists() and len(list(folder.iterdir())) == 3


PROCESS = """
import sys, jax, jax.numpy as jnp, numpy as np
from fakeface_jax import compilation_cache
compilation_cache._calls = __import__("pathlib").Path(sys.argv[1])
from fakeface_jax.kept_calls import kept
traced = []
def f(x):
  traced.append(1)
  return jnp.sin(x) @ x
call = kept(lambda: jax.jit(f).lower(np.ones((3, 3), np.float32)).compile(), jax.devices()[:1], {})
print(len(traced), float(call(np.ones((3, 3), np.float32))[0, 0]))
"""


@pytest.mark.slow
def test_processes_may_keep_the_same_call_at_once(tmp_path):
  start = lambda: subprocess.Popen(
      [sys.executable, "-c", PROCESS, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
  shown = [process.communicate(timeout=280)[0].split() for process in (start(), start())]
  assert shown[0][1] == shown[1][1] and np.isclose(float(shown[0][1]), 3 * np.sin(1), rtol=1e-6)
  (path,) = tmp_path.iterdir()
  assert path.suffix == ".call"
  traced, value = start().communicate(timeout=280)[0].split()
  assert (traced, value) == ("0", shown[0][1])


# --- the command -----------------------------------------------------------------------------------------------------

NOT_NEEDED = (
    "array_record", "fontTools", "grain", "huggingface_hub", "jinja2", "matplotlib", "optax", "orbax", "pandas",
    "requests", "scipy", "shap", "skimage", "sklearn", "tensorboardX", "tensorflow", "tensorflow_datasets", "torch",
    "urllib.request", "fakeface_jax.training.loop")
COMMAND = """
import runpy, sys, jax
traced = []
jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: traced.append(name))
try:
  runpy.run_path(sys.argv[1], run_name="__main__")
finally:
  sys.stdout.flush()
  print("MODULES", *sys.modules)
  print("TRACED", *(name for name in traced if "trace" in name or "lower" in name or "compile_duration" in name))
"""


@pytest.mark.slow
def test_a_second_start_traces_nothing_imports_little_and_draws_the_same(finished, tmp_path):
  run = tmp_path / "run"
  shutil.copytree(finished[0], run)
  pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 3), np.uint8)
  Image.fromarray(pixels).save(tmp_path / "photo.png")
  environment = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
  given = lambda out: ["--workdir", str(run), "--out", str(tmp_path / out), str(tmp_path / "photo.png")]
  first = run_script("explain", *given("a"), environment=environment)
  assert first.returncode == 0, first.stderr
  script = ROOT / "scripts" / "explain.py"
  second = subprocess.run(
      [sys.executable, "-c", COMMAND.replace("sys.argv[1]", repr(str(script))), *given("b")], capture_output=True,
      text=True, timeout=280, env={**os.environ, **environment})
  assert second.returncode == 0, second.stderr
  assert second.stderr == ""
  modules = re.search("^MODULES (.*)$", second.stdout, re.MULTILINE)[1].split()
  assert [name for name in modules if name in NOT_NEEDED] == []
  assert re.search("^TRACED(.*)$", second.stdout, re.MULTILINE)[1] == ""
  for name in ("photo.png", "photo.npz"):
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
