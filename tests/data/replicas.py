"""Small replicas of published data sets: their folders, names and tables, with drawn images of 96 px."""

import csv

import numpy as np
from PIL import Image

SIZE = 96


def picture(seed):
  """A picture of soft blotches, uint8[SIZE, SIZE, 3]: another seed's looks quite different."""
  blotches = np.random.default_rng(seed).integers(0, 256, (14, 14, 3), np.uint8)
  return np.asarray(Image.fromarray(blotches).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def save(path, pixels):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels).save(path, quality=92)
  return path


def write_table(path, header, rows, *, encoding="utf-8", newline="\n"):
  with open(path, "w", newline="", encoding=encoding) as file:
    csv.writer(file, lineterminator=newline).writerows([header, *rows])
  return path


def table_140k(split, names):
  """(header, rows) as published: an unnamed first column, a path on its author's machine, and real = 1."""
  rows = []
  for number, name in enumerate(names):
    kind, stem = name.split("/")
    rows.append([number, f"/input/dataset/{kind}/{stem}.jpg", stem, int(kind == "real"), kind,
                 f"{split}/{kind}/{stem}.jpg"])
  return ["", "original_path", "id", "label", "label_str", "path"], rows


def write_140k(folder, counts=(("train", 6), ("valid", 2), ("test", 2))):
  """That many images of each class and split; a real has a number for its name, a fake ten letters."""
  for number, (split, count) in enumerate(counts):
    names = [f"real/{31000 + i:05}" for i in range(count)] + [f"fake/{'ABCDEFGHI' + chr(65 + i)}" for i in range(count)]
    for i, name in enumerate(names):
      save(folder / "real_vs_fake" / "real-vs-fake" / split / f"{name}.jpg", picture([number, i]))
    write_table(folder / f"{split}.csv", *table_140k(split, names))
  return folder


def write_hard(folder, fakes=4, reals=3):
  """The table has ids with and without .jpg, Windows line ends and a byte-order mark."""
  names = [("fake", f"fake_{i}") for i in range(fakes)] + [("real", f"real_{i}") for i in range(reals)]
  for number, (kind, stem) in enumerate(names):
    save(folder / kind / f"{stem}.jpg", picture([9, number]))
  rows = [[stem + ".jpg" * (i % 2), kind] for i, (kind, stem) in enumerate(names)]
  write_table(folder / "data.csv", ["images_id", "label"], rows, encoding="utf-8-sig", newline="\r\n")
  return folder


def write_ciplab(folder, people=24):
  """Of a person a photograph and two retouched ones, but of every third no photograph, and of every fifth no fake."""
  bits = ("1000", "0100", "0010", "0001", "1100", "1111")
  for person in range(people):
    photograph = picture([7, person])
    if person % 3:
      save(folder / "real_and_fake_face" / "training_real" / f"real_{person:05}.jpg", photograph)
    for i, level in enumerate(("easy", "hard") if person % 5 else ()):
      retouched = photograph.copy()
      retouched[30 + 20 * i:54 + 20 * i, 36:64] = picture([8, person])[:24, :28]
      save(folder / "real_and_fake_face" / "training_fake" / f"{level}_{person}_{bits[person % 6]}.jpg", retouched)
  return folder
