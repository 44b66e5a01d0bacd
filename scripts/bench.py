"""Measures what this project says of its speed: python scripts/bench.py COMMAND [--out FILE.json] [its flags].

explain    explanations: FLOPs, images/s, beside captum where it is installed
first      the wait for the first picture, and where it goes
many       time and memory of folders of 100 and 1,000 photographs
page       50 people at once at the page, and 500 uploads in a row
half       how far bfloat16 moves a run's probabilities and maps
train      fine-tuning: FLOPs, whole runs, beside PyTorch where it is installed
input      reading and decoding beside decoding alone
layers     convolutions and max-pooling beside XLA's own
faces      detectors of faces on pasted scenes, and whether a face there is judged as alone
forge      detectors trained on forged fakes, and on each folder's own, tested on all
backbone   detectors fine-tuned from a backbone and from random weights
transfer   detectors trained on each of several sets, tested on all of them
recipe     what each part of configs/photographs.py brings
twice      JPEGs that were saved twice: how many are recognised, and how many others taken for such
unlike     how sure verdicts are, and which pictures a detector says it does not know
compile    what compiled calls cost on chips that need not be there
gpu        all figures of an accelerator, each kept as soon as it is there

python scripts/bench.py COMMAND --help lists the flags of one.
"""

from fakeface_jax.commands import app  # isort: split

import inspect
import json
import sys
from functools import partial
from pathlib import Path

from fakeface_jax.commands.app import flags

# What a command's function takes by name are its flags, with these types and meanings.
_count = partial(flags.DEFINE_integer, lower_bound=1)
FLAGS = {
    "out": (flags.DEFINE_string, "Where the figures go: a JSON file; those of gpu, a folder."),
    "overwrite": (flags.DEFINE_bool, "Replace files --out and --picture that are there."),
    "workdir": (flags.DEFINE_string, "Folder of a run."),
    "depth": (flags.DEFINE_integer, "Of the ResNet."),
    "size": (partial(flags.DEFINE_integer, lower_bound=32), "Side of the images in pixels."),
    "batch_size": (_count, "Images a call or a step."),
    "images": (_count, "Number of images; of forge and recipe: to train on, of each folder, at most."),
    "epochs": (_count, "Of every run (default of recipe: the config's)."),
    "faces": (flags.DEFINE_list, "Folders of faces."),
    "workdirs": (flags.DEFINE_list, "Folders of runs."),
    "pretrained": (flags.DEFINE_string, "Weights of the backbone; of recipe: of one more row, such as ImageNet's."),
    "recipe": (flags.DEFINE_string, "Config file of the runs (default: configs/resnet.py, 224 px of photographs)."),
    "picture": (flags.DEFINE_string, "Where the matrix is drawn: a PNG."),
    "rows": (flags.DEFINE_list, "Some rows of the table only, by their names (default: all)."),
    "kinds": (flags.DEFINE_list, "Of frozen, frozen random, all, all random (default: all four)."),
    "seeds": (_count, "How many runs of each kind."),
    "small": (flags.DEFINE_bool, "Sizes that a CPU can do, to try the command."),
    "parts": (flags.DEFINE_list, "Some of them only (default: all)."),
    "platform": (flags.DEFINE_list, "cpu, tpu, gpu, or chips: v5e,v6e,v5e 2x2,v6e 2x2,T4,A100,L4,H100."),
    "only": (flags.DEFINE_list, "Some programs only, such as forward,set,cached_step (default: all)."),
    "dtype": (partial(flags.DEFINE_enum, enum_values=["float32", "bfloat16"]), "Of the network (default: both)."),
    "scenes": (_count, "Scenes of each kind, with four faces each."),
    "repeats": (_count, "Measurements in each of two turns; the median counts."),
}
IN_OTHERS = ("gpu", "backbone", "many", "compile")  # processes, which need the chip


def explain(workdir=None, depth=50, size=224, batch_size=8, repeats=4):
  """Explanations: FLOPs and images/s of a network of random weights, or of the run --workdir."""
  from benchmarks.explain import bench_explain

  return bench_explain(depth, size, batch_size, repeats, workdir)


def first(depth=50, size=224):
  """The wait for the first picture, and where it goes."""
  from benchmarks.first_picture import bench_first_picture

  return bench_first_picture(depth, size)


def many(workdir=None):
  """Time and memory of folders of 100 and 1,000 photographs; --workdir: by default the last run."""
  from benchmarks.many_pictures import bench_many_pictures

  from fakeface_jax.workdir import last_run

  return bench_many_pictures(workdir or last_run())


def page(workdir=None, faces=()):
  """50 people at once at the page, each with a photograph of --faces; --workdir: by default the last run."""
  from benchmarks.page import bench_page

  from fakeface_jax.workdir import last_run

  return bench_page(workdir or last_run(), faces)


def half(workdir=None, faces=()):
  """How far bfloat16 moves a run's probabilities and maps, on its test images and on photographs of --faces."""
  from benchmarks.half_precision import bench_half_precision

  from fakeface_jax.workdir import last_run

  return bench_half_precision(workdir or last_run(), faces)


def faces(faces=(), workdir=None, scenes=10, images=40):
  """Detectors of faces on scenes pasted of --faces; --workdir: runs, by commas, that judge faces alone and there."""
  from benchmarks.faces import bench_faces

  return bench_faces(faces, workdir.split(",") if workdir else (), scenes, images)


def train(depth=50, size=224, images=1024, batch_size=32, epochs=20):
  """Fine-tuning: FLOPs, whole runs, beside PyTorch where it is installed."""
  from benchmarks.training import bench_training

  return bench_training(depth, size, images, batch_size, epochs)


