"""What the READMEs tell people to type does what it says: every command and snippet runs here, at small size."""

import contextlib
import itertools
import re
import runpy
import shlex
import shutil
from functools import partial

import pytest
from absl import flags
from PIL import Image
from skimage.data import astronaut

from configs import pretrain, resnet
from fakeface_jax.audit import cases as audited_cases
from fakeface_jax.audit import maps as audited_maps
from fakeface_jax.audit import run as audit
from fakeface_jax.commands import app
from fakeface_jax.commands import train as run
from fakeface_jax.data import datasets
from fakeface_jax.runs import map_scale
from fakeface_jax.workdir import flatten_config
from tests.conftest import ROOT, write_faces
from tests.data.builders.test_hub import write
from tests.data.replicas import write_140k, write_ciplab, write_hard
from tests.data.test_splits import write_pairs

PAGES = ("README.md", *(f"{room}/README.md" for room in (
    "configs", "fakeface_jax/data", "fakeface_jax/explain", "fakeface_jax/training", "fakeface_jax/audit")),
         "fakeface_jax/models/bundled/MODEL_CARD.md")
README = "\n".join((ROOT / page).read_text() for page in PAGES)
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)


OTHER_PROGRAMS = ("pip", "git", "cd", "pytest")  # what is typed beside our own scripts
ONLY_PARSED = {  # how a command begins: why it does not run here, where its flags are read all the same
    "bench.py": "measures for minutes; tests/scripts/benchmarks runs its parts",
    "scripts/pretrain.py": "compiles for minutes; tests/pretraining/test_backbone.py runs it",
    "page.py": "serves until it is stopped; tests/page opens it",
    "collect.py": "asks other people's servers; tests/data/collect runs it against a server of its own",
}
PLACES = {
    "/my/real/faces": "reals", "/my/faces": "faces", "NAME_OR_FOLDER": "few", " DIR": " results",
    "OWNER/NAME": "parquets"}
SMALL = ("--config.model.depth=18", "--config.data.resize=40", "--config.data.crop=32", "--config.data.dir=records",
         "--config.epochs=1", "--config.batch_size=16", "--workdir=trained")
FOLDER = ("--config.data.name=folder", "--config.data.path=faces")
INSTEAD = {  # what a command names: what it is given beside, of data and weights that are not here
    "configs/resnet.py": FOLDER, "configs/resnet50.py": ("--config.pretrained=bundled",),
    "configs/resnet50_140k.py": (
        "--config.pretrained=bundled", "--config.data.path=140k", "--config.data.test_path=hard",
        "--config.data.train_size=8"),
    "configs/photographs.py": ("--config.data.train_crop=24",), "configs/swaps.py": ("--config.data.path=pairs",),
    "configs/ciplab.py": ("--config.pretrained=bundled", "--config.data.path=ciplab"), "runs/pretrain": FOLDER,
    "data.train_split": ("--config.data.path=unsplit",),
    "hard_fake_real": ("--data=hard",), "audit.py": ("--methods=gradcam",),
    "--methods all": tuple(f"--set={setting}" for setting in (
        "smoothgrad.samples=2", "integrated_gradients.steps=2", "occlusion.window=16", "occlusion.stride=16",
        "scorecam.channels=2", "expected_gradients.samples=2", "rise.masks=2", "lime.samples=2"))}


def commands_of(text):
  """The commands of lines as they are typed: continued lines joined, options in brackets taken, && and ! gone."""
  lines = re.sub(r"\\\n\s*", " ", text).splitlines()
  lines = [_with_options(line.partition("  #")[0]) for line in lines]
  commands = [command.strip().lstrip("!%") for line in lines for command in line.split("&&")]
  return [command for command in commands if command]


def _with_options(command):
  """A command with all that it may be given: what stands in brackets."""
  return re.sub(r" \[(-[^]]*)\]", r" \1", command)


COMMANDS = list(dict.fromkeys(itertools.chain(*(commands_of(text) for language, text in BLOCKS if not language))))
OURS = [command for command in COMMANDS if command.startswith("python ")]
MENTIONED = [_with_options(" ".join(command.split())) for command in re.findall(r"`(python scripts/[^`]*)`", PROSE)]
SNIPPETS = [text for language, text in BLOCKS if language == "python"]


@contextlib.contextmanager
def parsed(command):
  """(script's module, its positional arguments), with its flags as the command gives them."""
  python, script, *arguments = shlex.split(command)
  assert python == "python" and (ROOT / script).is_file(), command
  before, was_parsed = set(flags.FLAGS), flags.FLAGS.is_parsed()
  try:
    arguments = [f"{name}={ROOT / value}" if name == "--config" else argument for argument in _joined(arguments)
                 for name, _, value in [argument.partition("=")]]
    with pytest.MonkeyPatch.context() as patch:  # where bench.py looks for its command, ml_collections for fields
      patch.setattr("sys.argv", [script, *arguments])
      module = runpy.run_path(str(ROOT / script))
      positional = app._parse("pretrain.py" if "scripts/pretrain.py" in script else "resnet.py", [script, *arguments])
    yield module, positional[1:]
  finally:
    for name in set(flags.FLAGS) - before:
      delattr(flags.FLAGS, name)
    if not was_parsed:
      flags.FLAGS.unparse_flags()


