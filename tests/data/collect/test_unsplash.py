import json

import pytest
import requests

from fakeface_jax.data.collect import fetching
from fakeface_jax.data.collect.fetching import Busy, Fetcher, Stopped
from fakeface_jax.data.collect.journal import Journal
from fakeface_jax.data.collect.sources import open_source
from fakeface_jax.data.collect.unsplash import KNOWN_PAGES, MISSES, QUARTER
from tests.data.collect.site import KEY, UnsplashApi, serving

IMAGES = {f"p{number:02}": f"image {number}".encode() for number in range(65)}


def unsplash(api, journal, query="portrait", key=KEY):
  source = open_source(f"unsplash:{query}", Fetcher(api.clock), key=key, api=api.address)
  source.start(journal)
  return source


def keep(journal, found, label="real"):
  journal.keep(b"picture", key=found.key, **{"class": label}, file=journal.next_file(label), address=found.address,
               page=found.page, author=found.author, author_page=found.author_page, licence=found.licence,
               fetched_at=found.fetched_at, sha256="", phash="", crop="", hashes=[], report_to=found.report_to)


def test_unsplash_pages_through_the_results_and_says_whose_they_are(site, clock, journal):
  source = unsplash(UnsplashApi(site, IMAGES, clock), journal)
  found = [source.next() for _ in IMAGES]
  assert [each.data for each in found] == list(IMAGES.values())
  assert source.next() is None and source.exhausted == "has no more photos"
  assert site.asked("/api/search/photos") == [
      {"query": "portrait", "page": str(page), "per_page": "30"} for page in (1, 2, 3)]
  assert (found[3].author, found[3].author_page) == ("Zoë p03", "https://unsplash.com/@p03")
  assert found[3].page == "https://unsplash.com/photos/p03" and found[3].licence.startswith("Unsplash License")
  assert found[3].address == f"{site.address}/images/p03" and found[3].fetched_at == "2030-03-17T17:46:40Z"


def test_the_key_is_shown_to_the_api_alone_and_never_written_down(site, clock, journal):
  source = unsplash(UnsplashApi(site, IMAGES, clock), journal)
  keep(journal, source.next())
  source.settle()
  shown = {path: headers.get("Authorization") for path, _, headers in site.requests}
  assert shown == {"/api/search/photos": f"Client-ID {KEY}", "/images/p00": None,
                   "/api/photos/p00/download": f"Client-ID {KEY}"}
  assert KEY not in (journal.out / "collect.jsonl").read_text()


def test_an_address_elsewhere_that_wants_to_be_told_is_told_without_the_key(site, clock, journal):
  source = unsplash(UnsplashApi(site, IMAGES, clock), journal)
  found = source.next()
  with serving() as other:
    other.routes["/told"] = lambda query, headers: (200, {}, b"{}")
    found.report_to = f"{other.address}/told"
    keep(journal, found)
    source.settle()
    assert "Authorization" not in other.requests[0][2] and journal.owed == {}


def test_only_photos_that_are_kept_are_reported_each_once(site, clock, journal):
  api = UnsplashApi(site, IMAGES, clock)
  source = unsplash(api, journal)
  for number in range(4):
    found = source.next()
    if number % 2:
      keep(journal, found)
  source.settle()
  source.settle()
  assert api.reported == ["p01", "p03"] and site.asked("/api/photos/p01/download") == [{"ixid": "x"}]


def test_the_next_command_asks_for_no_page_and_no_photo_again_and_reports_what_was_not(site, clock, tmp_path):
  api = UnsplashApi(site, IMAGES, clock)
  with Journal(tmp_path / "out", {}) as journal:
    source = unsplash(api, journal)
    for _ in range(31):
      keep(journal, source.next())
  assert len(api.reported) == 30  # the last one was not yet
  with Journal(tmp_path / "out", {}) as journal:
    source = unsplash(api, journal)
    assert source.next().key == "unsplash p31"
  assert api.reported == list(IMAGES)[:31]
  assert len(site.asked("/api/search/photos")) == 2
  assert all(len(site.asked(f"/images/{photo}")) == 1 for photo in list(IMAGES)[:32])


