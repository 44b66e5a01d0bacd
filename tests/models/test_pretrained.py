"""Weights in from files and the hub, out to torchvision, and every way in which a source can be wrong."""

import http.server
import json
import pickle
import re
import shutil
import socket
import sys
import threading
import time

import huggingface_hub
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging
from safetensors.numpy import save_file
from seeded import state_dict

from fakeface_jax.errors import UserError
from fakeface_jax.models import pretrained
from fakeface_jax.models.pretrained import from_state_dict, load_pretrained, save_safetensors, to_state_dict
from fakeface_jax.models.resnet import BasicBlock, ResNet, resnet


def template(model):
  """Variables as from `model.init`, but every value -1, so that what was not loaded shows."""
  shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
  return jax.tree.map(lambda leaf: np.full(leaf.shape, -1, np.float32), shapes)


@pytest.fixture(scope="module")
def small():
  """The variables of a network of one block per stage and two classes."""
  return template(ResNet((1, 1, 1, 1), BasicBlock))


def small_state_dict(classes=2):
  return {key: tensor for key, tensor in state_dict(18, classes).items() if not re.match(r"layer\d\.1\.", key)}


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
  path = tmp_path_factory.mktemp("weights") / "small.safetensors"
  save_file(small_state_dict(), path)
  return path


@pytest.fixture
def logged(monkeypatch):
  lines = []
  monkeypatch.setattr(logging, "info", lambda message, *values: lines.append(message % values))
  return lines


def check_equal(tree, other):
  assert jax.tree.structure(tree) == jax.tree.structure(other)
  jax.tree.map(np.testing.assert_array_equal, tree, other)


# --- names, layouts, round trips -------------------------------------------------------------------------------------


def test_every_tensor_lands_where_it_belongs(small, small_file):
  tensors, loaded = small_state_dict(), load_pretrained(small_file, small)
  params, stats = loaded["params"], loaded["batch_stats"]
  np.testing.assert_array_equal(params["conv1"]["kernel"][5, 2, 1, 60], tensors["conv1.weight"][60, 1, 5, 2])
  np.testing.assert_array_equal(params["head"]["kernel"], tensors["fc.weight"].T)
  np.testing.assert_array_equal(params["head"]["bias"], tensors["fc.bias"])
  np.testing.assert_array_equal(params["bn1"]["scale"], tensors["bn1.weight"])
  np.testing.assert_array_equal(stats["bn1"]["var"], tensors["bn1.running_var"])
  block, old = params["layer3_0"], "layer3.0."
  np.testing.assert_array_equal(block["conv2"]["kernel"], tensors[old + "conv2.weight"].transpose(2, 3, 1, 0))
  np.testing.assert_array_equal(block["downsample_0"]["kernel"][0, 0].T, tensors[old + "downsample.0.weight"][..., 0, 0])
  np.testing.assert_array_equal(block["downsample_1"]["bias"], tensors[old + "downsample.1.bias"])
  np.testing.assert_array_equal(
      stats["layer3_0"]["downsample_1"]["mean"], tensors[old + "downsample.1.running_mean"])
  assert jax.tree.structure(loaded) == jax.tree.structure(small)
  assert {leaf.dtype for leaf in jax.tree.leaves(loaded)} == {np.dtype("float32")}
  assert all(leaf.flags.c_contiguous for leaf in jax.tree.leaves(loaded))


def test_other_collections_stay_and_nothing_is_changed_in_place(small, small_file):
  variables = small | {"perturbations": {"a": np.ones(2)}}
  loaded = load_pretrained(str(small_file), variables)
  np.testing.assert_array_equal(loaded["perturbations"]["a"], [1, 1])
  assert (variables["params"]["head"]["bias"] == -1).all()


def test_export_is_the_inverse(small, small_file, tmp_path):
  loaded = load_pretrained(small_file, small)
  expected = {key: tensor for key, tensor in small_state_dict().items() if "num_batches" not in key}
  check_equal(to_state_dict(loaded), expected)
  save_safetensors(tmp_path / "made" / "detector.safetensors", loaded)
  check_equal(load_pretrained(tmp_path / "made" / "detector.safetensors", small), loaded)


