"""Requests as they are written, and answers as they are read."""

import contextlib
import threading
import time
import zlib
from collections.abc import Iterator

import pytest

from providers.transport import (
    ConnectFailedError,
    ConnectionBrokenError,
    DeadlineError,
    Origin,
    ResponseTooBigError,
    Transport,
)
from tests.providers.raw_upstream import (
    HEAD,
    Peer,
    RawUpstream,
    always,
    answer,
    chunked,
    exchange,
    fetch,
    once,
    once_and_close,
)

SECRET = "sk-secret"


@pytest.fixture
def transport() -> Iterator[Transport]:
    with contextlib.closing(Transport()) as opened:
        yield opened


def test_a_request_arrives_as_it_was_given(transport: Transport) -> None:
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    with RawUpstream(once(answer(b"hi"))) as upstream:
        assert (
            fetch(transport, upstream.origin(), "/chat?a=b", body=b"{1}", headers=headers) == b"hi"
        )
        assert upstream.requests == [
            b"POST /v1/chat?a=b HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"Accept-Encoding: identity\r\n"
            b"Authorization: Bearer sk-secret\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: 3\r\n\r\n{1}" % upstream.port
        ]


def test_a_get_has_no_length_and_a_post_without_body_has_one(transport: Transport) -> None:
    with RawUpstream(always(answer(b""))) as upstream:
        fetch(transport, upstream.origin(), method="GET", body=b"")
        fetch(transport, upstream.origin(), method="POST", body=b"")
        assert b"Content-Length" not in upstream.requests[0]
        assert b"Content-Length: 0\r\n" in upstream.requests[1]


def test_framing_belongs_to_the_transport_whatever_the_caller_says(transport: Transport) -> None:
    headers = {
        "HOST": "evil.example",
        "content-length": "999",
        "Transfer-Encoding": "chunked",
        "Accept-Encoding": "gzip",
        "Connection": "close",
        "Expect": "100-continue",
    }
    with RawUpstream(once(answer(b""))) as upstream:
        fetch(transport, upstream.origin(), headers=headers, body=b"{}")
        request = upstream.requests[0]
    assert request.count(b"\r\n") == 5
    assert request.endswith(b"Accept-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize(
    "value", [f"{SECRET}\r\nX: y", f"{SECRET}\n", f"{SECRET}\r", f"{SECRET}\0", f"{SECRET}\u2026"]
)
def test_a_header_value_that_breaks_out_is_refused_unseen(transport: Transport, value: str) -> None:
    with RawUpstream(once(answer(b""))) as upstream:
        with pytest.raises(ValueError, match="header value") as caught:
            fetch(transport, upstream.origin(), headers={"Authorization": value})
        assert SECRET not in repr(caught.value)
        assert upstream.peers == []


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "\u00e9", "a\0"])
def test_a_header_name_that_is_none_is_refused(transport: Transport, name: str) -> None:
    with RawUpstream(once(answer(b""))) as upstream, pytest.raises(ValueError, match="name"):
        fetch(transport, upstream.origin(), headers={name: "x"})


@pytest.mark.parametrize(
    "path",
    ["/a b", "/a\r\nX: y", "x", "@evil/", "/a#b", "/\u00e9", "/../a", "/a/%2E%2e", "/a/.", "/a\\b"],
)
def test_a_path_that_leads_elsewhere_is_refused(transport: Transport, path: str) -> None:
    with RawUpstream(once(answer(b""))) as upstream, pytest.raises(ValueError, match="path"):
        fetch(transport, upstream.origin(), path)


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "post", "GET /", ""])
def test_a_method_that_is_framed_otherwise_is_refused(transport: Transport, method: str) -> None:
    with RawUpstream(once(answer(b""))) as upstream, pytest.raises(ValueError, match="method"):
        fetch(transport, upstream.origin(), method=method)


def test_headers_are_lower_case_and_joined_and_cookies_are_gone(transport: Transport) -> None:
    head = b"X-A: 1\r\nx-a:  2 \r\nSet-Cookie: a=b\r\nset-cookie: c\r\nX-Byte: \xe9\r\n"
    with (
        RawUpstream(once(answer(b"no", head, b"429 Slow Down"))) as upstream,
        exchange(transport, upstream.origin()) as call,
    ):
        assert call.wait_head(2)
        assert call.status == 429
        assert call.headers == {"x-a": "1, 2", "x-byte": "\u00e9", "content-length": "2"}


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (answer(b"hello"), b"hello"),
        (answer(b""), b""),
        (chunked(b"hel", b"lo"), b"hello"),
        (chunked(), b""),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nT: v\r\n\r\n", b"hi"),
        (HEAD + b"\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"a"), b"a"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 2 + chunked(b"b"), b"b"),
        (answer(b"up", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), b"up"),
    ],
)
def test_a_body_is_read_however_it_is_framed(
    transport: Transport, data: bytes, body: bytes
) -> None:
    with RawUpstream(once_and_close(data)) as upstream:
        assert fetch(transport, upstream.origin()) == body


