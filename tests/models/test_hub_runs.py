"""Run folders on the hub: downloaded once by their id, copied to where they may be written to."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import numpy as np
import pytest
from safetensors.numpy import save_file
from seeded import state_dict
from skimage.data import astronaut

import fakeface_jax
from fakeface_jax.errors import UserError
from fakeface_jax.models.hub_runs import chosen_run
from fakeface_jax.runs.adopted import adopt
from tests.hub_server import COMMIT, serve_hub

PHOTOGRAPHS = [astronaut()[:150, 130:330]]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
  """A run folder."""
  folder = tmp_path_factory.mktemp("published")
  save_file(state_dict(18, classes=2), folder / "theirs.safetensors")
  adopt(folder / "theirs.safetensors", folder / "run", crop=32)
  return folder / "run"


@pytest.fixture
def hub(published, tmp_path, monkeypatch):
  """A local stand-in for the hub with 'me/detector' and 'me/weights'; yields its requests, in an empty folder."""
  requests = []

  def answer(_, path):
    repository, _, name = path.strip("/").partition("/resolve/main/")
    requests.append(name)
    headers = {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT}
    if repository == "me/detector" or (repository == "me/weights" and name == "weights.safetensors"):
      return 200, "", headers, (published / name).read_bytes()
    return 404, "EntryNotFound" if repository == "me/weights" else "RepoNotFound", headers, b""

  (tmp_path / "here").mkdir()
  monkeypatch.chdir(tmp_path / "here")
  with serve_hub(answer, tmp_path / "cache", monkeypatch):
    yield requests


def test_a_run_loads_by_its_id_once_from_the_hub_and_then_from_the_cache(hub, published, monkeypatch):
  expected = fakeface_jax.load(published).predict(PHOTOGRAPHS)
  np.testing.assert_array_equal(fakeface_jax.load("me/detector").predict(PHOTOGRAPHS), expected)
  assert {"config.json", "weights.safetensors"} <= set(hub)
  hub.clear()
  monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
  np.testing.assert_array_equal(fakeface_jax.load("me/detector").predict(PHOTOGRAPHS), expected)
  with pytest.raises(UserError, match=r"me/other: is neither a run folder here nor in the hub's cache, and cannot be "
                     r".*run `hf download me/other weights\.safetensors config\.json` where there is a network"):
    fakeface_jax.load("me/other")
  assert hub == []


def test_a_folder_here_goes_before_the_hub(hub, published):
  shutil.copytree(published, "me/detector")
  fakeface_jax.load("me/detector")
  assert chosen_run("me/detector") == "me/detector" and hub == []


def test_commands_work_in_a_copy_below_runs(hub, published):
  assert chosen_run("me/detector") == "runs/me_detector"
  for name in ("config.json", "weights.safetensors"):
    assert (published / name).read_bytes() == Path("runs/me_detector", name).read_bytes()
  hub.clear()
  assert chosen_run("me/detector") == "runs/me_detector" == chosen_run(None) and hub == []
  shutil.copytree(published, "runs/you_detector")
  with pytest.raises(UserError, match=r"runs/you_detector, where a copy of it would go, holds another run; rename"):
    chosen_run("you/detector")
  assert json.loads(Path("runs/me_detector/hub.json").read_text()) == {"repository": "me/detector"}


@pytest.mark.parametrize(("workdir", "message"), [
    ("me/weights", r"^me/weights: has no config\.json; download what it has and give the run folder's path"),
    ("runs/mistyped", r"^runs/mistyped: is neither a run folder here nor a repository of the hub that can be read;"),
    ("nowhere", "^nowhere is no run folder"), ("/no/where", "^/no/where is no run folder"),
    ("a/b/c", "^a/b/c is no run folder")])
def test_what_is_no_run_is_told_in_one_line(hub, workdir, message):
  with pytest.raises(UserError, match=message) as caught:
    fakeface_jax.load(workdir)
  assert "\n" not in str(caught.value)
