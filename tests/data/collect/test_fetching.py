import email.utils
import gzip
import json
import socket
import threading
import time
import tracemalloc
import zlib

import pytest

from fakeface_jax.data.collect import fetching
from fakeface_jax.data.collect.fetching import Busy, Fetcher, Stopped, Unreachable, retry_after
from tests.data.collect.site import Clock, endless, serving


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
    ("drop", r"breaks off in the middle of its answer, .*IncompleteRead\(5 bytes read, 5 more.* \(4 tries\)"),
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
  with pytest.raises(Stopped, match="/x: more than 0 MB; expected one image or page"):
    Fetcher(Clock()).get(f"{site.address}/x")
  assert len(site.requests) == 1


def test_json_that_is_none_is_said_to_be_none(site):
  with pytest.raises(Stopped, match="answered something that is not JSON; is the address right"):
    Fetcher(Clock()).get(f"{site.address}/nowhere").json()


OK, MOVED = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 Found\r\nLocation: /x\r\n"
LATE = r"gives no whole answer within 5 s, or within 0\.4 s in all"


def get(site, deadline=20.0):
  return Fetcher(Clock(), timeout=5, deadline=deadline).get(f"{site.address}/x")


@pytest.mark.parametrize(("start", "piece", "pause"), [
    (b"", b"H", 0.02), (OK + b"X-Slow: ", b"a", 0.02), (OK, b"X-Header: a\r\n", 0.02),
    (OK + b"\r\n", b"a", 0.02), (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", 0.02),
    (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0), (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", 0),
], ids=["status", "header", "headers", "body", "chunks", "continue", "trailers"])
def test_an_answer_that_drips_or_never_ends_is_cut_at_the_deadline(site, start, piece, pause, monkeypatch):
  monkeypatch.setattr(fetching, "TRIES", 1)
  site.faults["/x"] = [endless(start, piece, pause)]
  began = time.monotonic()
  with pytest.raises(Unreachable, match=LATE):
    get(site, deadline=0.4)
  assert 0.3 < time.monotonic() - began < 3
  deadline = time.monotonic() + 10
  while any(isinstance(thread, fetching._Request) for thread in threading.enumerate()):
    assert time.monotonic() < deadline, "the cut request still runs"
    time.sleep(0.01)


def test_a_body_without_an_end_is_read_no_further_than_allowed(site, monkeypatch):
  monkeypatch.setattr(fetching, "MAX_BYTES", 3_000_000)
  site.faults["/x"] = [endless(OK + b"\r\n", bytes(100_000))]
  with pytest.raises(Stopped, match="/x: more than 3 MB; expected one image or page"):
    get(site)
  assert site.sent < 3_000_000 + 20_000_000  # what lies in the sockets' buffers


def test_the_body_of_a_redirect_is_not_read_at_all(site):
  site.faults["/x"] = [endless(MOVED + b"\r\n", bytes(100_000))]
  assert get(site).body == b"0123456789" and len(site.requests) == 2
  assert site.sent < 20_000_000


def test_redirects_are_followed_so_many_times_and_to_web_addresses_only(site):
  site.faults["/x"] = [(302, {"Location": "/y?a=1"}, b"")]
  site.routes["/y"] = lambda query, headers: (200, {}, json.dumps(query).encode())
  answer = get(site)
  assert answer.json() == {"a": "1"} and answer.url == f"{site.address}/y?a=1"
  site.faults["/x"] = [(307, {"Location": "/x"}, b"")] * 50
  with pytest.raises(Stopped, match="/x leads from address to address, more than 10 times"):
    get(site)
  assert len(site.requests) == 2 + 11
  for place in ("file:///etc/passwd", "ftp://localhost/x", "data:text/plain,x"):
    site.faults["/x"] = [(302, {"Location": place}, b"")]
    with pytest.raises(Stopped, match=f"/x leads to {place}; expected http or https"):
      get(site)
  site.faults["/x"] = [(302, {"Location": "http://[bad"}, b"")] * 4
  with pytest.raises(Unreachable, match="does not answer in HTTP: Invalid IPv6 URL"):
    get(site)


def test_a_key_goes_to_no_other_host_by_a_redirect(site):
  with serving() as other:
    other.routes["/x"] = lambda query, headers: (200, {}, b"there")
    site.faults["/x"] = [(302, {"Location": f"{other.address}/x"}, b"")]
    answer = Fetcher(Clock()).get(f"{site.address}/x", headers={"Authorization": "key", "Accept-Version": "v1"})
    assert answer.body == b"there" and site.requests[0][2]["Authorization"] == "key"
    assert "Authorization" not in other.requests[0][2] and other.requests[0][2]["Accept-Version"] == "v1"


def test_compressed_answers_are_unpacked_no_further_than_allowed(site, monkeypatch):
  packed = {"gzip": gzip.compress(b"a" * 1000, mtime=0), "deflate": zlib.compress(b"a" * 1000)}
  for encoding, body in packed.items():
    site.faults["/x"] = [(200, {"Content-Encoding": encoding}, body)]
    assert get(site).body == b"a" * 1000
  monkeypatch.setattr(fetching, "MAX_BYTES", 1_000_000)
  site.faults["/x"] = [(200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(500_000_000), 1, mtime=0))]
  tracemalloc.start()
  with pytest.raises(Stopped, match="more than 1 MB"):
    get(site)
  assert tracemalloc.get_traced_memory()[1] < 50_000_000
  tracemalloc.stop()
  for encoding in ("br", "gzip, gzip", "zstd"):
    site.faults["/x"] = [(200, {"Content-Encoding": encoding}, b"x")]
    with pytest.raises(Stopped, match=f"answers in the encoding {encoding}, which nobody asked for"):
      get(site)


@pytest.mark.parametrize("answer", [
    b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/9.9 200\r\n\r\n", b"\x00\xff" * 500,
    OK + b"X: " + b"a" * 100_000 + b"\r\n\r\n", OK + b"X: a\r\n" * 300 + b"\r\n",
    OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n01234", OK + b"Content-Length: 99\r\n\r\n0",
    OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n0\r\n", OK + b"Content-Encoding: gzip\r\n\r\nnot gzip",
    OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"a" * 1000, mtime=0)[:-9],
    b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a" * 70 + b".invalid/\r\nContent-Length: 0\r\n\r\n",
])
def test_what_is_no_http_costs_one_line(site, answer):
  site.faults["/x"] = [[answer]] * 4
  with pytest.raises(Unreachable) as failure:
    get(site)
  text = str(failure.value)
  assert "breaks off in the middle of its answer, or does not answer in HTTP" in text and text.endswith("(4 tries)")
  assert text.isprintable() and len(text) < 300 and len(site.requests) == 4