def reading(repeats=4):
  """Reading and decoding beside decoding alone."""
  from benchmarks.reading import bench_input

  return bench_input(repeats)


def layers(repeats=4):
  """Convolutions and max-pooling beside XLA's own."""
  from benchmarks.layers import bench_layers

  return bench_layers(repeats)


def forge(faces=(), recipe=None, images=1200, seeds=1, workdir=None):
  """Detectors trained on forgeries of each folder's reals, and on its own fakes, scored on all --faces."""
  from benchmarks.forging import bench_forging

  return bench_forging(faces, recipe=recipe, images=images, seeds=seeds, workdir=workdir)


def backbone(pretrained="bundled", faces=(), workdir=None, depth=18, size=224, kinds=None, seeds=3, epochs=20):
  """Detectors fine-tuned from a backbone and from random weights; --workdir keeps the runs, and goes on with them.

  On drawn faces and on those of --faces, each a folder with train/ and val/; --size is that of the photographs, 256 at
  most.
  """
  from benchmarks.backbone import KINDS, bench_backbone

  return bench_backbone(
      pretrained, faces, epochs=epochs, seeds=seeds, kinds=kinds or tuple(KINDS), depth=depth, size=size,
      workdir=workdir)


def transfer(faces=(), recipe=None, seeds=3, workdir=None, picture=None):
  """Detectors trained on drawn faces and on each folder of --faces, scored on all; --workdir keeps the runs."""
  from benchmarks.transfer import bench_transfer

  return bench_transfer(faces, recipe=recipe, seeds=seeds, workdir=workdir, picture=picture)


def recipe(faces=(), rows=None, images=1200, epochs=None, pretrained=None, workdir=None):
  """What each part of configs/photographs.py brings: one thing changed at a time, on each folder of --faces."""
  from benchmarks.recipe import ROWS, bench_recipe

  return bench_recipe(
      faces, rows=ROWS if rows is None else rows, images=images, epochs=epochs, pretrained=pretrained, workdir=workdir)


def twice(faces=(), images=200):
  """JPEGs that were saved twice: how many are recognised, and how many others taken for such; of --faces."""
  from benchmarks.encoded_twice import bench_encoded_twice

  return bench_encoded_twice(faces, images)


def unlike(faces=(), workdirs=()):
  """How often the truth remains among what a verdict leaves, and the share of pictures that are said to be unlike.

  Of each run of --workdirs, on its test images, and on val/ of each folder of --faces, drawn faces and odd pictures.
  """
  from benchmarks.unlike import bench_unlike

  return bench_unlike(faces, workdirs)


def compiled(platform=("cpu", "tpu", "gpu"), only=None, depth=None, size=None, dtype=None):
  """What compiled calls cost on chips that need not be there; by default ResNet-18 at 72 px and ResNet-50 at 224 px."""
  from benchmarks.compile import bench_compile, chosen_networks

  return "", bench_compile(platform, chosen_networks(depth, size, dtype), only)


def gpu(out="bench_gpu", small=False, parts=None):
  """All figures of an accelerator, each kept as soon as it is there."""
  from benchmarks.gpu import bench_gpu

  return bench_gpu(out, small, parts), None


COMMANDS = {
    "explain": explain,
    "first": first,
    "many": many,
    "page": page,
    "half": half,
    "train": train,
    "input": reading,
    "layers": layers,
    "forge": forge,
    "backbone": backbone,
    "transfer": transfer,
    "recipe": recipe,
    "faces": faces,
    "unlike": unlike,
    "twice": twice,
    "compile": compiled,
    "gpu": gpu,
}
chosen = next((argument for argument in sys.argv[1:] if argument in COMMANDS), None)


def define_flags(command):
  """Those of a command, and of all that do not write as they go. Returns the names of its own."""
  own = {name: parameter.default for name, parameter in inspect.signature(COMMANDS[command]).parameters.items()}
  for name, default in (own if "out" in own else {"out": None, "overwrite": False, **own}).items():
    define, meaning = FLAGS[name]
    define(name, list(default) if isinstance(default, tuple) else default, help=meaning)
  return list(own)


if chosen:
  own = define_flags(chosen)
  __doc__ = f"python scripts/bench.py {chosen} [flags]: {inspect.getdoc(COMMANDS[chosen])}"


def main(arguments):
  from fakeface_jax.devices import check_platform
  from fakeface_jax.errors import UserError, did_you_mean
  from fakeface_jax.outputs import check_new, write_new

  if arguments != [chosen]:
    wrong = " ".join(arguments)
    raise UserError(
        f"cannot measure {wrong or 'nothing'}; say one of {', '.join(COMMANDS)}{did_you_mean(wrong, COMMANDS)}")
  given = {name: flags.FLAGS[name].value for name in flags.FLAGS if name in FLAGS}
  for name in own:
    if given[name] == [] and flags.FLAGS[name].present:
      raise UserError(f"--{name} names nothing; expected some, by commas, or leave it out")
  out = None if "out" in own else given["out"]
  if given.get("picture") and Path(given["picture"]).suffix.lower() != ".png":
    raise UserError(f"--picture={given['picture']}: expected a name that ends in .png")
  for path in filter(None, (out, given.get("picture"))):
    check_new(path, given["overwrite"])
  if chosen not in IN_OTHERS:
    check_platform()
  text, figures = COMMANDS[chosen](**{name: given[name] for name in own})
  print(text)
  if out:
    write_new(out, json.dumps(figures, indent=2) + "\n", given["overwrite"])


if __name__ == "__main__":
  app.run(main)