def test_torch_takes_an_exported_detector(tmp_path):
  pytest.importorskip("torch")
  from safetensors.torch import load_file
  from torch_resnet import TorchResNet, outputs

  model = resnet(18)
  variables = from_state_dict(state_dict(18, classes=2), template(model))
  save_safetensors(tmp_path / "detector.safetensors", variables)
  network = TorchResNet(18, classes=2).eval()
  network.load_state_dict(load_file(tmp_path / "detector.safetensors"), strict=True)
  images = np.random.default_rng(0).standard_normal((1, 72, 75, 3), np.float32)
  np.testing.assert_allclose(model.apply(variables, images), outputs(network, images)["logits"], rtol=1e-4, atol=1e-4)


def transformers_key(key):
  """torchvision's key -> that of transformers' ResNetForImageClassification (compared with transformers 5.23)."""
  kind = "normalization" if re.search(r"bn\d|downsample\.1", key) else "convolution"
  leaf = key.rpartition(".")[2]
  if key.startswith("fc."):
    return f"classifier.1.{leaf}"
  if not key.startswith("layer"):
    return f"resnet.embedder.embedder.{kind}.{leaf}"
  stage, block, layer = re.match(r"layer(\d)\.(\d+)\.(?:conv|bn|downsample\.)(\d)", key).groups()
  place = "shortcut" if "downsample" in key else f"layer.{int(layer) - 1}"
  return f"resnet.encoder.stages.{int(stage) - 1}.layers.{block}.{place}.{kind}.{leaf}"


def test_transformers_keys_are_recognised():
  tensors = state_dict(50, classes=2)
  renamed = {transformers_key(key): tensor for key, tensor in tensors.items()}
  assert len(renamed) == len(tensors)
  for key in (
      "resnet.embedder.embedder.convolution.weight", "resnet.encoder.stages.0.layers.0.shortcut.convolution.weight",
      "resnet.encoder.stages.3.layers.2.layer.2.normalization.running_var", "classifier.1.weight"):
    assert key in renamed
  variables = template(resnet(50))
  expected = from_state_dict(tensors, variables)
  check_equal(from_state_dict(renamed, variables), expected)
  bare = {key.removeprefix("resnet."): tensor for key, tensor in renamed.items()}  # as ResNetModel saves them
  check_equal(from_state_dict(bare, variables), expected)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module._orig_mod."])
def test_prefixes_of_wrapping_modules_are_dropped(small, prefix):
  tensors = small_state_dict()
  expected = from_state_dict(tensors, small)
  check_equal(from_state_dict({prefix + key: tensor for key, tensor in tensors.items()}, small), expected)
  with pytest.raises(UserError, match=rf"holds fc.bias twice, once as {re.escape(prefix)}fc.bias"):
    from_state_dict(tensors | {prefix + "fc.bias": tensors["fc.bias"]}, small)


# --- the head --------------------------------------------------------------------------------------------------------


def test_a_head_of_as_many_classes_is_loaded(small, logged):
  loaded = from_state_dict(small_state_dict(), small, "colleague.safetensors")
  assert (loaded["params"]["head"]["kernel"] != -1).all()
  assert logged == [
      "colleague.safetensors: 60 tensors; the head of 2 classes is the source's as well, in its class order"]


@pytest.mark.parametrize("change", ["1000 classes", "no head"])
def test_any_other_head_stays_ours(small, logged, change):
  tensors = small_state_dict(classes=1000)
  if change == "no head":
    tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith("fc.")}
  loaded = from_state_dict(tensors, small, "imagenet")
  assert (loaded["params"]["head"]["kernel"] == -1).all() and (loaded["params"]["head"]["bias"] == -1).all()
  np.testing.assert_array_equal(loaded["params"]["bn1"]["scale"], tensors["bn1.weight"])
  assert logged == ["imagenet: 60 tensors; the head of 2 classes is new, not the source's"]


@pytest.mark.parametrize("key", ["fc.weight", "fc.bias"])
def test_half_a_head_is_an_error(small, key):
  tensors = small_state_dict()
  del tensors[key]
  with pytest.raises(UserError, match=f"1 missing: {key}$"):
    from_state_dict(tensors, small)


# --- misfits ---------------------------------------------------------------------------------------------------------


