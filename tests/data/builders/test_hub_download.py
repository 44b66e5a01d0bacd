"""Data sets fetched from the hub, of which a local stand-in is asked."""

import json

import huggingface_hub.constants
import pytest

from fakeface_jax.data.builders.hub.builder import hub_builder
from tests.data.builders.test_hub import TEST, TRAIN, labels_of, message, picture, read, write
from tests.hub_server import COMMIT, serve_hub


@pytest.fixture
def hub(tmp_path, monkeypatch):
  """A local stand-in for the hub; yields (its folder, OWNER/NAME/BRANCH/files, and its requests)."""
  root, requests = tmp_path / "server", []

  def answer(_, address):
    path = address.partition("?")[0].strip("/").replace("%2F", "/")
    if not path.removeprefix("api/").startswith("datasets/"):
      return 404, "", {}, b""
    requests.append(path)
    owner, name, *rest = path.removeprefix("api/").removeprefix("datasets/").split("/")
    repository = root / owner / name
    if path.startswith("api/"):
      converted = "refs/convert/parquet" in path or (rest[:1] == ["tree"] and rest[1] == COMMIT[::-1])
      branch = repository / ("converted" if converted else "main")
      if not branch.exists():
        return 404, "RevisionNotFound" if repository.exists() else "RepoNotFound", {}, b""
      names = [file.relative_to(branch).as_posix() for file in sorted(branch.rglob("*")) if file.is_file()]
      content = [{"type": "file", "path": file, "size": (branch / file).stat().st_size, "oid": file} for file in names]
      if rest[:1] != ["tree"]:
        content = {"id": f"{owner}/{name}", "sha": COMMIT[::-1] if converted else COMMIT,
                   "siblings": [{"rfilename": file} for file in names]}
      return 200, "", {"Content-Type": "application/json"}, json.dumps(content).encode()
    branch, file = ("converted", rest[4:]) if rest[1] == "refs" else ("main", rest[2:])
    if rest[1] == COMMIT[::-1]:
      branch = "converted"
    if (repository / "gated").exists():
      return 403, "GatedRepo", {}, b""
    if (repository / "lost").exists() and file[-1] == "train-00001-of-00002.parquet":
      return 404, "EntryNotFound", {}, b""
    content = (repository / branch / "/".join(file)).read_bytes()
    commit = COMMIT if branch == "main" else COMMIT[::-1]
    return 200, "", {"ETag": f'"{hash(content)}"', "X-Repo-Commit": commit}, content

  monkeypatch.chdir(tmp_path)
  with serve_hub(answer, tmp_path / "cache", monkeypatch):
    yield root, requests


def test_a_repository_is_downloaded_once(hub, tmp_path, monkeypatch):
  root, requests = hub
  write(root / "me/faces/main" / TRAIN, [0, 1] * 3, names=["fake", "real"])
  write(root / "me/faces/main" / TEST, [0, 1], names=["fake", "real"], start=30)
  (root / "me/faces/main/README.md").write_text("---\nlicense: mit\n---\n")
  (root / "me/faces/main/big.zip").write_bytes(b"not wanted")
  found, dataset = read("me/faces", tmp_path / "records")
  assert dataset.splits == {"train": 6, "test": 2} and found["train"][f"{TRAIN}#0"] == (1, picture(0))
  assert dataset.metadata["revision"] == COMMIT and not [path for path in requests if path.endswith("big.zip")]
  requests.clear()
  for spelling in ("me/faces", "https://huggingface.co/datasets/me/faces"):
    assert read(spelling, tmp_path / "records")[1].fingerprint == dataset.fingerprint
  assert requests == []
  # without a network, from the hub's cache
  monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
  again, dataset = read("me/faces", tmp_path / "others")
  assert again == found and requests == [] and dataset.metadata["revision"] == COMMIT
  assert message("me/others", tmp_path / "others").startswith(
      "me/others: is neither a folder here nor in the hub's cache, and cannot be fetched from the hub (")
  assert "run `hf download me/others --repo-type dataset` where there is" in message("me/others", tmp_path / "others")


def test_the_hubs_own_conversion(hub, tmp_path, monkeypatch):
  root, _ = hub
  (root / "me/zipped/main").mkdir(parents=True)
  (root / "me/zipped/main/images.zip").write_bytes(b"...")
  assert message("me/zipped", tmp_path / "records").startswith(
      "me/zipped: has no parquet files, and the hub has made none of what it has; download it and give a folder")
  write(root / "me/zipped/converted/default/partial-train/0000.parquet", [1, 0] * 3, names=["fake", "real"])
  write(root / "me/zipped/converted/default/test/0000.parquet", [1, 0], names=["fake", "real"], start=30)
  found, dataset = read("me/zipped", tmp_path / "records")
  assert labels_of(found["train"]) == [0, 1] * 3 and dataset.splits == {"train": 6, "test": 2}
  assert dataset.metadata["not_used"] == [["the end of split train", "(the hub has converted its first part only)"]]
  assert "part" in dataset.notices[0]
  monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
  assert read("me/zipped", tmp_path / "others")[0] == found


def test_labels_are_looked_at_before_everything_is_downloaded(hub, tmp_path):
  root, requests = hub
  for number in range(2):
    write(root / f"me/faces/main/data/train-0000{number}-of-00002.parquet", [0, 1], start=2 * number)
  assert "me/faces: of its labels 0 and 1, none says whether it is real" in message("me/faces", tmp_path / "records")
  assert {path[-26:] for path in requests if "resolve" in path} == {"train-00000-of-00002.parquet"[-26:]}
  assert read("me/faces:real=0", tmp_path / "records")[1].metadata["revision"] == COMMIT


def test_an_interrupted_download_goes_on(hub, tmp_path):
  root, requests = hub
  first, second = (f"data/train-0000{number}-of-00002.parquet" for number in range(2))
  for number, file in enumerate((first, second)):
    write(root / "me/faces/main" / file, ["real", "fake"], start=2 * number)
  (root / "me/faces/lost").touch()
  found = message("me/faces", tmp_path / "records")
  assert found.startswith("me/faces: its files could not be downloaded (")
  assert found.endswith("); give the same command again, and it goes on with them")
  (root / "me/faces/lost").unlink()
  requests.clear()
  assert sum(read("me/faces", tmp_path / "records")[1].splits.values()) == 4
  assert not [path for path in requests if path.endswith(first)]


def test_a_repository_that_cannot_be_read(hub, tmp_path, monkeypatch):
  root, _ = hub
  assert message("me/nothing", tmp_path / "records") == (
      "me/nothing: is neither a folder here nor a repository of the hub that can be read; check the spelling, or run"
      " `hf auth login` if it is private")
  write(root / "me/gated/main" / TRAIN, ["real", "fake"])
  (root / "me/gated/gated").touch()
  assert message("me/gated", tmp_path / "records") == (
      "me/gated: is gated; accept its terms on its hub page, then run `hf auth login`")
  monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
  assert "cannot be fetched from the hub (" in message("me/nothing", tmp_path / "records")


def test_damaged_records_of_a_repository_are_made_again(hub, tmp_path):
  root, _ = hub
  write(root / "me/faces/main" / TRAIN, ["real", "fake"] * 3)
  builder = hub_builder("me/faces", tmp_path / "records")
  builder.download_and_prepare()
  (builder.data_path / "metadata.json").unlink()
  assert sum(read("me/faces", tmp_path / "records")[1].splits.values()) == 6
