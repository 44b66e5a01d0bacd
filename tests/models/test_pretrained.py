"""Weights of every known layout in, out to torchvision, and every way in which they can misfit."""

import re

import jax
import numpy as np
import pytest
from seeded import check_equal, images, small_state_dict, state_dict, template

from fakeface_jax.errors import UserError
from fakeface_jax.models import pretrained
from fakeface_jax.models.pretrained import from_state_dict, load_pretrained, save_safetensors, to_state_dict
from fakeface_jax.models.resnet import resnet


@pytest.fixture
def logged(monkeypatch):
  lines = []
  monkeypatch.setattr(pretrained.log, "info", lambda message, *values: lines.append(message % values))
  return lines


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
  projection = tensors[old + "downsample.0.weight"]
  np.testing.assert_array_equal(block["conv2"]["kernel"], tensors[old + "conv2.weight"].transpose(2, 3, 1, 0))
  np.testing.assert_array_equal(block["downsample_0"]["kernel"][0, 0], projection[:, :, 0, 0].T)
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
  expected = outputs(network, images(18))["logits"]
  np.testing.assert_allclose(model.apply(variables, images(18)), expected, rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "module._orig_mod.", "backbone.", "state_dict.net.encoder.", "Whatever.0."])
def test_a_prefix_that_all_keys_share_is_dropped(small, prefix):
  tensors = small_state_dict()
  expected = from_state_dict(tensors, small)
  check_equal(from_state_dict({prefix + key: tensor for key, tensor in tensors.items()}, small), expected)
  with pytest.raises(UserError, match=rf"1 unexpected: {re.escape(prefix)}fc.bias"):
    from_state_dict(tensors | {prefix + "fc.bias": tensors["fc.bias"]}, small)


def test_a_prefix_before_the_keys_of_transformers():
  tensors, variables = state_dict(50, classes=2), template(resnet(50))
  renamed = {f"net.{transformers_key(key)}": tensor for key, tensor in tensors.items()}
  check_equal(from_state_dict(renamed, variables), from_state_dict(tensors, variables))


def test_what_lies_beside_the_network_is_left_aside_and_said(small, logged):
  tensors = small_state_dict()
  beside = {"model.backbone." + key: tensor for key, tensor in tensors.items() if not key.startswith("fc.")}
  beside |= {f"model.{key}": tensors[key] for key in ("fc.weight", "fc.bias")}
  beside |= {f"optimizer.{number}.exp_avg": np.zeros(3, np.float32) for number in range(5)}
  check_equal(from_state_dict(beside, small, "own.ckpt"), from_state_dict(tensors, small))
  assert logged[0] == (
      "own.ckpt: the network is what lies under 'model.backbone.'; left aside: optimizer.0.exp_avg, "
      "optimizer.1.exp_avg, optimizer.2.exp_avg and 2 more")
  assert "is the source's too" in logged[1]


def test_of_several_networks_the_usual_one_is_taken_or_all_are_named(small):
  tensors = small_state_dict()
  under = lambda prefix, change: {prefix + key: np.float32(tensor) + change for key, tensor in tensors.items()}
  both = from_state_dict(under("state_dict_ema.", 1) | under("state_dict.", 0), small)
  check_equal(both, from_state_dict(tensors, small))
  with pytest.raises(UserError) as caught:
    from_state_dict(under("teacher.", 1) | under("student.", 0), small, "dino.pth")
  assert str(caught.value) == (
      "dino.pth: holds several networks, under teacher., student.; give a file with one of them")


def test_weights_of_anything_else_are_named_in_one_sentence(small):
  others = {f"blocks.{number}.attn.qkv.weight": np.zeros((2, 2), np.float32) for number in range(150)}
  with pytest.raises(UserError) as caught:
    from_state_dict(others, small, "vit.safetensors")
  assert str(caught.value) == (
      "vit.safetensors: holds no ResNet under the names of torchvision, timm or transformers, but "
      "blocks.0.attn.qkv.weight, blocks.1.attn.qkv.weight, blocks.2.attn.qkv.weight and 147 more; "
      "give the weights of a ResNet")
  with pytest.raises(UserError, match=r"^empty: holds no ResNet .*, but nothing; give the weights"):
    from_state_dict({}, small, "empty")


# --- the head --------------------------------------------------------------------------------------------------------


def test_a_head_of_as_many_classes_is_loaded(small, logged):
  loaded = from_state_dict(small_state_dict(), small, "colleague.safetensors")
  assert (loaded["params"]["head"]["kernel"] != -1).all()
  assert logged == [
      "colleague.safetensors: weights loaded; the head of 2 classes is the source's too, in its class order"]


@pytest.mark.parametrize("change", ["1000 classes", "no head"])
def test_any_other_head_stays_ours(small, logged, change):
  tensors = small_state_dict(classes=1000)
  if change == "no head":
    tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith("fc.")}
  loaded = from_state_dict(tensors, small, "imagenet")
  assert (loaded["params"]["head"]["kernel"] == -1).all() and (loaded["params"]["head"]["bias"] == -1).all()
  np.testing.assert_array_equal(loaded["params"]["bn1"]["scale"], tensors["bn1.weight"])
  assert logged == ["imagenet: weights loaded; the head of 2 classes is new, not the source's"]


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
