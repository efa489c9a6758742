"""What a connection may do to the gateway: floods and slowness end in a 4xx and a close."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable

import pytest

from tests.live import Actor, Server
from tests.v1.raw import Told, ask, exchange, head, memory_mb, wait_until, worker_pid

pytestmark = [pytest.mark.live]

SECOND = "GET /v1/credits HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = '{"model":"a"}'
CHUNKED = "Transfer-Encoding: chunked"


def is_refused(told: Told) -> None:
    """A 4xx in JSON, after which the connection is closed and nothing else is answered."""
    assert 400 <= told.status < 500, told.raw
    assert told.headers["content-type"] == "application/json"
    assert told.headers["connection"] == "close"
    assert told.headers["x-request-id"]
    assert "x-ratelimit-limit" in told.headers
    assert told.error["message"]
    assert told.rest == b""


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: 5", CHUNKED], "0\r\n\r\n"),
        ([CHUNKED, "Content-Length: 5"], "0\r\n\r\n"),
        ([CHUNKED, CHUNKED], "0\r\n\r\n"),
        (["Transfer-Encoding: chunked, chunked"], "0\r\n\r\n"),
        (["Transfer-Encoding: xchunked"], "0\r\n\r\n"),
        (["Transfer-Encoding: chunked, identity"], "0\r\n\r\n"),
        (["Transfer-Encoding: gzip"], "abc"),
        (["Transfer-Encoding: \x0bchunked"], "0\r\n\r\n"),
        (["Transfer-Encoding : chunked"], "0\r\n\r\n"),
        (["Transfer_Encoding: chunked", "Content-Length: +1"], "0\r\n\r\n"),
        (["Content-Length: 13", "Content-Length: 14"], BODY),
        (["Content-Length: 13", "Content-Length: 13"], BODY),
        (["Content-Length: 13, 14"], BODY),
        (["Content-Length: +13"], BODY),
        (["Content-Length: -1"], BODY),
        (["Content-Length: 0x0d"], BODY),
        (["Content-Length: 1_3"], BODY),
        (["Content-Length: 13 ", "Content-Length:"], BODY),
        (["X: a\r\n folded"], BODY),
        (["X: a\nY: b"], BODY),
        (["X: a\rY: b"], BODY),
        (["X: a\x00b"], BODY),
        (["no colon"], BODY),
        ([": no name"], BODY),
        (["N\xe9: x"], BODY),
        (["Host: y"], BODY),
        (["Expect: 200-maybe", "Content-Length: 13"], BODY),
    ],
)
def test_a_head_that_two_readers_would_read_differently_is_refused(
    alice: Actor, lines: list[str], body: str
) -> None:
    is_refused(ask(alice.server, f"{head(alice, *lines)}\r\n{body}{SECOND}"))
    assert alice.asked() == []


@pytest.mark.parametrize(
    "chunks",
    [
        "zz\r\nabc\r\n0\r\n\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\nabc\n0\n\n" + "x" * 9000,
        "3;a=\rb\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n",
        "3\r\nabc\r\n0\r\nbad trailer\r\n\r\n",
        "f" * 9000,
    ],
)
def test_chunks_that_cant_be_told_apart_are_refused(alice: Actor, chunks: str) -> None:
    is_refused(ask(alice.server, f"{head(alice, CHUNKED)}\r\n{chunks}{SECOND}"))


def test_a_huge_chunk_that_never_comes_isnt_waited_for_in_memory(alice: Actor) -> None:
    pid = worker_pid(alice.server)
    before_mb = memory_mb(pid)
    with socket.create_connection(("127.0.0.1", alice.server.port), timeout=5) as line:
        line.sendall(f"{head(alice, CHUNKED)}\r\nffffffffffff\r\nabc".encode())
        assert alice.get("/v1/credits")[0] == 200
    assert memory_mb(pid) - before_mb < 2


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("GET /v1/models?" + "x" * 100_000 + " HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        ("GET /v1/" + "a/" * 5_000 + " HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        ("GET /v1/models HTTP/1.1\r\n" + "X: 1\r\n" * 1_000 + "\r\n", 431),
        ("GET /v1/models HTTP/1.1\r\nX: " + "a" * 65_536 + "\r\n\r\n", 431),
        ("GET /v1/models HTTP/1.1\r\n" + "a" * 1_000_000, 431),
        ("GET /v1/models HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        ("GET /v1/models\r\nHost: x\r\n\r\n", 400),
        ("get /v1/models HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("G\x00T /v1/models HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /v1/models\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /v1/mod\xe9ls HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET  /v1/models HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /v1/models HTTP/1.1\nHost: x\n\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
def test_what_is_too_long_or_no_http_is_refused(server: Server, text: str, status: int) -> None:
    told = ask(server, text)
    is_refused(told)
    assert told.status == status


def test_a_refusal_doesnt_repeat_what_was_sent(alice: Actor) -> None:
    for line in (f"Bearer {alice.key}", f"X\x00: {alice.key}", f"Authorization: {alice.key}\x01"):
        told = ask(alice.server, f"{head(alice, line)}\r\n")
        is_refused(told)
        assert alice.key.encode() not in told.raw


def test_a_second_request_on_the_line_is_answered_after_the_first(alice: Actor) -> None:
    body = json.dumps({"model": alice.model, "messages": [{"role": "user", "content": "hi"}]})
    first = f"{head(alice, f'Content-Length: {len(body)}')}\r\n{body}"
    last = head(alice, "Connection: close", method="GET", path="/v1/credits") + "\r\n"
    told = ask(alice.server, first + last)
    assert told.status == 200
    assert Told(told.rest).status == 200
    assert b"remaining_nusd" in told.rest


def test_a_chunked_body_with_good_trailers_is_read(alice: Actor) -> None:
    body = json.dumps({"model": alice.model, "messages": [{"role": "user", "content": "hi"}]})
    chunks = "".join(f"{len(part):x};ext=1\r\n{part}\r\n" for part in (body[:7], body[7:]))
    text = f"{head(alice, CHUNKED, 'Connection: close')}\r\n{chunks}0\r\nX-Trailer: 1\r\n\r\n"
    assert ask(alice.server, text).status == 200


def test_a_body_that_is_small_and_unwanted_keeps_the_line(alice: Actor) -> None:
    last = head(alice, "Connection: close", method="GET", path="/v1/credits") + "\r\n"
    text = f"{head(alice, 'Content-Length: 500', path='/v1/nothing')}\r\n{'x' * 500}{last}"
    told = ask(alice.server, text)
    assert (told.status, told.headers["connection"]) == (404, "keep-alive")
    assert Told(told.rest).status == 200


def test_100_continue_is_said_before_the_body_is_read(alice: Actor) -> None:
    body = json.dumps({"model": alice.model, "messages": [{"role": "user", "content": "hi"}]})
    lines = (f"Content-Length: {len(body)}", "Expect: 100-continue", "Connection: close")
    with socket.create_connection(("127.0.0.1", alice.server.port), timeout=5) as line:
        line.sendall(f"{head(alice, *lines)}\r\n".encode())
        assert line.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(body.encode())
        assert Told(line.recv(65536)).status == 200


@pytest.mark.parametrize("path", ["/v1/models", "/v1/credits", "/api/v1/models", "/healthz"])
def test_head_answers_as_get_without_a_body(alice: Actor, path: str) -> None:
    text = head(alice, "Connection: close", method="HEAD", path=path)
    told = Told(exchange(alice.server, [f"{text}\r\n".encode()]))
    assert told.status == 200
    assert told.body == b""


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/api/v1/models"])
def test_options_tells_the_methods_and_allows_no_other_origin(alice: Actor, path: str) -> None:
    asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    status, headers, raw = alice.server.request("OPTIONS", path, None, {**alice.headers, **asking})
    assert (status, raw) == (200, b"")
    assert "OPTIONS" in headers["allow"]
    assert "content-type" not in headers
    assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path",
    [
        "//v1/credits",
        "/v1//credits",
        "/v1/../v1/credits",
        "/v1/%2e%2e/v1/credits",
        "/v1/credits;x=1",
        "/v1/credits/",
        "/V1/CREDITS",
        "/v1/credits%00",
        "/v1/credits%2f",
        "http://x/v1/credits",
        "/metrics/../v1/credits",
    ],
)
def test_no_way_to_write_a_path_gets_around_the_key(server: Server, path: str) -> None:
    told = ask(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert told.status in (400, 401, 404)
    assert b"remaining" not in told.raw


@pytest.mark.parametrize(
    "host", ["x/?", "x/#", "x@y", "x/v1/models?", "127.0.0.1.", "", "/metrics"]
)
def test_no_host_gets_around_the_key(server: Server, host: str) -> None:
    told = ask(server, f"GET /v1/credits HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    assert told.status in (400, 401)
    assert b"remaining" not in told.raw


def slowly(actor: Actor, first: str, rest: bytes, gap_s: float) -> tuple[Told, float]:
    """Send the first part at once and the rest byte by byte, until the server has had enough."""
    began = time.monotonic()
    received = bytearray()
    with socket.create_connection(("127.0.0.1", actor.server.port), timeout=60) as line:
        line.sendall(first.encode())

        def drip() -> None:
            with contextlib.suppress(OSError):
                for byte in rest:
                    line.sendall(bytes([byte]))
                    time.sleep(gap_s)

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        with contextlib.suppress(OSError):
            while data := line.recv(4096):
                received += data
                if received:
                    break
    ended = time.monotonic()
    dripping.join()
    return Told(bytes(received)), ended - began


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_slow_head_is_cut_after_12_seconds_and_a_slow_body_after_30(
    alice: Actor, new_actor: Callable[..., Actor]
) -> None:
    found: dict[str, tuple[Told, float]] = {}

    def body() -> None:
        found["body"] = slowly(alice, f"{head(alice, 'Content-Length: 90')}\r\n", b" " * 40, 1.0)

    def top() -> None:
        found["head"] = slowly(alice, "GET /v1/models HTTP/1.1\r\nX-Slow: ", b"a" * 20, 1.0)

    threads = [threading.Thread(target=work) for work in (body, top)]
    for thread in threads:
        thread.start()
    bystander = new_actor()
    while any(thread.is_alive() for thread in threads):
        began = time.monotonic()
        assert bystander.chat("hi")[0] == 200
        assert time.monotonic() - began < 2
        threads[0].join(1)
    told, took_s = found["body"]
    assert 28 <= took_s <= 35
    assert (told.status, told.headers["connection"]) == (400, "close")
    assert "too long" in told.error["message"]
    told, took_s = found["head"]
    assert 10 <= took_s <= 15
    assert told.status == 0
    assert alice.asked() == []


def test_four_hundred_idle_connections_leave_room_for_others(alice: Actor) -> None:
    lines = []
    try:
        for _ in range(400):
            line = socket.create_connection(("127.0.0.1", alice.server.port), timeout=5)
            line.sendall(b"GET /v1/models HTTP/1.1\r\nX-Slow: ")
            lines.append(line)
        began = time.monotonic()
        assert alice.chat("hi")[0] == 200
        assert time.monotonic() - began < 2
    finally:
        for line in lines:
            line.close()
    wait_until(lambda: alice.get("/v1/credits")[0] == 200)