def test_all_misfits_are_listed_at_once(small):
  tensors = small_state_dict()
  del tensors["bn1.running_var"], tensors["layer2.0.conv1.weight"]
  tensors["conv1.weight"] = np.zeros((64, 4, 7, 7), np.float32)
  tensors |= {f"extra.{i}": np.zeros(1, np.float32) for i in range(13)}
  with pytest.raises(UserError) as caught:
    from_state_dict(tensors, small, "strange.safetensors")
  extra = ", ".join(f"extra.{i}" for i in range(10))
  assert str(caught.value) == (
      "strange.safetensors: the weights do not fit the network; tensors 2 missing: "
      f"layer2.0.conv1.weight, bn1.running_var; 13 unexpected: {extra} and 3 more; "
      "1 of another shape: conv1.weight (64, 4, 7, 7) instead of (64, 3, 7, 7)")


@pytest.mark.parametrize(("theirs", "ours"), [(50, 18), (34, 50), (18, 34)])
def test_another_depth_is_recognised(theirs, ours):
  with pytest.raises(UserError) as caught:
    from_state_dict(state_dict(theirs), template(resnet(ours)), "w.safetensors")
  assert f"w.safetensors: looks like the weights of a ResNet-{theirs}, but the network is a ResNet-{ours}" in str(
      caught.value)
  assert str(caught.value).endswith(f"set the depth to {theirs} or give weights of a ResNet-{ours}")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(small, value):
  tensors = small_state_dict()
  tensors["layer4.0.bn2.bias"][7] = value
  with pytest.raises(UserError, match=r"bad.pth: NaN or infinite values in layer4\.0\.bn2\.bias;"):
    from_state_dict(tensors, small, "bad.pth")
  broken = jax.tree.map(np.copy, small)
  broken["params"]["layer1_0"]["conv1"]["kernel"][0, 0, 0, 0] = value
  with pytest.raises(UserError, match=r"the network: NaN or infinite values in layer1\.0\.conv1\.weight;"):
    to_state_dict(broken)


# --- safetensors files -----------------------------------------------------------------------------------------------


def write_safetensors(path, tensors, dtype):
  """The file format by hand: the header's length, the header as JSON, the values."""
  header, end = {"__metadata__": {"format": "pt"}}, 0
  for key, tensor in tensors.items():
    header[key] = {"dtype": dtype, "shape": tensor.shape, "data_offsets": [end, end := end + tensor.nbytes]}
  text = json.dumps(header).encode()
  values = b"".join(tensor.tobytes() for tensor in tensors.values())
  path.write_bytes(len(text).to_bytes(8, "little") + text + values)


@pytest.mark.parametrize(("name", "dtype"), [("F16", np.float16), ("BF16", jnp.bfloat16), ("F64", np.float64)])
def test_other_precisions_become_float32(small, tmp_path, name, dtype):
  tensors = {key: tensor.astype(dtype) for key, tensor in small_state_dict().items() if tensor.ndim}
  write_safetensors(tmp_path / "x.safetensors", tensors, name)
  kernel = load_pretrained(tmp_path / "x.safetensors", small)["params"]["conv1"]["kernel"]
  assert kernel.dtype == np.float32
  np.testing.assert_array_equal(kernel, tensors["conv1.weight"].astype(np.float32).transpose(2, 3, 1, 0))


def test_float64_beyond_float32_is_an_error(small, tmp_path):
  tensors = small_state_dict()
  tensors["bn1.bias"] = np.full(64, 1e300)
  save_file(tensors, tmp_path / "x.safetensors")
  with pytest.raises(UserError, match=r"NaN or infinite values in bn1\.bias"):
    load_pretrained(tmp_path / "x.safetensors", small)


def test_quantised_weights_are_refused(small, tmp_path):
  save_file(small_state_dict() | {"conv1.weight": np.zeros((64, 3, 7, 7), np.int8)}, tmp_path / "x.safetensors")
  with pytest.raises(UserError, match=r"conv1\.weight is of type I8; only weights of F16, BF16, F32"):
    load_pretrained(tmp_path / "x.safetensors", small)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 102469840\n"