def test_when_the_hours_requests_are_used_up_nothing_is_asked_until_an_hour_after_the_first(site, clock, journal):
  clock.now = 1_900_000_800.0  # a full hour by the server's clock, and half a minute
  api = UnsplashApi(site, IMAGES, clock, limit=3)
  source = unsplash(api, journal)
  begun = clock.time()
  for _ in range(3):
    keep(journal, source.next())
    clock.now += 60
  with pytest.raises(Busy, match="the limit of 3 requests an hour is used up") as busy:
    source.next()  # a search and two reports were allowed
  assert busy.value.until == begun + 3600 and len(site.requests) == 3 + 3
  with pytest.raises(Busy):
    source.next()
  assert len(site.requests) == 3 + 3
  clock.now = busy.value.until
  assert source.next().key == "unsplash p03" and api.reported == ["p00", "p01", "p02"]


def test_a_limit_that_others_have_used_up_is_asked_about_again_in_a_quarter_of_an_hour(site, clock, journal):
  api = UnsplashApi(site, IMAGES, clock, limit=0)
  with pytest.raises(Busy, match="the limit of 0 requests an hour is used up") as busy:
    unsplash(api, journal).next()
  assert busy.value.until == clock.time() + QUARTER


@pytest.mark.parametrize(("fault", "reason"), [
    ((401, {}, b'{"errors": ["OAuth error: invalid"]}'),
     r"the access key is not accepted \(401: OAuth error: invalid\); check UNSPLASH_ACCESS_KEY or key="),
    ((403, {"X-Ratelimit-Remaining": "17"}, b'{"errors": ["You are not permitted"]}'),
     r"access is refused \(403: You are not permitted\)"),
    ((404, {}, b""), "answers 404 to a search"),
    ((200, {}, b"<html>"), "something that is not JSON"),
    ((200, {}, b'{"photos": []}'), r"without the documented fields \(KeyError\('results'\)\)"),
    ((200, {}, b'{"results": [{"id": "x"}], "total_pages": 1}'), r"documented fields \(KeyError\('urls'\)\)"),
    ((200, {}, b"[]"), "without the documented fields"),
    ((200, {}, b"[" * 200_000), "something that is not JSON"),
    ((200, {}, b"9" * 5000), "something that is not JSON"),
    ((200, {}, b'{"results": [], "total_pages": Infinity, "errors": 3}'), "finds no photo"),
    ((200, {}, b" " * 6_000_000 + b"{}"), "more than 5 MB; expected one image or page"),
    ((401, {}, b'{"errors": ["a\\nb", "' + b"c" * 9000 + b'"]}'), r"not accepted \(401: a b, c{155}\.\.\.\)"),
    ((401, {}, b'{"errors": 7}'), r"not accepted \(401\); check"),
])
def test_an_api_that_is_of_no_use_says_why(site, clock, journal, fault, reason):
  source = unsplash(UnsplashApi(site, IMAGES, clock), journal)
  site.faults["/api/search/photos"] = [fault]
  if reason == "finds no photo":
    assert source.next() is None and source.exhausted == reason
  else:
    with pytest.raises(Stopped, match=reason) as stopped:
      source.next()
    assert str(stopped.value).isprintable()


@pytest.mark.parametrize("pages", [3, "7", 10**300])
@pytest.mark.parametrize(("place", "value"), [
    (("id",), 7), (("id",), None), (("urls", "regular"), 5), (("urls", "regular"), "file:///etc/passwd"),
    (("urls", "regular"), "http://[bad"), (("urls", "regular"), "https://x.org/a\nb"), (("urls",), []),
    (("user", "name"), ["a"]), (("user", "name"), {}), (("user", "links"), "text"), (("links", "html"), True),
    (("links", "download_location"), "javascript:x"), (("links", "download_location"), None),
])
def test_a_photo_with_a_field_of_another_kind_is_named_in_one_line(site, clock, journal, pages, place, value):
  api = UnsplashApi(site, {"p0": b"0"}, clock)
  photo = node = api._photo("p0")
  for name in place[:-1]:
    node = node[name]
  node[place[-1]] = value
  site.faults["/api/search/photos"] = [(200, {}, json.dumps({"results": [photo], "total_pages": pages}).encode())]
  with pytest.raises(Stopped, match="without the documented fields") as stopped:
    unsplash(api, journal).next()
  assert str(stopped.value).isprintable() and len(str(stopped.value)) < 300


