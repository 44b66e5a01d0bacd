import email.utils
import socket

import pytest

from fakeface_jax.data.collect import fetching
from fakeface_jax.data.collect.fetching import Busy, Fetcher, Stopped, Unreachable, retry_after
from tests.data.collect.site import Clock, serving


@pytest.fixture
def site():
  with serving() as site:
    site.routes["/x"] = lambda query, headers: (200, {}, b"0123456789")
    yield site


def test_an_answer_of_any_status_is_given_back_at_once(site):
  clock = Clock()
  answer = Fetcher(clock).get(f"{site.address}/x", params={"q": "a b"})
  assert (answer.status, answer.body) == (200, b"0123456789") and site.asked("/x") == [{"q": "a b"}]
  assert Fetcher(clock).get(f"{site.address}/nowhere").status == 404
  assert clock.slept == []


def test_what_fails_for_now_is_tried_again_after_longer_and_longer_pauses(site):
  clock = Clock()
  site.faults["/x"] = [(500, {}, b""), "drop", (503, {}, b"")]
  assert Fetcher(clock).get(f"{site.address}/x").body == b"0123456789"
  assert clock.slept == [1, 2, 4]


def test_retry_after_is_waited_for_or_told_to_the_caller_where_it_is_long(site):
  clock = Clock()
  site.faults["/x"] = [(429, {"Retry-After": "7"}, b""), (503, {"Retry-After": "0"}, b"")]
  assert Fetcher(clock).get(f"{site.address}/x").status == 200
  assert clock.slept == [7]
  site.faults["/x"] = [(429, {"Retry-After": "900"}, b"")]
  with pytest.raises(Busy, match=r"127\.0\.0\.1:\d+ is busy \(429\)") as busy:
    Fetcher(clock).get(f"{site.address}/x")
  assert busy.value.until == clock.time() + 900 and len(site.requests) == 4


def test_retry_after_may_be_a_date_and_nonsense_counts_for_nothing():
  now = 1_900_000_000
  assert retry_after({"Retry-After": email.utils.formatdate(now + 90, usegmt=True)}, now) == 90
  assert retry_after({"Retry-After": email.utils.formatdate(now - 90, usegmt=True)}, now) == 0
  assert [retry_after(headers, now) for headers in ({}, {"Retry-After": "soon"}, {"Retry-After": "-3"})] == [None] * 3


@pytest.mark.parametrize(("fault", "reason"), [
    ("drop", r"breaks off in the middle of its answer \(4 tries\)"),
    ((502, {}, b""), r"answers 502 \(4 tries\)"),
    ("trickle", r"gives no whole answer within 5 s, or within 0\.2 s in all \(4 tries\)"),
    ((200, {"Content-Encoding": "gzip"}, b"not gzip"), "breaks off"),
])
def test_tries_are_bounded_and_the_last_failure_is_named(site, fault, reason):
  site.faults["/x"] = [fault] * 9
  with pytest.raises(Unreachable, match=reason):
    Fetcher(Clock(), timeout=5, deadline=0.2).get(f"{site.address}/x")
  assert len(site.requests) == fetching.TRIES


def test_a_server_that_says_nothing_is_given_up(site):
  with socket.create_server(("127.0.0.1", 0)) as silent:
    address = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
    with pytest.raises(Unreachable, match=r"no whole answer within 0\.1 s"):
      Fetcher(Clock(), timeout=0.1).get(address)


def test_where_nobody_listens_the_network_is_asked_about():
  with socket.create_server(("127.0.0.1", 0)) as server:
    port = server.getsockname()[1]
  with pytest.raises(Unreachable, match="cannot be reached; is there a network"):
    Fetcher(Clock()).get(f"http://127.0.0.1:{port}/x")


def test_what_is_no_single_image_is_not_downloaded_to_its_end(site, monkeypatch):
  monkeypatch.setattr(fetching, "MAX_BYTES", 9)
  with pytest.raises(Stopped, match="/x: more than 0 MB; expected one image"):
    Fetcher(Clock()).get(f"{site.address}/x")
  assert len(site.requests) == 1


def test_json_that_is_none_is_said_to_be_none(site):
  with pytest.raises(Stopped, match="answered something that is not JSON; is the address right"):
    Fetcher(Clock()).get(f"{site.address}/nowhere").json()