def test_an_answer_that_drips_in_byte_by_byte_is_the_same(transport: Transport) -> None:
    data = b"HTTP/1.1 103 Early Hints\r\n\r\n" + chunked(b"hel", b"lo", headers=b"A: b\r\n")

    def script(peer: Peer) -> None:
        peer.request()
        peer.drip(data)

    with RawUpstream(script) as upstream, exchange(transport, upstream.origin()) as call:
        assert call.wait_head(2)
        assert call.headers == {"a": "b", "transfer-encoding": "chunked"}
        assert call.read_all(10, 2) == b"hello"
        assert call.bytes_received == len(data)


def test_a_piece_is_handed_on_before_the_next_one_comes(transport: Transport) -> None:
    is_read = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        is_read.wait(2)
        peer.send(b"3\r\ntwo\r\n0\r\n\r\n")

    with RawUpstream(script) as upstream, exchange(transport, upstream.origin()) as call:
        before = call.first_byte_at
        assert before is None
        assert call.read(2) == b"one"
        assert call.first_byte_at is not None
        assert call.first_byte_at <= time.monotonic()
        assert call.read(0) is None
        is_read.set()
        assert call.read(2) == b"two"
        assert call.read(2) == b""
        assert call.read(2) == b""


def test_one_read_gives_at_most_64_kib(transport: Transport) -> None:
    with (
        RawUpstream(once(answer(b"x" * 1_000_000))) as upstream,
        exchange(transport, upstream.origin()) as call,
    ):
        sizes = []
        while data := call.read(2):
            sizes.append(len(data))
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= 65536


def test_a_redirect_is_an_answer_like_any_other(transport: Transport) -> None:
    with RawUpstream(always(answer(b""))) as other:
        location = b"Location: http://127.0.0.1:%d/\r\n" % other.port
        redirect = answer(b"", location, b"307 Temporary Redirect")
        with (
            RawUpstream(once(redirect)) as upstream,
            exchange(transport, upstream.origin()) as call,
        ):
            assert call.wait_head(2)
            assert call.status == 307
            assert call.read_all(10, 2) == b""
        assert other.peers == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 700 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + answer(b""),
        HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: -2\r\n\r\nhi",
        HEAD + b"Content-Length: 99999999999999999999\r\n\r\nhi",
        HEAD + b"Content-Length: 3\r\n\r\nhi",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: identity\r\n\r\nhi",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhi",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\nhi",
        HEAD + b"Content-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\nhi",
        HEAD + b"A: x\r\n folded\r\n\r\n",
        HEAD + b"A: x\0y\r\n\r\n",
        HEAD + b"A: x\ny\r\n\r\n",
        HEAD + b"A" * 70_000,
        HEAD + b"A: " + b"b" * 70_000 + b"\r\n\r\n",
        HEAD + b"A: " + b"b" * 40_000 + b"\r\nB: " + b"b" * 40_000 + b"\r\n\r\n",
        HEAD + b"A: b\r\n" * 201 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 4_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 201 + b"\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: " + b"b" * 200_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"b" * 200_000,
    ],
    ids=lambda data: repr(data[:60]) + str(len(data)),
)
def test_what_is_not_a_whole_response_is_broken(transport: Transport, data: bytes) -> None:
    with RawUpstream(once_and_close(data)) as upstream:
        with pytest.raises(ConnectionBrokenError) as caught:
            fetch(transport, upstream.origin())
        assert len(upstream.requests) == 1
        assert "hi" not in str(caught.value).replace("within", "")


def test_a_reset_in_the_middle_is_broken(transport: Transport) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + b"Content-Length: 9\r\n\r\n")
        time.sleep(0.05)
        peer.reset()

    with RawUpstream(script) as upstream, pytest.raises(ConnectionBrokenError):
        fetch(transport, upstream.origin())


