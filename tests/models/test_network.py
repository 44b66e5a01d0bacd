"""A network of another kind than a ResNet goes through the same code: training, explanations, sanity check, audit."""

import dataclasses
import json
import shutil
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image

from configs import pretrain as pretraining
from fakeface_jax import models
from fakeface_jax.audit import cases as audited_cases
from fakeface_jax.audit import run as audits
from fakeface_jax.commands.explain import explain_items
from fakeface_jax.commands.items import items_of_files
from fakeface_jax.commands.train import report_run
from fakeface_jax.config_fields import FINE_TUNING, check_config
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.detector import load
from fakeface_jax.errors import UserError
from fakeface_jax.explain.methods import METHODS, resolve_methods
from fakeface_jax.models.network import Network, normalize
from fakeface_jax.models.pretrained import load_pretrained
from fakeface_jax.models.resnet import resnet
from fakeface_jax.pretraining.backbone import first_state
from fakeface_jax.pretraining.pretexts import Heads
from fakeface_jax.training.fine_tuning import train
from fakeface_jax.training.optimizer import first_trained_cut, make_optimizer, trainable_mask
from fakeface_jax.training.trunk import Trunk
from tests.conftest import SIZE, write_faces
from tests.models.tiny_network import TinyNetwork, tiny_network

QUICK = {name: {} for name in METHODS if name != "shap"} | {
    "scorecam": {"channels": 5}, "smoothgrad": {"samples": 3}, "integrated_gradients": {"steps": 3},
    "occlusion": {"window": 16}, "expected_gradients": {"samples": 3}, "rise": {"masks": 9},
    "lime": {"samples": 9, "segments": 4}}


@pytest.fixture(scope="module", autouse=True)
def _registered():
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(models.NETWORKS, "tiny", tiny_network)
    yield


@pytest.fixture(scope="module")
def tiny_config(config):
  config = config.copy_and_resolve_references()
  config.model.name, config.model.depth, config.learning_rate, config.epochs = "tiny", 3, 1e-2, 4
  return config


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory):
  """A run folder in which all of it was trained, and its scores."""
  workdir = tmp_path_factory.mktemp("tiny") / "run"
  scores, _ = train(tiny_config, str(workdir))
  report_run(workdir)
  return workdir, scores


class Grouped(Network):
  """Its parts are groups of layers, with BatchNorm and a ReLU as a module would have them."""

  parts = ("low", "high", "head")
  stages = (("low", "high"),)

  @nn.compact
  def __call__(self, x, *, train=False, start=None, stop=None):
    for part in self.stretch(start, stop):
      if part == "head":
        x = nn.Dense(self.num_classes, name="head")(x.mean(axis=(1, 2)))
      else:
        for i in range(2):
          x = nn.Conv(4, (3, 3), name=f"{part}_conv_{i}")(x)
          x = self.act(nn.BatchNorm(not train, axis_name=self.axis_name, name=f"{part}_norm_{i}")(x))
    return x


def test_names_and_shapes_follow_from_the_parts_and_the_call():
  model = Grouped()
  layers = [f"{part}_{kind}_{i}" for part in ("low", "high") for i in range(2) for kind in ("conv", "norm")]
  assert list(model.layers) == layers and list(model.convolutions) == layers[::2] == list(model.blocks)
  traced = jax.eval_shape(lambda key: model.init(key, jnp.zeros((1, 32, 32, 3))), jax.random.key(0))
  assert model.shapes == traced
  cuts = {path[0]: model.cut_of(path) for path in flatten_dict(traced["params"])}
  assert cuts == {**{layer: layer.partition("_")[0] for layer in layers}, "head": "head"}
  chosen = resolve_methods(model, ["gradcam", "feature_maps"], ["high.conv.1", "low_norm_0"])
  assert chosen["gradcam"]["layers"] == ("high_conv_1", "low_norm_0")  # any module that has a map
  mask = trainable_mask(model, traced["params"], "last_block")
  assert {name for name, trains in mask.items() if any(trains.values())} == {*layers[4:], "head"}
  assert first_trained_cut(model, trainable_mask(model, traced["params"], "low_norm_1/*")) == "low"
  kept = Trunk(model, "high", traced, SIZE).variables
  assert all(set(tree) <= set(layers[:4]) and "low_norm_0" in tree for tree in kept.values())


