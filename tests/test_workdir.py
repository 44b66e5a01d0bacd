import json
import os
import time

import pytest
from ml_collections import ConfigDict

from fakeface_jax.errors import UserError
from fakeface_jax.workdir import RUN_FILES, claim_workdir, last_run, read_config, write_output


def config(**fields):
  return ConfigDict({"seed": 0, "data": {"name": "folder"}, **fields})


def test_a_folder_belongs_to_the_config_that_began_in_it(tmp_path):
  claim_workdir(tmp_path / "run", config())
  claim_workdir(tmp_path / "run", config())
  assert read_config(tmp_path / "run").data.name == "folder"
  (tmp_path / "run" / "checkpoints" / "4").mkdir(parents=True)
  with pytest.raises(UserError, match=r"another config: rate \(there None, now 1\), seed \(there 0, now 3\); choose"):
    claim_workdir(tmp_path / "run", config(seed=3, rate=1))
  assert read_config(tmp_path / "run").seed == 0


def test_a_run_that_never_got_to_a_checkpoint_gives_way(tmp_path):
  claim_workdir(tmp_path, config())
  claim_workdir(tmp_path, config(seed=3))
  assert read_config(tmp_path).seed == 3


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_folder_with_files_of_the_user_that_a_run_would_replace_is_left_alone(tmp_path, name):
  (tmp_path / name).write_text('{"model": "my own"}')
  with pytest.raises(UserError, match=f"--workdir .* holds {name}, which this command did not write and would replace"):
    claim_workdir(tmp_path, config())
  assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == '{"model": "my own"}'


def test_other_files_of_the_user_do_not_matter(tmp_path):
  (tmp_path / "notes.txt").write_text("mine")
  claim_workdir(tmp_path, config())
  assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_broken_config_file_is_named(tmp_path):
  (tmp_path / "config.json").write_text("{")
  with pytest.raises(UserError, match=r"config\.json is not readable as JSON"):
    claim_workdir(tmp_path, config())


def test_the_last_run_is_the_one_worked_on_last(tmp_path):
  with pytest.raises(UserError, match="there is no trained run below"):
    last_run(tmp_path)
  for name in ("a", "b", "c"):
    claim_workdir(tmp_path / name, config())
    (tmp_path / name / "checkpoints" / "4").mkdir(parents=True)
  claim_workdir(tmp_path / "barely_begun", config())
  (tmp_path / "barely_begun" / "checkpoints" / "4.orbax-checkpoint-tmp").mkdir(parents=True)
  now = time.time()
  for name, age in (("a", 30), ("b", 10), ("c", 20)):
    for file in ("config.json", "checkpoints"):
      os.utime(tmp_path / name / file, (now - age, now - age))
  assert last_run(tmp_path) == str(tmp_path / "b")


def test_a_backbone_is_no_detector(tmp_path):
  for name, fields in (("detector", {"path": "/my/pretexts"}), ("backbone", {"pretexts": "face"})):
    claim_workdir(tmp_path / name, config(**fields))
    (tmp_path / name / "checkpoints" / "4").mkdir(parents=True)
    time.sleep(0.01)
  assert last_run(tmp_path) == str(tmp_path / "detector")  # the backbone is newer
  with pytest.raises(UserError, match=r"^\S*backbone holds a pretrained backbone, no detector; .*weights\.safetensors"):
    read_config(tmp_path / "backbone")


def test_output_goes_where_it_was_asked_for_or_the_file_is_named(tmp_path):
  write_output(tmp_path / "new" / "scores.json", "{}")
  assert json.loads((tmp_path / "new" / "scores.json").read_text()) == {}
  with pytest.raises(UserError, match=r"scores\.json/x\.json cannot be written"):
    write_output(tmp_path / "new" / "scores.json" / "x.json", "{}")