def gzipped(data: bytes, wbits: int = 31) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"gzip", gzipped(b"plain" * 20_000)),
        (b"X-GZip", gzipped(b"plain" * 20_000)),
        (b"deflate", gzipped(b"plain" * 20_000, 15)),
        (b"deflate", gzipped(b"plain" * 20_000, -15)),
        (b"gzip", gzipped(b"plain" * 10_000) + gzipped(b"") + gzipped(b"plain" * 10_000)),
        (b"identity", b"plain" * 20_000),
    ],
)
def test_what_came_compressed_anyway_is_inflated(
    transport: Transport, coding: bytes, packed: bytes
) -> None:
    head = b"Content-Encoding: " + coding + b"\r\n"
    tenths = [packed[start : start + 10] for start in range(0, len(packed), 10)]
    for data in (answer(packed, head), chunked(*tenths, headers=head)):
        with RawUpstream(once(data)) as upstream:
            assert fetch(transport, upstream.origin()) == b"plain" * 20_000


def test_headers_of_an_inflated_body_say_nothing_of_its_coding(transport: Transport) -> None:
    data = answer(gzipped(b"a"), b"Content-Encoding: gzip\r\n")
    with RawUpstream(once(data)) as upstream, exchange(transport, upstream.origin()) as call:
        assert call.wait_head(2)
        assert call.headers == {}


@pytest.mark.parametrize("cut", [1, 5, 12, 20])
def test_a_compressed_body_that_is_cut_or_damaged_is_broken(transport: Transport, cut: int) -> None:
    head = b"Content-Encoding: gzip\r\n"
    packed = gzipped(bytes(range(256)))
    for data in (packed[:-cut], packed[:-cut] + b"x" * cut, packed + b"x"):
        with (
            RawUpstream(once(answer(data, head))) as upstream,
            pytest.raises(ConnectionBrokenError, match="compressed"),
        ):
            fetch(transport, upstream.origin())


def test_a_bomb_is_inflated_in_steps_and_only_as_far_as_its_reader_takes(
    transport: Transport,
) -> None:
    bomb = gzipped(bytes(64_000_000))
    assert len(bomb) < 65_536
    data = answer(bomb, b"Content-Encoding: gzip\r\n")
    with RawUpstream(once(data), once(data)) as upstream:
        with (
            exchange(transport, upstream.origin()) as call,
            pytest.raises(ResponseTooBigError),
        ):
            call.read_all(1_000_000, 2)
        with exchange(transport, upstream.origin()) as call:
            assert {len(call.read(2) or b"") for _ in range(100)} == {65_536}


def test_a_body_beyond_the_limit_is_refused_and_one_at_it_is_not(transport: Transport) -> None:
    with RawUpstream(always(answer(b"x" * 100))) as upstream:
        with exchange(transport, upstream.origin()) as call:
            assert len(call.read_all(100, 2)) == 100
        with (
            exchange(transport, upstream.origin()) as call,
            pytest.raises(ResponseTooBigError),
        ):
            call.read_all(99, 2)


def test_a_large_request_arrives_whole(transport: Transport) -> None:
    body = bytes(range(256)) * 20_000
    with RawUpstream(once(answer(b"ok"))) as upstream:
        assert fetch(transport, upstream.origin(), body=body) == b"ok"
        assert upstream.requests[0].endswith(b"\r\n\r\n" + body)


def test_an_early_answer_to_a_large_request_is_read(transport: Transport) -> None:
    def script(peer: Peer) -> None:
        peer.send(answer(b"too large", b"Connection: close\r\n", b"413 Too Large"))
        peer.sock.shutdown(1)
        time.sleep(0.1)

    with (
        RawUpstream(script) as upstream,
        exchange(transport, upstream.origin(), body=bytes(30_000_000)) as call,
    ):
        assert call.wait_head(2)
        assert call.status == 413
        assert call.read_all(100, 2) == b"too large"


def test_a_request_that_nobody_takes_ends_at_the_deadline(transport: Transport) -> None:
    with RawUpstream(lambda _: time.sleep(0.3)) as upstream, pytest.raises(DeadlineError):
        fetch(transport, upstream.origin(), body=bytes(50_000_000), within_s=0.2)


def test_a_closed_port_is_a_failure_to_connect(transport: Transport) -> None:
    with RawUpstream(once(answer(b""))) as upstream:
        origin = upstream.origin()
    with pytest.raises(ConnectFailedError, match="refused") as caught:
        fetch(transport, origin, headers={"Authorization": SECRET})
    assert SECRET not in str(caught.value)
    assert "/v1" not in str(caught.value)


def test_a_name_that_does_not_resolve_is_a_failure_to_connect(transport: Transport) -> None:
    with pytest.raises(ConnectFailedError, match="name"):
        fetch(transport, Origin(f"http://{'a' * 64}/", allow_private=True))
