"""Fakes made of a folder of real faces: written as a data set that the builder `folder` reads, and a picture."""

import csv
import errno
import logging
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fakeface_jax.data.builders.base import relative
from fakeface_jax.data.forging.photographs import Photographs, find_photographs, forge_photograph, readable_photographs
from fakeface_jax.data.reading.images import decode_image
from fakeface_jax.data.reading.square import resize_and_crop, resize_and_crop_mask
from fakeface_jax.data.reading.threads import in_order
from fakeface_jax.data.schema import LABELS, SHEET
from fakeface_jax.drawing.outline import outlined
from fakeface_jax.errors import UserError
from fakeface_jax.lines import one_line
from fakeface_jax.outputs import unique_stems
from fakeface_jax.paths import user_path
from fakeface_jax.progress import Bar

log = logging.getLogger(__name__)

COLUMNS = ("file", "source", "region", "operation", "donor", "blend", "found_by")
INDEX_FILE = "index.csv"
OF_THE_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)  # what a file system says of a name that it cannot take
CELL, CAPTION, GAP = 128, 16, 6  # px, of the contact sheet
GRID = (8, 4)  # forgeries of the contact sheet: rows, columns


def forge_folder(folder, out, *, per_image=1, seed=0):
  """Forges every photograph below a folder.

  Writes <out>/<split>/{real,fake,mask}/, splits as in `data.forging.photographs`: the photographs encoded again, the
  fakes encoded the same way, and masks (255 changed, 0 not); then `INDEX_FILE` with a line for each fake (blend is the
  Gaussian sigma of its edge in pixels) and `SHEET`.

  Args:
    out: a folder that is empty or not there.
    per_image: fakes of each photograph.
    seed: another one makes other fakes.
  Returns: (a line that says how many there are and how fast they were made, [(path, why not)] of photographs that
    cannot be read).
  Raises: UserError where nothing can be read, or something cannot be written.
  """
  root, out = Path(user_path(folder)), Path(user_path(out))
  if out.exists() and (not out.is_dir() or any(out.iterdir())):
    raise UserError(f"{out}: is there and not an empty folder; choose another one, or remove it")
  faces, unread, beside, _ = find_photographs(root)
  for name, reason in beside:
    log.warning("%s: %s", one_line(root / name), reason)
  splits, unreadable = readable_photographs(root, faces)
  splits = {split: Photographs(paths) for split, paths in splits.items()}
  next(iter(splits.values()))[0]  # loads what finds faces, so that the clock does not see it
  tasks = [(photographs, index, out / split, stem) for split, photographs in splits.items()
           for index, stem in enumerate(unique_stems(photographs.paths))]
  make = lambda task: (task, forge_photograph(*task[:2], seed=seed, per_image=per_image))
  shown = set(np.linspace(0, len(tasks) * per_image - 1, GRID[0] * GRID[1]).astype(int).tolist())
  cells, done, start = [], 0, (time.process_time(), time.perf_counter())
  try:
    for split in splits:
      for name in (*LABELS, "mask"):
        (out / split / name).mkdir(parents=True)
    with open(out / INDEX_FILE, "w", newline="", encoding="utf-8", errors="backslashreplace") as file, Bar(
        "forging", len(tasks)) as bar:
      index = csv.writer(file)
      index.writerow(COLUMNS)
      for task, (genuine, forged) in in_order(make, tasks):
        try:
          index.writerows(_write(task, genuine, forged, root, out))
        except OSError as error:
          if error.errno not in OF_THE_NAME:
            raise
          unreadable.append([relative(task[0].paths[task[1]], root), f"its name cannot be written: {error.strerror}"])
          continue
        file.flush()  # what is there is listed, whatever happens to the rest
        cells += [(genuine, fake) for number, fake in enumerate(forged, done) if number in shown]
        done += per_image
        bar.update()
    if not done:
      raise UserError(f"{out}: no name of the {len(tasks)} photographs can be written there: {unreadable[-1][1]}")
    cpu, wall = time.process_time() - start[0], time.perf_counter() - start[1]
    draw_forgeries(cells).save(out / SHEET)
  except (OSError, KeyboardInterrupt) as error:
    reason = f"cannot be written: {error.strerror or error}" if isinstance(error, OSError) else "is not finished"
    there = f"; {done} fakes are there and listed in {INDEX_FILE}, remove the folder to begin again" if done else ""
    raise UserError(f"{out} {reason}{there}") from error
  account = (
      f"{done:,} fakes of {len(tasks):,} photographs, {done / wall:,.0f} fakes/s; a core that does nothing else makes"
      f" {done / cpu:,.0f}/s, reading and writing included")
  return account, [tuple(pair) for pair in sorted([*unread, *unreadable])]


def _write(task, genuine, forged, root, out):
  """Writes a photograph's files; returns the lines of the index."""
  photographs, i, folder, stem = task
  (folder / "real" / f"{stem}.jpg").write_bytes(genuine)
  lines = []
  for number, (made, jpeg, donor) in enumerate(forged):
    name = f"{stem}-{number + 1}" if len(forged) > 1 else stem
    file = folder / "fake" / f"{name}.jpg"
    file.write_bytes(jpeg)
    Image.fromarray(made.mask).save(folder / "mask" / f"{name}.png")
    lines.append((relative(file, out), relative(photographs.paths[i], root), made.region, made.operation,
                  relative(donor, root) if donor else "", f"{made.edge:.2f}", made.found_by))
  return lines


def draw_forgeries(cells):
  """A contact sheet: each photograph, its fake, and the fake with the mask outlined.

  Args: `cells`: (the photograph's JPEG bytes, what `forge_photograph` says of a forgery) of each.
  Returns: a PIL image, RGB.
  """
  columns = min(GRID[1], len(cells))
  width, height = 3 * CELL + GAP, CELL + CAPTION + GAP
  sheet = Image.new("RGB", (columns * width, -(-len(cells) // columns) * height), (255, 255, 255))
  draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
  for number, (genuine, (made, fake, _)) in enumerate(cells):
    x, y = number % columns * width, number // columns * height
    before, after = (resize_and_crop(decode_image(jpeg, "a forgery"), CELL, CELL) for jpeg in (genuine, fake))
    rimmed = outlined(after, resize_and_crop_mask(made.mask, CELL, CELL))
    for place, picture in enumerate((before, after, rimmed)):
      sheet.paste(Image.fromarray(picture), (x + place * CELL, y + CAPTION))
    title = f"{made.region}: {made.operation}, edge {made.edge:.1f} px, {made.found_by}"
    draw.text((x + 2, y), title, (20, 20, 20), font)
  return sheet
