"""Measures what this project says of its speed.

python scripts/bench.py explain [--out FILE.json]   explanations: FLOPs, images/s, beside captum where it is installed
python scripts/bench.py half --workdir RUN [--faces FOLDER,...]   how far bfloat16 moves its probabilities and maps
python scripts/bench.py train [--images 1024]       fine-tuning: FLOPs, whole runs, beside PyTorch where it is installed
python scripts/bench.py input                       reading and decoding beside decoding alone
python scripts/bench.py forge --faces FOLDER        detectors trained on forged fakes, on the folder's own, and on both
python scripts/bench.py backbone                    detectors fine-tuned from the bundled backbone or --pretrained and
   [--faces FOLDER,...] [--workdir FOLDER]          from random weights, also on folders of faces
python scripts/bench.py first                       the wait for the first picture, and where it goes
python scripts/bench.py many [--workdir RUN]        time and memory of folders of 100 and 1,000 photographs
python scripts/bench.py layers                      convolutions and max-pooling beside XLA's own
python scripts/bench.py compile [--platform tpu,H100] [--only forward,set] [--depth 50 --size 224 --dtype bfloat16]
                                                    what compiled calls cost on chips that need not be there
python scripts/bench.py gpu [--out DIR] [--small]   all figures of an accelerator, each kept as soon as it is there
"""

from fakeface_jax.commands import app  # isort: split

import json

from fakeface_jax.commands.app import flags

OUT = flags.DEFINE_string("out", None, "JSON file for the figures (gpu: a folder).")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a file --out that is there.")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "explain, half, many: measure this run's network. backbone: keep runs there, and go on with them.")
DEPTH = flags.DEFINE_integer("depth", 50, "Of the ResNet.")
SIZE = flags.DEFINE_integer(
    "size", 224, "Side of the images in pixels (backbone: of the photographs, 256 at most).", lower_bound=32)
BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "Images per call (explain: 8, train: 32).", lower_bound=1)
IMAGES = flags.DEFINE_integer("images", 1024, "train: number of training images.", lower_bound=8)
EPOCHS = flags.DEFINE_integer("epochs", None, "Of every run (train, backbone: 20, forge: 6).", lower_bound=1)
FACES = flags.DEFINE_list(
    "faces", [], "forge, backbone: folders with train/ and val/, each with real/ and fake/. half: of photographs.")
PRETRAINED = flags.DEFINE_string("pretrained", "bundled", "backbone: its weights, of --depth 18 unless told.")
KINDS = flags.DEFINE_list("kinds", None, "backbone: of frozen, frozen random, all, all random (default: all four).")
SEEDS = flags.DEFINE_integer("seeds", 3, "backbone: how many runs of each kind.", lower_bound=1)
SMALL = flags.DEFINE_bool("small", False, "gpu: sizes that a CPU can do, to try the command.")
PARTS = flags.DEFINE_list("parts", None, "gpu: some of them only (default: all).")
PLATFORM = flags.DEFINE_list(
    "platform", ["cpu", "tpu", "gpu"], "compile: cpu, tpu, gpu, or chips: v5e,v6e,v5e 2x2,v6e 2x2,T4,A100,L4,H100.")
ONLY = flags.DEFINE_list("only", None, "compile: some programs only, such as forward,set,cached_step (default: all).")
DTYPE = flags.DEFINE_enum("dtype", None, ["float32", "bfloat16"], "compile: of the network (default: both).")
REPEATS = flags.DEFINE_integer("repeats", 4, "Measurements in each of two turns; the median counts.", lower_bound=1)


def main(arguments):
  from fakeface_jax.devices import check_platform
  from fakeface_jax.errors import UserError
  from fakeface_jax.outputs import check_new, write_new

  if OUT.value and arguments != ["gpu"]:
    check_new(OUT.value, OVERWRITE.value)
  in_others = (["gpu"], ["forge"], ["backbone"], ["many"], ["compile"])  # processes, which need the chip
  if arguments not in in_others:
    check_platform()
  if arguments == ["explain"]:
    from fakeface_jax.benchmarks.explain import bench_explain

    text, figures = bench_explain(DEPTH.value, SIZE.value, BATCH_SIZE.value or 8, REPEATS.value, WORKDIR.value)
  elif arguments == ["half"]:
    from fakeface_jax.benchmarks.half_precision import bench_half_precision
    from fakeface_jax.workdir import last_run

    text, figures = bench_half_precision(WORKDIR.value or last_run(), FACES.value)
  elif arguments == ["train"]:
    from fakeface_jax.benchmarks.training import bench_training

    text, figures = bench_training(DEPTH.value, SIZE.value, IMAGES.value, BATCH_SIZE.value or 32, EPOCHS.value or 20)
  elif arguments == ["forge"]:
    from fakeface_jax.benchmarks.forging import bench_forging

    if len(FACES.value) != 1:
      raise UserError("say on which faces: --faces FOLDER, with train/ and val/, each with real/ and fake/")
    text, figures = bench_forging(FACES.value[0], epochs=EPOCHS.value or 6)
  elif arguments == ["backbone"]:
    from fakeface_jax.benchmarks.backbone import KINDS as BACKBONE_KINDS
    from fakeface_jax.benchmarks.backbone import bench_backbone

    depth = DEPTH.value if flags.FLAGS["depth"].present else 18
    text, figures = bench_backbone(
        PRETRAINED.value, FACES.value, epochs=EPOCHS.value or 20, seeds=SEEDS.value,
        kinds=KINDS.value or tuple(BACKBONE_KINDS), depth=depth, size=SIZE.value,
        workdir=WORKDIR.value)
  elif arguments == ["input"]:
    from fakeface_jax.benchmarks.reading import bench_input

    text, figures = bench_input(REPEATS.value)
  elif arguments == ["first"]:
    from fakeface_jax.benchmarks.first_picture import bench_first_picture

    text, figures = bench_first_picture(DEPTH.value, SIZE.value)
  elif arguments == ["many"]:
    from fakeface_jax.benchmarks.many_pictures import bench_many_pictures
    from fakeface_jax.workdir import last_run

    text, figures = bench_many_pictures(WORKDIR.value or last_run())
  elif arguments == ["layers"]:
    from fakeface_jax.benchmarks.layers import bench_layers

    text, figures = bench_layers(REPEATS.value)
  elif arguments == ["compile"]:
    from fakeface_jax.benchmarks.compile import bench_compile, chosen_networks

    depth, size = ((flag.value if flags.FLAGS[flag.name].present else None) for flag in (DEPTH, SIZE))
    figures = bench_compile(PLATFORM.value, chosen_networks(depth, size, DTYPE.value), ONLY.value)
    text = ""
  elif arguments == ["gpu"]:
    from fakeface_jax.benchmarks.gpu import bench_gpu

    print(bench_gpu(OUT.value or "bench_gpu", SMALL.value, PARTS.value))
    return
  else:
    raise UserError(
        f"cannot measure {' '.join(arguments) or 'nothing'}; say explain, half, train, input, forge, backbone,"
        " first, many, layers, compile, gpu")
  print(text)
  if OUT.value:
    write_new(OUT.value, json.dumps(figures, indent=2) + "\n", OVERWRITE.value)


if __name__ == "__main__":
  app.run(main)