@pytest.mark.parametrize("model", [resnet(18), resnet(50), TinyNetwork(), Grouped()], ids=lambda model: model.title)
def test_what_a_network_says_of_its_cuts_is_what_tracing_finds(model):
  images = jnp.zeros((1, 64, 64, 3))
  for cut in (model.cuts[1], model.cuts[-2], model.cuts[-1]):
    found = jax.eval_shape(lambda cut=cut: model.init(jax.random.key(0), images, stop=cut))
    for collection, tree in model.shapes.items():
      before = {path for path in flatten_dict(tree) if model.before(cut, path)}
      assert before == set(flatten_dict(found.get(collection, {})))


def test_what_is_no_network_is_told_what_it_lacks():
  class Nothing(Network):
    parts = ("head",)

  with pytest.raises(TypeError, match=r"abstract method '?__call__"):
    Nothing()
  with pytest.raises(UserError, match="no part 'stem' to cut at; there are: early, middle, late, head"):
    TinyNetwork().stretch("stem", None)


def test_it_trains_as_a_whole(run):
  workdir, scores = run
  assert scores["f1_macro"] > 0.9
  assert (workdir / "weights.safetensors").exists() and (workdir / "examples.png").exists()
  assert json.loads((workdir / "config.json").read_text())["model"]["name"] == "tiny"


@pytest.mark.parametrize("trunk", ["file", "none"])
def test_its_last_block_trains_on_features_and_on_images(run, tiny_config, tmp_path, trunk):
  config = tiny_config.copy_and_resolve_references()
  config.pretrained, config.trainable = str(run[0] / "weights.safetensors"), "last_block"
  config.trunk, config.data.views, config.epochs = trunk, 2, 1
  train(config, str(tmp_path / "run"))
  assert (tmp_path / "run" / "trunk").exists() == (trunk == "file")
  before, after = load(run[0]).variables["params"], load(tmp_path / "run").variables["params"]
  for name in TinyNetwork.parts:
    same = np.array_equal(before[name]["kernel"], after[name]["kernel"])
    assert same == (name in ("early", "middle")), name


