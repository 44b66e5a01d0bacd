"""Folders of faces for benchmarks, and what their trainings are asked for, with nothing trained."""

from pathlib import Path

from benchmarks import worlds
from PIL import Image


def faces(folder, count=4, side=32):
  """A folder with train/ and val/, `count` pictures of one colour in each of real/ and fake/."""
  for split in ("train", "val"):
    for label, level in (("real", 60), ("fake", 180)):
      place = folder / split / label
      place.mkdir(parents=True)
      for i in range(count):
        Image.new("RGB", (side, side), (level, i, 0)).save(place / f"{i}.png")
  return folder


class Trainings:
  """Stands in for `worlds.run_script`. `asked`: [{flag: value} of every training]."""

  def __init__(self, monkeypatch):
    self.asked = []
    monkeypatch.setattr(worlds, "run_script", lambda name, *flags: self.asked.append(dict(
        flag.removeprefix("--").removeprefix("config.").split("=", 1) for flag in flags)))

  @property
  def runs(self):
    """Names of the runs' folders."""
    return [Path(flags["workdir"]).name for flags in self.asked]
