"""Folders of faces for benchmarks, and what their trainings are asked for, with nothing trained."""


from benchmarks import worlds
from PIL import Image

from fakeface_jax.config_fields import FINE_TUNING, check_config, flatten_config


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
  """Stands in for `worlds.fine_tune`. `asked`: [{field: value} of every training]; `runs`: names of its folders."""

  def __init__(self, monkeypatch):
    self.asked, self.runs = [], []
    monkeypatch.setattr(worlds, "fine_tune", self._train)

  def _train(self, config, run):
    check_config(config, FINE_TUNING)
    self.asked.append(flatten_config(config.to_dict()))
    self.runs.append(run.name)
