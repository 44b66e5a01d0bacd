"""The configs have the default one's fields and name data sets that there are."""

import functools
import math
import re

import pytest
from ml_collections import ConfigDict

from configs import ciplab, photographs, pretrain, resnet, resnet50, resnet50_140k, scratch, swaps
from fakeface_jax.config_fields import FINE_TUNING, PRETRAINING, check_config
from fakeface_jax.data.datasets import BUILDERS
from fakeface_jax.errors import UserError
from fakeface_jax.models import DTYPES
from fakeface_jax.models.resnet import DEPTHS
from fakeface_jax.training.tables import HOMES
from fakeface_jax.workdir import flatten_config

ARTICLE = {"model.depth": 50, "trainable": "last_block", "epochs": 20, "data.crop": 224}


@pytest.mark.parametrize("module", [resnet50, resnet50_140k, ciplab])
def test_a_config_overrides_fields_of_the_default_one(module):
  fields, default = (flatten_config(chosen.get_config().to_dict()) for chosen in (module, resnet))
  assert set(fields) == set(default)
  assert {name: fields[name] for name in ARTICLE} == ARTICLE


def test_the_articles_experiment_is_trained_on_one_data_set_and_tested_on_another():
  data = resnet50_140k.get_config().data
  assert (data.name, data.train_size, data.test_name) == ("real_fake_140k", 40_000, "hard_fake_real")
  assert {data.name, data.test_name, ciplab.get_config().data.name} < set(BUILDERS)


def test_the_default_is_the_articles_recipe_on_the_weights_that_come_along():
  config, other = resnet.get_config(), scratch.get_config()
  assert (config.pretrained, config.trainable, config.epochs) == ("bundled", "last_block", 20)
  assert (other.pretrained, other.trainable) == ("", "all")
  assert set(flatten_config(config.to_dict())) == set(flatten_config(other.to_dict()))


OUT_OF_RANGE = {
    "seed": (-1, 2**31, 0.5, True, "0", None), "model.depth": (20, "18"), "model.dtype": ("float16", None),
    "pretrained": (None, 5), "trainable": ("", None), "data.name": ("", None), "data.path": (5,),
    "data.resize": (0, 10**9, 80.0), "data.crop": (-1, 10**6), "data.views": (-1, 10**9), "data.augment": (None,),
    "data.train_crop": (0, 10**6, "64"), "data.pairs": (1, 0, None, "yes"),
    "data.train_size": (-2, 2.5), "data.test_name": (3,), "data.test_split": ("",),
    "trunk": ("disk", None), "batch_size": (0, -8, 10**9, 32.0), "epochs": (0, -1, 10**9),
    "learning_rate": (0.0, -1.0, math.nan, math.inf, 1e9, "fast"), "ema_decay": (1.0, -0.1, math.nan, None),
    "label_smoothing": (1.0, -0.1, math.nan, None),
    "plateau.factor": (0.0, 1.0, -1.0, math.nan),
    "plateau.patience": (-1, 1.5), "early_stopping_patience": (-1, None),
    "checkpoint_minutes": (-1.0, math.nan, math.inf)}
OF_PRETRAINING = {
    "crop": (0, 10**5), "classes": (0,), "faces": (-1,), "steps_per_epoch": (0,), "val_steps": (0, None),
    "pretexts": (5,)}


@pytest.mark.parametrize(("module", "fields", "values"), [
    (resnet, FINE_TUNING, OUT_OF_RANGE), (pretrain, PRETRAINING, OF_PRETRAINING)])
def test_a_field_out_of_its_range_is_named_with_the_value_and_the_range(module, fields, values):
  for name, wrong in values.items():
    for value in wrong:
      config = ConfigDict(module.get_config().to_dict(), type_safe=False)
      *groups, last = name.split(".")
      functools.reduce(getattr, groups, config)[last] = value
      answer = f"config.{name}={value!r}: expected {fields[name].words}"
      with pytest.raises(UserError, match=f"^{re.escape(answer)}$"):
        check_config(config, fields)


def test_every_field_is_in_the_table_and_every_config_within_it():
  for module, fields in ((resnet, FINE_TUNING), (pretrain, PRETRAINING)):
    assert set(flatten_config(module.get_config().to_dict())) == set(fields)
    check_config(module.get_config(), fields)
  for module in (ciplab, photographs, resnet50, resnet50_140k, scratch, swaps):
    check_config(module.get_config(), FINE_TUNING)
  assert all(FINE_TUNING["model.depth"].holds(depth) for depth in DEPTHS)
  assert all(FINE_TUNING["model.dtype"].holds(dtype) for dtype in DTYPES)
  assert all(FINE_TUNING["trunk"].holds(home) for home in ("auto", "none", *HOMES))


def test_what_does_not_go_together_or_is_not_there_is_named():
  config = resnet.get_config()
  config.data.crop = 81
  with pytest.raises(UserError, match=r"^config\.data\.crop=81: expected at most data\.resize=80$"):
    check_config(config, FINE_TUNING)
  config = resnet.get_config()
  config.epoch = 3
  del config.data.views
  with pytest.raises(UserError, match=r"data\.views is missing: .*\.epoch: .*no such field; the nearest is epochs"):
    check_config(config, FINE_TUNING)
  config = resnet.get_config()
  config.data.resize, config.data.crop, config.batch_size = 2048, 2048, 65536
  with pytest.raises(UserError, match=r"config\.batch_size=65536: a batch of 2048 px takes 768 GiB"):
    check_config(config, FINE_TUNING)
  for module, fields, script in ((resnet, PRETRAINING, "train"), (pretrain, FINE_TUNING, "pretrain")):
    with pytest.raises(UserError, match=rf"another script's config; use scripts/{script}\.py"):
      check_config(module.get_config(), fields)