def test_names_are_kept_as_one_line_that_can_be_written_down(site, clock, journal):
  api = UnsplashApi(site, {"p0": b"0"}, clock)
  photo = api._photo("p0")
  photo["user"]["name"] = "Zo\u00eb \ud800\r\n=HYPERLINK \x00" + "a" * 1000
  site.faults["/api/search/photos"] = [(200, {}, json.dumps({"results": [photo], "total_pages": 1}).encode())]
  found = unsplash(api, journal).next()
  assert found.author.startswith("Zo\u00eb =HYPERLINK aaa") and found.author.isprintable()
  assert len(found.author.encode()) < 310


def test_pages_that_go_on_with_the_same_photos_for_ever_end(site, clock, journal):
  api = UnsplashApi(site, {"p0": b"0"}, clock)
  page = json.dumps({"results": [api._photo("p0")], "total_pages": 10**9}).encode()
  site.routes["/api/search/photos"] = lambda query, headers: (200, {}, page)
  source = unsplash(api, journal)
  keep(journal, source.next())
  assert source.next() is None and len(site.asked("/api/search/photos")) == 1 + KNOWN_PAGES


def test_a_photo_larger_than_any_photo_is_left_out_alone(site, clock, journal, monkeypatch):
  monkeypatch.setattr(fetching, "MAX_BYTES", 1000)
  source = unsplash(UnsplashApi(site, {"p0": bytes(1001), "p1": b"1"}, clock), journal)
  assert "more than 0 MB" in source.next().problem and source.next().data == b"1"


def test_a_search_without_results_says_so(site, clock, journal):
  source = unsplash(UnsplashApi(site, IMAGES, clock), journal, query="nothing")
  assert source.next() is None and source.exhausted == "finds no photo"


def test_results_that_end_sooner_than_was_promised_are_the_end(site, clock, journal):
  source = unsplash(UnsplashApi(site, {"p0": b"0"}, clock), journal)
  first = json.loads(site.routes["/api/search/photos"](
      {"query": "x", "page": "1", "per_page": "30"}, {"Authorization": f"Client-ID {KEY}", "Accept-Version": "v1"})[2])
  site.faults["/api/search/photos"] = [(200, {}, json.dumps(first | {"total_pages": 3}).encode())]
  assert source.next().key == "unsplash p0"
  assert source.next() is None and len(site.asked("/api/search/photos")) == 2


def test_photos_of_another_licence_are_not_fetched(site, clock, journal):
  api = UnsplashApi(site, {"p0": b"0"}, clock)
  photo = api._photo("p0") | {"urls": {"regular": "https://plus.unsplash.com/premium_photo-1"}}
  site.faults["/api/search/photos"] = [(200, {}, json.dumps({"results": [photo], "total_pages": 1}).encode())]
  found = unsplash(api, journal).next()
  assert found.problem == "an Unsplash+ photo, which has another licence" and len(site.requests) == 1


def test_a_photo_that_is_gone_or_broken_does_not_stand_in_the_way_of_the_next(site, clock, journal):
  source = unsplash(UnsplashApi(site, IMAGES, clock), journal)
  site.faults["/images/p00"] = [(404, {}, b"")]
  site.faults["/images/p01"] = ["drop"] * 4
  gone, broken, sound = (source.next() for _ in range(3))
  assert (gone.problem, gone.again) == ("the image's server answers 404", False)
  assert "breaks off" in broken.problem and not broken.again
  assert sound.data == IMAGES["p02"]


def test_when_no_photo_can_be_fetched_it_is_not_the_photo(site, clock, journal):
  source = unsplash(UnsplashApi(site, IMAGES, clock), journal)
  for photo in list(IMAGES)[:MISSES]:
    site.faults[f"/images/{photo}"] = ["drop"] * 4
  for _ in range(MISSES - 1):
    assert "breaks off" in source.next().problem
  with pytest.raises(Stopped, match="breaks off"):
    source.next()


def test_a_network_that_is_gone_costs_no_photo(site, clock, journal, monkeypatch):
  source = unsplash(UnsplashApi(site, IMAGES, clock), journal)
  source.next()
  with monkeypatch.context() as patch:
    patch.setattr(requests.Session, "get", lambda *_, **__: (_ for _ in ()).throw(requests.ConnectionError()))
    with pytest.raises(Stopped, match="cannot be reached; is there a network"):
      source.next()
  assert source.next().key == "unsplash p01"


def test_the_key_may_come_from_the_environment(site, clock, journal, monkeypatch):
  monkeypatch.setenv("UNSPLASH_ACCESS_KEY", KEY)
  assert unsplash(UnsplashApi(site, IMAGES, clock), journal, key=None).next().data == IMAGES["p00"]
