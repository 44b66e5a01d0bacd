"""Flags: the help, and the answers to what is mistyped."""

import re
import runpy
import sys

import pytest
from absl import flags

from fakeface_jax.commands import command_line
from fakeface_jax.errors import UserError, did_you_mean
from tests.conftest import ROOT

SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))


@pytest.fixture
def script(monkeypatch):
  """A function that parses a command line of one of the scripts, in this process; returns its positional arguments."""

  def parse(name, *arguments, lists=()):
    path = str(ROOT / "scripts" / f"{name}.py")
    monkeypatch.setattr(sys, "argv", [path, *arguments])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with monkeypatch.context() as patch:
      patch.setattr("fakeface_jax.commands.app.run", lambda main, lists=(): None)
      main = runpy.run_path(path, run_name="__main__")
    patched = type(sys)("__main__")
    patched.__doc__ = main["__doc__"]
    monkeypatch.setitem(sys.modules, "__main__", patched)
    return command_line.parse([path, *arguments], lists)[1:]

  yield parse
  command_line.forget()


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_scripts_help_is_short_and_leaves_with_0(script, capsys, name):
  with pytest.raises(SystemExit) as left:
    script(name, "--help")
  text = capsys.readouterr().out
  assert left.value.code == 0 and len(text.splitlines()) < 70 and "--verbosity" not in text and "absl" not in text
  assert f"scripts/{name}.py" in text and max(map(len, text.splitlines())) < 121
  own = re.findall(r"^[A-Z_]+ = flags\.DEFINE_\w+\(\s*\"(\w+)\"", (ROOT / "scripts" / f"{name}.py").read_text(), re.M)
  assert (own and all(f"\n  --{flag}" in text for flag in own)) or name in ("check_data", "bench")


def test_a_benchmarks_help_shows_its_own_flags(script, capsys, monkeypatch):
  for command, own in (("layers", {"out", "overwrite", "repeats"}), ("gpu", {"out", "small", "parts"})):
    monkeypatch.setattr(sys, "argv", ["bench.py", command, "--help"])
    with pytest.raises(SystemExit):
      script("bench", command, "--help")
    assert set(re.findall(r"^  --(\w+)", capsys.readouterr().out, re.M)) == own
    command_line.forget()


@pytest.mark.parametrize("flag", ["-h", "--help", "-help", "--helpfull", "--helpshort", "-?"])
def test_help_by_any_name(script, flag):
  with pytest.raises(SystemExit) as left:
    script("forge", "folder", flag)
  assert left.value.code == 0


def test_the_help_lists_config_fields_with_the_comments_of_the_config_files(script, capsys):
  with pytest.raises(SystemExit):
    script("train", "--config", str(ROOT / "configs" / "resnet50.py"), "--help", lists=["Data sets"])
  text = capsys.readouterr().out
  assert ("--config.data.resize=256        px: an image's shorter side is brought to this length; none: pixels stay as"
          " they are\n") in text
  assert "--config.pretrained=timm/resnet50.tv_in1k\n" in text
  assert "\n  --config.epochs=20              at most\n" in text
  assert "Data sets: synthetic_faces, real_fake_140k, hard_fake_real, ciplab; hub:OWNER/NAME; or a folder" in text


@pytest.mark.parametrize("config", ["resnet", "pretrain"])
def test_every_field_has_a_comment(config):
  path = ROOT / "configs" / f"{config}.py"
  comments = command_line._comments(path)
  assert [field for field in command_line._fields(path) if not comments.get(field)] == []


def test_the_help_lists_methods(script, capsys):
  with pytest.raises(SystemExit):
    script("explain", "--help", lists=["Methods"])
  assert "\nMethods: gradcam, gradcam_plus_plus, hirescam, " in capsys.readouterr().out


