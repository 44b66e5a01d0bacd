import pytest

from fakeface_jax.data.collect.fetching import Busy, Fetcher, Stopped
from fakeface_jax.data.collect.sources import open_source
from fakeface_jax.errors import UserError
from tests.data.collect.site import Clock, face, jpeg


def test_an_address_is_asked_politely_and_given_up_when_it_repeats_itself(site, clock, journal):
  faces = iter([b"a", b"b", b"c", b"c", b"a", b"b"])
  site.routes["/face"] = lambda query, headers: (200, {}, next(faces))
  source = open_source(f"url:{site.address}/face", Fetcher(clock), delay=2.5)
  source.start(journal)
  for expected in (b"a", b"b", b"c", b"c", b"a"):
    found = source.next()
    assert found.data == expected
    journal.originals[found.key.split()[-1]] = "known"
    with pytest.raises(Busy) as busy:
      source.next()
    assert busy.value.until == clock.time() + 2.5
    clock.now = busy.value.until
  with pytest.raises(Stopped, match="gave images that are here already 3 times in a row"):
    source.next()
  assert len(site.requests) == 6 and site.requests[0][2]["Cache-Control"] == "no-cache"


def test_an_address_that_is_none_says_what_it_answers(site, clock, journal):
  source = open_source(f"url:{site.address}/nowhere", Fetcher(clock))
  source.start(journal)
  with pytest.raises(Stopped, match="answers 404; expected one image per request"):
    source.next()


def test_a_folder_gives_its_images_by_name(tmp_path, clock, journal):
  for name in ("b.jpg", "a.jpg", "sub/c.png", "notes.txt"):
    (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "in" / name).write_bytes(b"?" if name == "notes.txt" else jpeg(face(0)))
  source = open_source(f"folder:{tmp_path}/in", Fetcher(clock))
  source.start(journal)
  found = [source.next() for _ in range(3)]
  assert [each.address for each in found] == [f"{tmp_path}/in/{name}" for name in ("a.jpg", "b.jpg", "sub/c.png")]
  assert source.next() is None and source.exhausted == "has no more images"


@pytest.mark.parametrize(("text", "answer"), [
    ("unsplash:portrait", "unsplash:portrait: needs the access key .* set UNSPLASH_ACCESS_KEY, or give key="),
    ("https://x.org/face", "write url:https://x.org/face for an address"),
    ("url:x.org", "'url:x.org' is no source; expected unsplash:QUERY, url:https://... or folder:PATH"),
    ("unsplash:", "'unsplash:' is no source"),
    ("folder:/nowhere", "folder:/nowhere: no such folder"),
    ("/", "write folder:/ for a folder of images"),
])
def test_other_forms_are_answered_with_the_right_one(text, answer, monkeypatch):
  monkeypatch.delenv("UNSPLASH_ACCESS_KEY", raising=False)
  with pytest.raises(UserError, match=answer):
    open_source(text, Fetcher(Clock()))
