"""The configs have the default one's fields and name data sets that there are."""

import pytest

from configs import ciplab, resnet, resnet50, resnet50_140k, scratch
from fakeface_jax.data.datasets import BUILDERS
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
