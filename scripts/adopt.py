"""Makes a run folder of a detector that others trained, a ResNet, for explain.py, evaluate.py, audit.py and Detector.

python scripts/adopt.py WEIGHTS [--depth 50] [--crop 224] [--resize 256] [--classes real,fake] [--workdir runs/NAME]
python scripts/adopt.py blur_jpg_prob0.5.pth --depth 50 --crop 224 --resize none       CNNDetection's

WEIGHTS is a .safetensors file, a torch file (which runs no code) or an id on the Hugging Face hub.
"""

from fakeface_jax.commands import app  # isort: split

from pathlib import Path

from fakeface_jax.commands.app import flags

WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run (default: runs/NAME_OF_THE_WEIGHTS).")
DEPTH = flags.DEFINE_integer("depth", None, "Of the ResNet: 18, 34, 50, 101 or 152 (default: that of the weights).")
CROP = flags.DEFINE_integer("crop", 224, "Side of the square that the network sees, in pixels.", lower_bound=1)
RESIZE = flags.DEFINE_string(
    "resize", None, "What the shorter side is brought to before, in pixels; none: pixels stay as they are (default: 8/7"
    " of the crop).")
CLASSES = flags.DEFINE_list(
    "classes", "real,fake", "Order of the two outputs; a single one is that of the second (default: of fake).")


def main(arguments):
  from fakeface_jax.errors import UserError
  from fakeface_jax.runs.adopted import adopt

  if len(arguments) != 1:
    raise UserError(f"expected one file or hub id of weights, got {len(arguments)}: scripts/adopt.py WEIGHTS")
  (source,) = arguments
  resize = (RESIZE.value or "usual").lower()
  if resize.isdecimal():
    resize = int(resize)
  elif resize not in ("none", "usual"):
    raise UserError(f"resize={RESIZE.value}: expected a number of pixels, or none")
  name = Path(source).stem if Path(source).suffix in (".safetensors", ".pth") else source.replace("/", "_")
  workdir = WORKDIR.value or str(Path("runs") / name)
  config, title = adopt(
      source, workdir, depth=DEPTH.value, crop=CROP.value, resize=None if resize == "none" else resize,
      classes=tuple(name.strip() for name in CLASSES.value))
  pixels = f"{config.data.crop} px"
  cut = f"{pixels} of {config.data.resize}" if config.data.resize else f"{pixels}, cut from the pixels as they are"
  outputs = "one output" if config.adopted.logits == 1 else f"outputs {config.adopted.classes}"
  print(f"{title} ({outputs}; {cut}) is a run now: {workdir}")
  return 0


if __name__ == "__main__":
  app.run(main)