@pytest.mark.parametrize(("name", "arguments", "answer"), [
    ("train", ["--epochs", "3"], "there is no flag --epochs; did you mean --config.epochs=3?"),
    ("train", ["--epochs=3"], "there is no flag --epochs; did you mean --config.epochs=3?"),
    ("train", ["--epoch=3"], "there is no flag --epoch; did you mean --config.epochs=3?"),
    ("train", ["--learning-rate=0.1"], "there is no flag --learning-rate; did you mean --config.learning_rate=0.1?"),
    ("train", ["--config.data.naem=x"], "there is no flag --config.data.naem; did you mean --config.data.name=x?"),
    ("train", ["--config.name=a b"], "there is no flag --config.name; did you mean --config.data.name='a b'?"),
    ("train", ["--data.crop=64"], "there is no flag --data.crop; did you mean --config.data.crop=64?"),
    ("train", ["--config.plateu.factor=1"], "there is no flag --config.plateu.factor; did you mean --config.plateau."),
    ("train", ["--workdri", "runs/x"], "there is no flag --workdri; did you mean --workdir=runs/x?"),
    ("train", ["--confg", "x.py"], "there is no flag --confg; did you mean --config=x.py?"),
    ("train", ["--xyzzy"], "there is no flag --xyzzy; --help lists those there are"),
    ("pretrain", ["--batch_size=8"], "there is no flag --batch_size; did you mean --config.batch_size=8?"),
    ("explain", ["--method", "gradcam", "x.jpg"], "there is no flag --method; did you mean --methods=gradcam?"),
    ("explain", ["--sanitty", "x.jpg"], "there is no flag --sanitty; did you mean --sanity?"),
    ("evaluate", ["--dataa=x"], "there is no flag --dataa; did you mean --data=x?"),
    ("explain", ["--each=0"], "flag --each=0: 0 is not a positive integer"),
    ("collect", ["--real=folder:."], "--out is needed: Folder for real/, fake/, data.csv, MANIFEST.csv and the rest."),
    ("train", ["--config.epochs=many"], "flag --config.epochs=many: invalid literal for int() with base 10: 'many'"),
    ("train", ["--config=missing.py"], "--config=missing.py: No such file or directory; the files below configs/ are"),
    ("train", ["--config", "missing.py"], "--config=missing.py: No such file or directory"),
    ("train", ["--config.epochs=3", "--config=x.py"], "give --config=FILE first, then its fields"),
])
def test_a_mistake_gets_one_line_with_the_nearest_name(script, name, arguments, answer):
  with pytest.raises(UserError) as error:
    script(name, *arguments)
  assert answer in str(error.value) or answer == "give --config=FILE first, then its fields"
  assert "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "answer"), [
    ("def get_config():\n  x = 1\n  return 1 / 0\n", "fails in line 3: ZeroDivisionError: division by zero; expect"),
    ("def get_config():\n  raise SystemError('a\\nb')\n", "fails in line 2: SystemError: a b; expected a get_config()"),
    ("assert False, 'no'\n", "fails in line 1: AssertionError: no; expected a get_config()"),
    ("def get_config(\n", "SyntaxError: '(' was never closed"),
    ("import nowhere_at_all\n", "fails in line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
    ("def get_config():\n  return 3\n", "expected a get_config() that returns a ConfigDict"),
    ("x = 1\n", "KeyError: 'get_config'; expected a get_config()"),
])
def test_a_config_file_that_fails_is_named_with_its_line(script, tmp_path, text, answer):
  path = tmp_path / "my config.py"
  path.write_text(text)
  with pytest.raises(UserError) as error:
    script("train", f"--config={path}")
  assert f"--config={path}" in str(error.value) and answer in str(error.value) and "\n" not in str(error.value)


def test_one_script_after_another_in_one_process_knows_its_own_flags_only(script):
  assert script("explain", "--out=a", "x.jpg") == ["x.jpg"] and flags.FLAGS.out == "a"
  command_line.forget()
  assert script("evaluate") == [] and flags.FLAGS.out is None
  command_line.forget()
  assert script("train", "--config.epochs=3") == [] and flags.FLAGS.config.epochs == 3
  command_line.forget()
  assert script("train") == [] and flags.FLAGS.config.epochs == 20


def test_the_nearest_name():
  assert did_you_mean("gradcan", ["gradcam", "occlusion"]) == "; did you mean 'gradcam'?"
  assert did_you_mean("xyz", ["gradcam", "occlusion"]) == ""


def test_the_librarys_parameters_are_called_as_the_scripts_flags(script):
  script("explain", "x.jpg")
  assert command_line.in_flags("target='both' is not known") == "--target='both' is not known"
  assert command_line.in_flags("out=a/b is there; overwrite=True replaces it") == (
      "--out=a/b is there; --overwrite replaces it")
  for message in ("targets='both'", "occlusion.window=3 is odd", "target is not known", "/a/out=3.png", "=", "",
                  "lower config.epochs"):
    assert command_line.in_flags(message) == message
  command_line.forget()
  script("train")
  assert command_line.in_flags("config.epochs=0: lower config.data.views, or another config.json, in a/config.x") == (
      "--config.epochs=0: lower --config.data.views, or another config.json, in a/config.x")


@pytest.mark.parametrize("value", ["none", "None"])
def test_a_field_that_may_be_none_takes_the_word(script, value):
  assert script("train", f"--config.data.resize={value}", f"-config.data.path={value}", "--config.data.crop=64") == []
  data = flags.FLAGS.config.data
  assert (data.resize, data.path, data.crop) == (None, None, 64)
  command_line.forget()
  with pytest.raises(UserError, match=r"config\.data\.crop=none"):
    script("train", "--config.data.crop=none")
