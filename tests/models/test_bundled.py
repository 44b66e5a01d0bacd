"""The weights that come with the project, and what is said of them."""

import hashlib
import re

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from fakeface_jax.errors import UserError
from fakeface_jax.models import init_variables
from fakeface_jax.models.pretrained import load_pretrained, to_state_dict
from fakeface_jax.models.resnet import resnet
from fakeface_jax.models.weight_files import BUNDLED


@pytest.fixture(scope="module")
def random_weights():
  return init_variables(resnet(18), jax.random.key(5), 32)


def test_they_load_by_name_and_leave_the_head_alone(random_weights):
  loaded, tensors = to_state_dict(load_pretrained("bundled", random_weights)), load_file(BUNDLED)
  assert set(loaded) - set(tensors) == {"fc.weight", "fc.bias"}
  assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float16)}
  for key, tensor in tensors.items():
    np.testing.assert_array_equal(loaded[key], tensor.astype(np.float32), err_msg=key)
  np.testing.assert_array_equal(loaded["fc.weight"], np.transpose(random_weights["params"]["head"]["kernel"]))


def test_the_card_is_about_this_very_file():
  content = BUNDLED.read_bytes()
  assert len(content) < 25e6
  assert re.search(r"[0-9a-f]{64}", BUNDLED.with_name("MODEL_CARD.md").read_text()).group() == (
      hashlib.sha256(content).hexdigest())


def test_another_depth_is_told_what_to_do():
  deeper = init_variables(resnet(34), jax.random.key(0), 32)
  with pytest.raises(UserError, match=r"bundled: looks like the weights of a ResNet-18, .*set the depth to 18 or give"):
    load_pretrained("bundled", deeper)
