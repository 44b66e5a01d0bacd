import errno
import json
import math
import os
import shutil
import time
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import scratch
from fakeface_jax import locks
from fakeface_jax.errors import UserError
from fakeface_jax.workdir import (
  RUN_FILES,
  claim_workdir,
  free_space,
  held,
  last_run,
  read_config,
  whole_file,
  write_output,
  write_whole,
)


def config(**fields):
  found = scratch.get_config()
  found.data.name = "folder"
  return ConfigDict({**found.to_dict(), **fields})


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
  with pytest.raises(UserError, match=f"workdir=.* holds {name}, which this command did not write and would replace"):
    claim_workdir(tmp_path, config())
  assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == '{"model": "my own"}'


def test_other_files_of_the_user_do_not_matter(tmp_path):
  (tmp_path / "notes.txt").write_text("mine")
  claim_workdir(tmp_path, config())
  assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[1]", b"null", b"3", b"\xff\xfe"])
def test_a_damaged_config_file_is_written_anew_or_where_a_run_depends_on_it_named(tmp_path, content):
  claim_workdir(tmp_path, config())
  (tmp_path / "config.json").write_bytes(content)
  with pytest.raises(UserError, match=r"config\.json is damaged \("):
    read_config(tmp_path)
  claim_workdir(tmp_path, config())
  assert read_config(tmp_path).seed == 0
  (tmp_path / "checkpoints" / "4").mkdir(parents=True)
  (tmp_path / "config.json").write_bytes(content)
  with pytest.raises(UserError, match=r"config\.json is damaged \(.*put it back, or choose another folder"):
    claim_workdir(tmp_path, config())


@pytest.mark.parametrize(("change", "answer"), [
    (lambda fields: fields.pop("data"), "data.name is missing: expected some text"),
    (lambda fields: fields.update(data="folder"), "data.name is missing"),
    (lambda fields: fields["data"].update(crop="72"), "data.crop='72': expected a whole number from 8 to 2,048"),
    (lambda fields: fields["model"].update(depth=[18]), r"model.depth=\[18\]: expected 18, 34"),
    (lambda fields: fields.update(batch_size=None), "batch_size=None: expected a whole number"),
])
def test_a_config_file_of_another_shape_is_named_with_the_field(tmp_path, change, answer):
  claim_workdir(tmp_path, config())
  fields = json.loads((tmp_path / "config.json").read_text())
  change(fields)
  (tmp_path / "config.json").write_text(json.dumps(fields))
  with pytest.raises(UserError, match=rf"config\.json is damaged: {answer}.*; put the file back"):
    read_config(tmp_path)


def test_a_folder_is_one_processs_at_a_time_and_names_it(tmp_path):
  with (
      held(tmp_path / "run"),
      pytest.raises(UserError, match=rf"workdir=\S*run is being worked in by process {os.getpid()} on \S+; wait"),
      held(tmp_path / "run")):
    pass
  with held(tmp_path / "run"):
    pass  # the lock has gone with who held it
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match=r"file/run cannot be used: .*; choose a folder"), held(tmp_path / "file" / "run"):
    pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.EINVAL, errno.EIO])
def test_where_files_cannot_be_locked_one_is_told_and_the_work_goes_on(tmp_path, monkeypatch, caplog, number):
  def refuse(*_):
    raise OSError(number, os.strerror(number))

  monkeypatch.setattr(locks.fcntl, "flock", refuse)
  with held(tmp_path / "run"):
    assert (tmp_path / "run" / ".lock").exists()
  (said,) = caplog.messages
  assert said == (
      f"{tmp_path}/run: files cannot be locked here ({os.strerror(number)}); start nothing else there meanwhile.")
  assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.timeout(20)
def test_a_file_system_that_numbers_a_file_anew_whenever_asked_ends_nobodys_patience(tmp_path, monkeypatch):
  monkeypatch.setattr(os.path, "samestat", lambda one, other: False)
  with held(tmp_path / "run"):
    assert (tmp_path / "run" / ".lock").exists()


def test_free_space_that_a_file_system_does_not_tell_is_no_full_disk(tmp_path, monkeypatch):
  assert 0 < free_space(tmp_path) < math.inf
  monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=0, free=0))
  assert free_space(tmp_path) == math.inf

  def refuse(path):
    raise OSError(errno.ENOSYS, "Function not implemented")

  monkeypatch.setattr(shutil, "disk_usage", refuse)
  assert free_space(tmp_path) == math.inf


def test_whole_files_replace_the_old_one_at_the_end_or_not_at_all(tmp_path):
  path = tmp_path / "a.npz"
  write_whole(path, b"old")
  with path.open("rb") as reader:
    with pytest.raises(OSError, match="No space"), whole_file(path) as partial:
      partial.write_bytes(b"half")
      raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_bytes() == b"old" and [path] == list(tmp_path.iterdir())
    with whole_file(path) as partial:
      np.savez(partial, x=np.arange(3))  # a name that NumPy does not add a suffix to
      assert path.read_bytes() == b"old"
    assert reader.read() == b"old" and np.load(path)["x"].tolist() == [0, 1, 2] and [path] == list(tmp_path.iterdir())
  with pytest.raises(KeyboardInterrupt), whole_file(path):
    raise KeyboardInterrupt
  write_whole(tmp_path / ("n" * 250 + ".json"), "{}")  # as long a name as there can be


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