@pytest.mark.parametrize(
    ("name", "content", "message"), [
        ("a.safetensors", b"", r"a\.safetensors: empty; download it again"),
        ("a.safetensors", POINTER, "only a git-lfs pointer; run `git lfs pull`"),
        ("a.pth", POINTER, "only a git-lfs pointer; run `git lfs pull`"),
        ("a.safetensors", b"<!DOCTYPE html>\n<html>not the file you wanted</html>", "truncated or no safetensors file"),
        ("a.safetensors", b"abc", "truncated or no safetensors file"),
        ("a.h5", b"\x89HDF", r"a\.h5: not a kind of weights file known here; give \.safetensors or one of"),
    ])
def test_files_that_are_no_weights(small, tmp_path, name, content, message):
  (tmp_path / name).write_bytes(content)
  with pytest.raises(UserError, match=message) as caught:
    load_pretrained(tmp_path / name, small)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [4, 1000, 100_000])
def test_a_truncated_safetensors_file(small, small_file, tmp_path, length):
  (tmp_path / "cut.safetensors").write_bytes(small_file.read_bytes()[:length])
  with pytest.raises(UserError, match=r"cut\.safetensors: truncated or no safetensors file \(.*\); download it again"):
    load_pretrained(tmp_path / "cut.safetensors", small)


@pytest.mark.parametrize(
    ("source", "message"), [
        ("nowhere/resnet50.safetensors", r"^nowhere/resnet50\.safetensors: no such weights file; check the path"),
        ("nowhere.pth", "no such weights file"),
        ("a/b/c", "neither a weights file nor a hub repository like timm/resnet50.tv_in1k"),
        ("resnet50", "neither a weights file nor a hub repository"),
        (".", r"^\.: is a folder; give the weights file in it, such as model\.safetensors"),
    ])
def test_sources_that_are_nothing(small, source, message):
  with pytest.raises(UserError, match=message):
    load_pretrained(source, small)


# --- torch files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [
    lambda tensors: tensors,
    lambda tensors: {"state_dict": tensors, "epoch": 3},
    lambda tensors: {"model": {"module." + key: tensor for key, tensor in tensors.items()}, "best": 0.9},
])
def test_torch_files(small, tmp_path, wrap):
  torch = pytest.importorskip("torch")
  tensors = {key: torch.from_numpy(tensor) for key, tensor in small_state_dict().items()}
  torch.save(wrap(tensors), tmp_path / "x.pth")
  check_equal(load_pretrained(tmp_path / "x.pth", small), from_state_dict(small_state_dict(), small))


def test_bfloat16_parameters_in_a_torch_file(small, tmp_path):
  torch = pytest.importorskip("torch")
  tensors = {key: torch.nn.Parameter(torch.from_numpy(tensor).bfloat16(), requires_grad=bool(tensor.ndim))
             for key, tensor in small_state_dict().items()}
  torch.save(tensors, tmp_path / "x.pt")
  loaded = load_pretrained(tmp_path / "x.pt", small)
  expected = small_state_dict()["bn1.bias"].astype(jnp.bfloat16).astype(np.float32)
  np.testing.assert_array_equal(loaded["params"]["bn1"]["bias"], expected)


class Malicious:
  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return open, (str(self.path), "w")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_pickle_is_refused_and_not_run(small, tmp_path, legacy):
  torch = pytest.importorskip("torch")
  content = {"state_dict": {"conv1.weight": Malicious(tmp_path / "pwned")}}
  if legacy:
    (tmp_path / "x.pth").write_bytes(pickle.dumps(content))
  else:
    torch.save(content, tmp_path / "x.pth")
  with pytest.raises(UserError, match="no file of weights alone, so nothing of it was run; have its author save"):
    load_pretrained(tmp_path / "x.pth", small)
  assert not (tmp_path / "pwned").exists()
  pickle.loads(pickle.dumps(content))["state_dict"]["conv1.weight"].close()  # whereas this does run it
  assert (tmp_path / "pwned").exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": [1]}, {"state_dict": {"lr": 0.1}}])
def test_torch_files_without_a_state_dict(small, tmp_path, content):
  torch = pytest.importorskip("torch")
  torch.save(content, tmp_path / "x.pt")
  with pytest.raises(UserError, match=r"holds no state dict, that is .name: tensor., at its top or under state_dict"):
    load_pretrained(tmp_path / "x.pt", small)


