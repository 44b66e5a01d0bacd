"""How far bfloat16 moves a trained detector's probability and maps from float32's, on photographs, not on noise."""

from benchmarks.explain import bf16_deviation
from fakeface_jax.data.reading.finding import find_images
from fakeface_jax.data.reading.images import read_image
from fakeface_jax.data.schema import FAKE, REAL
from fakeface_jax.detector import load
from fakeface_jax.errors import UserError
from fakeface_jax.runs.records import first_images, split_of_run
from fakeface_jax.workdir import read_config

IMAGES = 32  # of each set


def bench_half_precision(workdir, folders=()):
  """Measures a run's detector on its test images, half of them fakes, and on photographs of each folder.

  Returns: (text, {set: {map: median over images of max |bfloat16 - float32| / max |float32|}}).
  Raises: UserError where a folder holds no image, or a file cannot be read.
  """
  detector = load(workdir, dtype="float32")
  test = split_of_run(read_config(workdir), "test")
  sets = {"its test images": [image for label in (REAL, FAKE) for image in first_images(test, IMAGES // 2, label)]}
  for folder in folders:
    sets[str(folder)] = [read_image(path) for path in spread(folder)]
  figures = {
      name: bf16_deviation(detector.model, detector.variables, detector.prepare(images).pixels)
      for name, images in sets.items()}
  lines = [f"{workdir}: bfloat16 against float32, median over images of |difference| / largest value"]
  for name, found in figures.items():
    moved = ", ".join(f"{of} {value:.2%}" for of, value in found.items())
    lines.append(f"{name} ({len(sets[name])}): {moved}")
  return "\n".join(lines), figures


def spread(folder):
  """Up to `IMAGES` image files, evenly spread over all below a folder."""
  files, problems = find_images([folder])
  if not files:
    raise UserError(f"--faces={folder}: {problems[0][1]}; name a folder of photographs")
  count = min(IMAGES, len(files))
  return [files[i * len(files) // count] for i in range(count)]