def test_every_method_explains_it(run, faces_folder, tmp_path):
  detector = load(run[0], batch_size=4)
  items = items_of_files([str(next((faces_folder / "test" / "fake").iterdir()))])
  assert explain_items(detector, items, tmp_path, methods=QUICK) == []
  (line,) = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
  assert line["verdict"] == "cannot tell" and "checked on only 8 real and 8 fake validation images" in line["why"]
  assert line["probability"] > 0.5 and read_image(tmp_path / line["panel"]).shape[1] > 500
  maps = np.load(tmp_path / line["maps"])
  image = normalize(jnp.asarray(maps["image"][None]))
  features = detector.model.apply(detector.variables, image, stop="late")
  score = lambda x: detector.model.apply(detector.variables, x, start="head")[0, 1]
  kernel, bias = (detector.variables["params"]["late"][name] for name in ("kernel", "bias"))
  late = jax.lax.conv_general_dilated(
      features, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + bias
  gradients = jax.grad(lambda late: score(jax.nn.relu(late).mean(axis=(1, 2))))(late)
  expected = jax.nn.relu((late * gradients.mean(axis=(1, 2), keepdims=True)).sum(-1))[0]
  np.testing.assert_allclose(maps["gradcam/late"], expected, rtol=1e-4, atol=1e-5)
  assert {f"{name}/{layer}" for name in ("gradcam", "gradcam_plus_plus", "hirescam", "layercam", "eigencam")
          for layer in ("early", "middle", "late")} < set(maps)


def test_the_sanity_check_draws_it_anew_part_by_part(run, faces_folder):
  detector = load(run[0], batch_size=4)
  images = [read_image(path) for path in sorted((faces_folder / "test" / "fake").iterdir())[:2]]
  result = detector.sanity(images, methods=["gradcam", "gradient"])
  assert result["steps"] == ["head", "late", "middle", "early"]
  for found in result["methods"].values():
    assert found["same_when_random"] == pytest.approx(np.mean(found["rank_correlation"][1:]))
    assert found["rank_correlation"][0] != found["rank_correlation"][-1]


def test_it_is_audited(run, tmp_path, monkeypatch):
  jpeg = dataclasses.replace(audits.CORRUPTIONS["jpeg"], levels=(95,))
  monkeypatch.setattr(audits, "CORRUPTIONS", {"jpeg": jpeg})
  monkeypatch.setattr(audited_cases, "EACH", 1)
  faces = write_faces(tmp_path / "faces", {"all": 8}, seed=5) / "all"
  (faces / "mask").mkdir()
  for path in (faces / "fake").iterdir():
    bright = np.asarray(Image.open(path).convert("L")) > 200
    Image.fromarray(np.uint8(255 * bright)).save(faces / "mask" / path.name)
  audit, out, _ = audits.audit_run(
      run[0], data=str(faces), out=str(tmp_path / "audit"), methods={"gradcam": {}, "guided_backprop": {}},
      batch_size=8)
  assert audit["about"]["network"] == f"TinyNetwork, {SIZE} px"
  assert not any("reason" in audit[part] for part in ("detection", "localization", "faithfulness", "robustness"))
  assert {row["layer"] for row in audit["localization"]["maps"]} == {"early", "middle", "late", None}
  page = Path(out, "report.html").read_text()
  assert page.index(">early<") < page.index(">middle<") < page.index(">late<")


def test_a_backbone_of_its_kind_begins_with_a_first_layer_half_of_which_sees_no_smooth_picture():
  config, model = pretraining.get_config(), TinyNetwork()
  config.crop = SIZE
  state = first_state(config, model, Heads(config.classes, 5), make_optimizer(1e-3), ("formula",))
  sums = np.abs(np.asarray(state.params["network"]["early"]["kernel"]).sum(axis=(0, 1)))  # [colours, features]
  assert sums[:, ::2].max() < 1e-6 < 1e-3 < sums[:, 1::2].max()


def test_its_weights_are_taken_up_by_another_of_its_kind(run):
  fresh = models.init_variables(TinyNetwork(num_classes=3), jax.random.key(0), SIZE)
  loaded = load_pretrained(str(run[0] / "weights.safetensors"), fresh)
  trained = load(run[0]).variables["params"]
  np.testing.assert_array_equal(loaded["params"]["late"]["kernel"], trained["late"]["kernel"])
  np.testing.assert_array_equal(loaded["params"]["head"]["kernel"], fresh["params"]["head"]["kernel"])


def test_a_config_says_which_network_and_older_ones_mean_a_resnet(tiny_config, config):
  assert isinstance(models.make_model(tiny_config.model), TinyNetwork)
  check_config(tiny_config, FINE_TUNING)  # depths are the network's business
  older = config.copy_and_resolve_references()
  del older.model.name
  check_config(older, FINE_TUNING)
  assert models.make_model(older.model).title == "ResNet-18"
  unknown = config.copy_and_resolve_references()
  unknown.model.name = "tinny"
  with pytest.raises(UserError, match=r"config.model.name='tinny' is not known; .*did you mean 'tiny'"):
    models.make_model(unknown.model)


def test_an_older_run_goes_on_with_a_config_that_names_its_network(finished, config, tmp_path):
  workdir = shutil.copytree(finished[0], tmp_path / "run")
  saved = json.loads((workdir / "config.json").read_text())
  del saved["model"]["name"]
  (workdir / "config.json").write_text(json.dumps(saved))
  assert train(config, str(workdir))[0]["f1_macro"] == finished[1]["f1_macro"]
  assert load(workdir).model.title == "ResNet-18"


def test_a_resnets_weights_are_refused():
  fresh = models.init_variables(TinyNetwork(), jax.random.key(0), SIZE)
  with pytest.raises(UserError, match="bundled: holds no network like the one that is to train"):
    load_pretrained("bundled", fresh)