def _joined(arguments):
  """`--config FILE` as `--config=FILE`."""
  return re.sub(r"(^|\0)--config\0", r"\1--config=", "\0".join(arguments)).split("\0") if arguments else []


def small(command):
  """The command on what is here, at a size for a test."""
  for place, here in PLACES.items():
    command = command.replace(place, here)
  given = []
  for name, arguments in INSTEAD.items():
    given += arguments * (name in command and not (arguments == FOLDER and "name=hub" in command))
  given = [*SMALL, *given] if "train.py" in command else given
  return shlex.join([*shlex.split(command), *given])


@pytest.fixture(scope="module")
def world(finished, faces_folder, tmp_path_factory):
  """A folder to work in, with trained runs and with everything that README speaks of."""
  world = tmp_path_factory.mktemp("world")
  for name in ("resnet", "mine", "swaps", "made", "recipe/photoshop, whole faces at 128 px"):
    shutil.copytree(finished[0], world / "runs" / name)
  (world / "runs" / "pretrain").mkdir()
  shutil.copy(finished[0] / "weights.safetensors", world / "runs" / "pretrain")
  shutil.copytree(faces_folder, world / "faces")
  write_faces(world / "few", {"test": 3}, seed=1)
  write_faces(world / "pairs", {"train": 40, "val": 6, "test": 3}, seed=3)
  write_pairs(world / "pairs", count=40)
  write_faces(world / "unsplit", {"train": 40, "val": 3}, seed=2)
  write_140k(world / "140k")
  write_hard(world / "hard")
  write_ciplab(world / "ciplab", people=60)
  for split, count in (("train", 40), ("validation", 10), ("test", 10)):
    file = world / "parquets" / "data" / f"{split}-00000-of-00001.parquet"
    write(file, [0, 1] * (count // 2), names=["fake", "real"])
  for i in range(12):
    place = world / "reals" / ("train", "val", "test")[min(i // 6, 1) + i // 9]
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(astronaut()[8 * i :][:200, 100 + 9 * i :][:, :180]).resize((64, 72)).save(place / f"{i:02}.jpg")
  (world / "folder").mkdir()
  for path in (world / "photo.jpg", world / "folder" / "one.png"):
    Image.fromarray(astronaut()[:220, 120:330]).save(path)
  return world


@pytest.fixture
def at_small_size(world, monkeypatch):
  monkeypatch.chdir(world)
  shutil.rmtree(world / "trained", ignore_errors=True)
  monkeypatch.setattr(datasets, "open_dataset", partial(_open_dataset, datasets.open_dataset, str(world / "records")))
  monkeypatch.setattr(run, "report_run", lambda workdir: {"reason": "not measured"})  # as in every other test of a run
  for name, value in (("SAMPLE", 2), ("SANE", 2)):
    monkeypatch.setattr(audited_maps, name, value)
  monkeypatch.setattr(audited_cases, "EACH", 1)
  monkeypatch.setattr(audit, "CORRUPTIONS", {})
  monkeypatch.setattr(map_scale, "FAKES", 2)
  monkeypatch.setattr(map_scale, "FAKES_IF_SAMPLED", 1)


def _open_dataset(open_dataset, records, name, *, path=None, data_dir=None):
  return open_dataset(name, path=path, data_dir=data_dir or records)


def test_the_first_page_is_read_in_three_minutes():
  assert len((ROOT / "README.md").read_text()) <= 7500


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
  for target in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text()):
    file, _, heading = target.partition("#")
    assert "://" in target or (ROOT / page).parent.joinpath(file).exists(), target
    if heading:
      headings = re.findall(r"^#+ (.*)$", (ROOT / page).parent.joinpath(file or page).read_text(), re.MULTILINE)
      assert heading in [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings]


def test_readme_has_commands_and_snippets():
  assert len(OURS) >= 20 and len(MENTIONED) >= 5 and SNIPPETS
  assert {command.split()[0] for command in COMMANDS} <= {"python", *OTHER_PROGRAMS}
  assert {language for language, _ in BLOCKS} == {"", "python"}


@pytest.mark.slow
@pytest.mark.parametrize("command", [one for one in OURS if not any(name in one for name in ONLY_PARSED)])
def test_a_command_runs(command, at_small_size):
  with parsed(small(command)) as (module, positional):
    assert not module["main"](positional)


@pytest.mark.parametrize("command", [one for one in (*OURS, *MENTIONED) if one not in OURS or any(
    name in one for name in ONLY_PARSED)])
def test_the_flags_of_a_command_are_known(command):
  with parsed(command) as (_, positional):
    assert not any(argument.startswith("-") for argument in positional)


def test_flags_and_fields_that_are_mentioned_exist():
  known = {"help"}
  commands = [f"scripts/{script.name}" for script in (ROOT / "scripts").glob("*.py")]
  commands += [f"scripts/bench.py {name}" for name in runpy.run_path(str(ROOT / "scripts" / "bench.py"))["COMMANDS"]]
  for command in commands:
    with parsed(f"python {command}{' --out x' * ('collect' in command)}"):
      known |= set(flags.FLAGS)
  mentioned = re.findall(r"`[^`\n]*?--([\w.]+)", PROSE)
  assert len(mentioned) > 10
  fields = {f"config.{name}" for config in (resnet, pretrain) for name in flatten_config(config.get_config().to_dict())}
  for name in mentioned:
    assert name in known | fields, name


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_runs(snippet, at_small_size):
  exec(snippet, {})
