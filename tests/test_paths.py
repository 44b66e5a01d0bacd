"""Paths in every form that people give them, and what may not be looked at."""

import os
from pathlib import Path

import pytest
from absl import flags
from ml_collections import ConfigDict

from fakeface_jax.data.builders.folder import find_faces
from fakeface_jax.data.forging.photographs import find_photographs
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.errors import UserError
from fakeface_jax.lines import one_line
from fakeface_jax.models.weight_files import weights_path
from fakeface_jax.paths import FILE, FOLDER, NOTHING, OTHER, path_kind, take_user_paths, user_path


@pytest.mark.parametrize(("given", "meant"), [
    ("~/faces", "{home}/faces"), ("~", "{home}"), ("my faces/", "my faces"), ("/", "/"), ("", ""), (".", "."),
    ("../faces//", "../faces"), ("file:///my%20faces/a", "/my faces/a"), ("file://localhost/faces", "/faces"),
    (Path("~/faces"), "{home}/faces"), (b"Mu\xf1oz", "Mu\udcf1oz"), ("a~b", "a~b"),
    ("timm/resnet50.tv", "timm/resnet50.tv")])
def test_a_path_is_what_its_author_means(given, meant, monkeypatch):
  monkeypatch.setenv("HOME", "/home/ada")
  assert user_path(given) == meant.format(home="/home/ada")


def test_no_path_can_hold_a_zero_byte():
  with pytest.raises(UserError, match="no path, it holds a zero byte"):
    user_path("a\0b")


def test_all_paths_of_a_command_line_are_taken_so(monkeypatch):
  monkeypatch.setenv("HOME", "/home/ada")
  values = flags.FlagValues()
  for name in ("workdir", "out", "set"):
    flags.DEFINE_string(name, None, "", flag_values=values)
  flags.DEFINE_list("faces", [], "", flag_values=values)
  config = ConfigDict({"pretrained": "~/w.pth", "epochs": 3, "data": {"name": "folder", "path": "~/f/", "dir": None}})
  flags.DEFINE_alias("config", "set", flag_values=values)
  monkeypatch.setattr(type(values), "config", config, raising=False)
  values(["x", "--workdir=~/run/", "--set=~", "--faces=~/a,b/"])
  assert take_user_paths(values, ["~/photo.jpg", "file:///b%20c/"]) == ["/home/ada/photo.jpg", "/b c"]
  assert (values["workdir"].value, values["out"].value, values["set"].value) == ("/home/ada/run", None, "~")
  assert values["faces"].value == ["/home/ada/a", "b"]
  assert config.to_dict() == {
      "pretrained": "/home/ada/w.pth", "epochs": 3, "data": {"name": "folder", "path": "/home/ada/f", "dir": None}}


def test_what_is_there(tmp_path):
  (tmp_path / "file").write_bytes(b"")
  os.mkfifo(tmp_path / "pipe")
  (tmp_path / "dangling").symlink_to("nowhere")
  (tmp_path / "loop").symlink_to("loop")
  kinds = {".": FOLDER, "file": FILE, "pipe": OTHER, "dangling": NOTHING, "loop": NOTHING, "file/x": NOTHING,
           "no": NOTHING, 300 * "x": NOTHING}
  assert {name: path_kind(tmp_path / name) for name in kinds} == kinds


def test_a_folder_that_may_not_be_searched_is_named_at_every_door(tmp_path, monkeypatch):
  place = tmp_path / "closed" / "faces"
  status = os.stat

  def closed(path, *arguments, **options):  # as for anybody but root, who may search everything
    if str(place) in str(path):
      raise PermissionError(13, "Permission denied", str(path))
    return status(path, *arguments, **options)

  monkeypatch.setattr(os, "stat", closed)
  for door in (find_faces, find_photographs, read_image, weights_path):
    with pytest.raises(UserError, match="faces: no permission to look there; change that of the folders it lies in"):
      door(place)
  assert find_images([place, tmp_path / "no"])[1] == [
      (place, "no permission to look there; change that of the folders it lies in (chmod +x)"),
      (tmp_path / "no", "no such file or folder")]


def test_any_name_becomes_one_line_that_can_be_printed():
  assert one_line("a\nb\tc\x7f\u2028\u202ed\udcf1\ud800") == r"a\nb\tc\x7f\u2028\u202ed\xf1\ud800"
  assert one_line("Mu\xf1oz \u05d1\u05e8 \U0001f600 '\"<>&\\") == "Mu\xf1oz \u05d1\u05e8 \U0001f600 '\"<>&\\"
  assert str(UserError("a\n\udcf1: broken")) == r"a\n\xf1: broken"
