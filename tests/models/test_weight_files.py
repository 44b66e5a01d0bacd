"""Every file and hub repository that can be read, and every way in which one can be wrong."""

import json
import pickle
import shutil
import socket
import sys
import time

import huggingface_hub
import huggingface_hub.constants
import huggingface_hub.errors
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file
from seeded import check_equal, small_state_dict

from fakeface_jax.errors import UserError
from fakeface_jax.models import weight_files
from fakeface_jax.models.pretrained import from_state_dict, load_pretrained
from tests.hub_server import COMMIT, move_hub, serve_hub

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
  with pytest.raises(UserError, match=r"not floating-point numbers: conv1\.weight \(int8\); use weights"):
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
    lambda tensors: {"checkpoint": {"params_ema": tensors}, "optimizer": {"state": {0: {"step": tensors["bn1.bias"]}}}},
    lambda tensors: tensors | {"epoch": 3, "_extra_state": None},
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


@pytest.mark.filterwarnings("ignore")  # torch deprecates what people have saved
def test_torch_tensors_of_every_kind(small, tmp_path):
  torch = pytest.importorskip("torch")
  tensors = {key: torch.from_numpy(tensor) for key, tensor in small_state_dict().items()}
  tensors["fc.weight"] = tensors["fc.weight"].to_sparse()
  tensors["bn1.bias"] = tensors["bn1.bias"].double()
  tensors["conv1.weight"] = torch.quantize_per_tensor(tensors["conv1.weight"], 0.01, 0, torch.qint8)
  torch.save(tensors | {"rng_state": torch.zeros(5, dtype=torch.uint8)}, tmp_path / "x.PTH")
  with pytest.raises(UserError, match=r"1 unexpected: rng_state$"):
    load_pretrained(tmp_path / "x.PTH", small)
  torch.save({"net": tensors, "rng_state": torch.zeros(5, dtype=torch.uint8)}, tmp_path / "x.PTH")
  loaded = load_pretrained(tmp_path / "x.PTH", small)
  expected = from_state_dict(small_state_dict(), small)
  kernel = loaded["params"]["conv1"].pop("kernel")
  np.testing.assert_allclose(
      kernel, expected["params"]["conv1"].pop("kernel").clip(-1.28, 1.27), atol=0.0051)  # half a step
  check_equal(loaded, expected)


@pytest.mark.parametrize(
    ("make", "message"), [
        (lambda torch, key, tensor: {0: tensor}, "x.pth: holds no ResNet under the names .* but 0; give"),
        (lambda torch, key, tensor: {key: tensor.to("meta")}, "conv1.weight is a tensor that cannot be read"),
        (lambda torch, key, tensor: {key: tensor.int()}, r"not floating-point numbers: conv1.weight \(int32\)"),
        (lambda torch, key, tensor: {key: tensor.cfloat()}, r"not floating-point numbers: conv1.weight \(complex64\)"),
        (lambda torch, key, tensor: torch.nn.Conv2d(3, 64, 7), "no file of weights alone, so nothing of it was run"),
    ])
def test_torch_files_with_what_no_weights_are(small, tmp_path, make, message):
  torch = pytest.importorskip("torch")
  content = make(torch, "conv1.weight", torch.from_numpy(small_state_dict()["conv1.weight"]))
  if isinstance(content, dict) and "conv1.weight" in content:
    rest = small_state_dict()
    content = {key: torch.from_numpy(tensor) for key, tensor in rest.items()} | content
  torch.save(content, tmp_path / "x.pth")
  with pytest.raises(UserError, match=message) as caught:
    load_pretrained(tmp_path / "x.pth", small)
  assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_program_is_named(small, tmp_path):
  torch = pytest.importorskip("torch")
  torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "x.pt")
  with pytest.raises(UserError, match=r"x\.pt: a TorchScript program, not weights alone; save torch\.jit\.load"):
    load_pretrained(tmp_path / "x.pt", small)


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
  with pytest.raises(UserError, match=r"holds no state dict, that is .name: tensor., at whatever depth"):
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


@pytest.fixture
def hub(tmp_path, monkeypatch, small_file):
  """A local stand-in for the hub with one repository, and an empty cache; yields the requests it got."""
  requests = []

  def answer(command, path):
    requests.append(command)
    repository = path.split("/resolve/")[0].strip("/")
    status, code = {
        "timm/small": (200, ""), "timm/gated": (403, "GatedRepo"), "timm/private": (401, "RepoNotFound"),
        "timm/old": (404, "EntryNotFound"), "timm/broken": (503, "")}.get(repository, (404, "RepoNotFound"))
    content = small_file.read_bytes() if status == 200 else b""
    return status, code, {"ETag": '"1"', "X-Repo-Commit": COMMIT}, content

  with serve_hub(answer, tmp_path / "cache", monkeypatch):
    yield requests


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
        ("timm/old", r"has no model\.safetensors; download what it has and give the file's path"),
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
  move_hub(monkeypatch, port)
  start = time.monotonic()
  with pytest.raises(UserError, match=r"nor in the hub's cache, and cannot be fetched from the hub \(.+\); run `hf"):
    load_pretrained("timm/small", small)
  assert time.monotonic() - start < 2


def test_a_silent_hub_fails_after_the_deadline(small, hub, monkeypatch):
  monkeypatch.setattr(weight_files, "HUB_SECONDS", 0.5)
  monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *_, **__: time.sleep(3))  # as a slow name server
  start = time.monotonic()
  with pytest.raises(UserError, match=r"cannot be fetched from the hub \(TimeoutError\)"):
    load_pretrained("timm/small", small)
  assert time.monotonic() - start < 2


def test_a_hub_lost_before_the_download_is_not_taken_for_a_missing_file(small, hub, monkeypatch):
  def lost(*_, **__):
    raise huggingface_hub.errors.LocalEntryNotFoundError("connection lost")

  monkeypatch.setattr(huggingface_hub, "hf_hub_download", lost)
  with pytest.raises(UserError, match=r"cannot be fetched from the hub \(connection lost\)"):
    load_pretrained("timm/small", small)