@pytest.mark.parametrize("length", [b"abc", b"-5", b"9" * 5000, b"1.5", b"10, 10"])
def test_a_length_that_is_none_does_no_harm(site, length):
  site.faults["/x"] = [[OK + b"Content-Length: " + length + b"\r\n\r\n0123456789"]]
  assert get(site).body == b"0123456789"


@pytest.mark.parametrize("address", ["http://[bad/", "http://", "http://" + "a" * 70 + ".invalid/", "ftp://x/", "\0"])
def test_an_address_that_is_none_is_asked_once(address):
  clock = Clock()
  with pytest.raises(Stopped, match=r"cannot be (asked|reached)") as failure:
    Fetcher(clock).get(address)
  assert str(failure.value).isprintable()


@pytest.mark.parametrize(("header", "seconds"), [
    ("9" * 400, 30 * 86400), ("Fri, 31 Dec 9999 23:59:59 -2359", 30 * 86400), ("1" * 5000, 30 * 86400), ("\u0667", 7),
    ("Mon, 01 Jan 0001 00:00:00 GMT", 0), ("Mon, 99 Foo 99999 99:99:99", None), ("-1e9", None), ("nan", None),
    ("inf", None), ("1e400", None), ("soon, please", None)])
def test_retry_after_of_any_kind_is_a_bounded_pause_or_none(header, seconds):
  assert retry_after({"Retry-After": header}, 1_900_000_000) == seconds


def test_text_from_elsewhere_becomes_a_piece_of_a_line():
  assert fetching.excerpt(" a\r\n\x1b[31mb\ud800\0c ") == "a [31mb c"
  assert fetching.excerpt("a" * 500) == "a" * 160 + "..."