@pytest.mark.parametrize("length", [100, 5000])
def test_a_truncated_torch_file(small, tmp_path, length):
  torch = pytest.importorskip("torch")
  torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "x.pth")
  (tmp_path / "x.pth").write_bytes((tmp_path / "x.pth").read_bytes()[:length])
  with pytest.raises(UserError, match=r"x\.pth: truncated or no torch file \(.*\); download it again") as caught:
    load_pretrained(tmp_path / "x.pth", small)
  assert "\n" not in str(caught.value)


def test_without_torch_its_files_are_refused_with_both_ways_out(small, tmp_path, monkeypatch):
  (tmp_path / "x.pth").write_bytes(b"PK")
  monkeypatch.setitem(sys.modules, "torch", None)
  with pytest.raises(UserError, match=r"`pip install 'fakeface-jax\[torch\]'` or give a \.safetensors file"):
    load_pretrained(tmp_path / "x.pth", small)


# --- the hub ---------------------------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, monkeypatch, small_file):
  """A local stand-in for the hub with one repository, and an empty cache; yields the requests it got."""
  requests = []

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      requests.append(self.command)
      repository = self.path.split("/resolve/")[0].strip("/")
      status, code = {
          "timm/small": (200, None), "timm/gated": (403, "GatedRepo"), "timm/private": (401, None),
          "timm/old": (404, "EntryNotFound"), "timm/broken": (503, None)}.get(repository, (404, "RepoNotFound"))
      self.send_response(status)
      if code:
        self.send_header("X-Error-Code", code)
      content = small_file.read_bytes() if status == 200 else b""
      for header, value in {"ETag": '"1"', "X-Repo-Commit": COMMIT, "Content-Length": len(content)}.items():
        self.send_header(header, str(value))
      self.end_headers()
      if self.command == "GET":
        self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_):
      pass

  server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
  threading.Thread(target=server.serve_forever, daemon=True).start()
  monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
  monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
  monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
  yield requests
  server.shutdown()
  server.server_close()


def test_a_hub_repository_is_downloaded_once_and_then_needs_no_network(small, small_file, hub, tmp_path, monkeypatch):
  expected = load_pretrained(small_file, small)
  check_equal(load_pretrained("timm/small", small), expected)
  assert "GET" in hub
  hub.clear()
  check_equal(load_pretrained("timm/small", small), expected)
  assert hub == []
  shutil.rmtree(tmp_path / "cache")
  monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
  with pytest.raises(UserError, match=r"cannot be fetched from the hub \(.*offline"):
    load_pretrained("timm/small", small)
  assert hub == []


@pytest.mark.parametrize(
    ("repository", "message"), [
        ("timm/gated", "^timm/gated: is gated; accept its terms"),
        ("timm/private", "neither a file here nor a repository of the hub that can be read; check the spelling"),
        ("timm/nothing", "neither a file here nor a repository of the hub that can be read; check the spelling"),
        ("timm/old", r"has no model\.safetensors; download the weights it has and give the file's path"),
        ("timm/broken", r"cannot be fetched from the hub \(.*503.*\); run `hf download timm/broken model\.sa"),
        ("timm/a--b", "nor a valid name of a hub repository; check the spelling"),
    ])
def test_what_the_hub_refuses(small, hub, repository, message):
  start = time.monotonic()
  with pytest.raises(UserError, match=message) as caught:
    load_pretrained(repository, small)
  assert "\n" not in str(caught.value)
  assert time.monotonic() - start < 2 and len(hub) <= 1  # no second try


def test_an_unreachable_hub_fails_at_once(small, hub, monkeypatch):
  with socket.socket() as closed:
    closed.bind(("127.0.0.1", 0))
    port = closed.getsockname()[1]
  monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{port}")
  start = time.monotonic()
  with pytest.raises(UserError, match=r"nor in the hub's cache, and cannot be fetched from the hub \(.+\); run `hf"):
    load_pretrained("timm/small", small)
  assert time.monotonic() - start < 2


def test_a_silent_hub_fails_after_the_deadline(small, hub, monkeypatch):
  monkeypatch.setattr(pretrained, "HUB_SECONDS", 0.5)
  monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *_, **__: time.sleep(3))  # as a slow name server
  start = time.monotonic()
  with pytest.raises(UserError, match=r"cannot be fetched from the hub \(TimeoutError\)"):
    load_pretrained("timm/small", small)
  assert time.monotonic() - start < 2
