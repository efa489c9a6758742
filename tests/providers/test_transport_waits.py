"""Waiting: deadlines, silence, and being woken by somebody else."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from providers.transport import (
    ConnectionBrokenError,
    DeadlineError,
    Exchange,
    Transport,
    TransportAbortedError,
)
from tests.providers.raw_upstream import (
    HEAD,
    Peer,
    RawUpstream,
    answer,
    echo_path,
    exchange,
    fetch,
    once,
)


@pytest.fixture
def transport() -> Iterator[Transport]:
    with contextlib.closing(Transport()) as opened:
        yield opened


def read_patiently(call: Exchange) -> None:
    while call.read(0.05) != b"":
        pass


def silent(peer: Peer) -> None:
    peer.wait_for_close()


def test_a_head_can_be_waited_for_again(transport: Transport) -> None:
    goes_on = threading.Event()
    data = answer(b"hi", b"A: b\r\n")

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(data[:20])
        goes_on.wait(2)
        peer.send(data[20:])
        peer.wait_for_close()

    with RawUpstream(script) as upstream, exchange(transport, upstream.origin()) as call:
        assert call.wait_head(0.05) is False
        assert call.wait_head(0.0) is False
        assert call.read(0.0) is None
        assert call.status == 0
        goes_on.set()
        assert call.wait_head(2) is True
        assert call.wait_head(0.0) is True
        assert (call.status, call.headers["a"]) == (200, "b")
        assert call.read_all(10, 2) == b"hi"


def test_a_silent_body_gives_nothing_and_can_be_read_again(transport: Transport) -> None:
    goes_on = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + b"Content-Length: 4\r\n\r\nab")
        goes_on.wait(2)
        peer.send(b"cd")
        peer.wait_for_close()

    with RawUpstream(script) as upstream, exchange(transport, upstream.origin()) as call:
        assert call.read(2) == b"ab"
        assert call.read(0.03) is None
        goes_on.set()
        assert call.read(2) == b"cd"
        assert call.read(2) == b""


def test_a_body_that_falls_silent_is_not_read_whole(transport: Transport) -> None:
    with (
        RawUpstream(once(HEAD + b"Content-Length: 4\r\n\r\nab")) as upstream,
        exchange(transport, upstream.origin()) as call,
    ):
        assert call.wait_head(2)
        with pytest.raises(DeadlineError, match="silent"):
            call.read_all(10, 0.05)


DRIPS = {
    "head": HEAD + b"A: " + b"b" * 5_000,
    "body": HEAD + b"Content-Length: 5000\r\n\r\n" + b"b" * 5_000,
    "chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 5_000,
    "trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: " + b"b" * 5_000,
}


@pytest.mark.parametrize("data", DRIPS.values(), ids=DRIPS)
def test_the_deadline_holds_however_the_answer_drips(transport: Transport, data: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.drip(data, 0.002)

    with RawUpstream(script) as upstream:
        began = time.monotonic()
        with (
            exchange(transport, upstream.origin(), within_s=0.2) as call,
            pytest.raises(DeadlineError),
        ):
            read_patiently(call)
        assert 0.15 < time.monotonic() - began < 0.6


def test_the_deadline_holds_in_silence(transport: Transport) -> None:
    with RawUpstream(silent) as upstream:
        began = time.monotonic()
        with (
            exchange(transport, upstream.origin(), within_s=0.1) as call,
            pytest.raises(DeadlineError),
        ):
            call.wait_head(5)
        assert time.monotonic() - began < 0.5


def test_nothing_is_sent_after_the_deadline(transport: Transport) -> None:
    with RawUpstream(echo_path) as upstream:
        fetch(transport, upstream.origin())
        with pytest.raises(DeadlineError):
            fetch(transport, upstream.origin(), within_s=0.0)
        with contextlib.closing(Transport()) as fresh, pytest.raises(DeadlineError):
            fetch(fresh, upstream.origin(), within_s=0.0)
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("data", [b"", HEAD + b"Content-Length: 9\r\n\r\n", HEAD + b"\r\n"])
def test_an_abort_from_another_thread_wakes_the_reader(transport: Transport, data: bytes) -> None:
    with RawUpstream(once(data)) as upstream, exchange(transport, upstream.origin()) as call:
        timer = threading.Timer(0.1, call.abort)
        timer.start()
        began = time.monotonic()
        with pytest.raises(TransportAbortedError):
            call.read_all(10, 5)
        assert 0.05 < time.monotonic() - began < 0.5
        timer.join()
        with pytest.raises(TransportAbortedError):
            call.read(1)
        call.abort()


def test_an_abort_holds_for_waits_that_come_after_it(transport: Transport) -> None:
    with (
        RawUpstream(once(answer(b"whole"))) as upstream,
        exchange(transport, upstream.origin()) as call,
    ):
        call.abort()
        call.abort()
        with pytest.raises(TransportAbortedError):
            call.wait_head(1)


def test_an_aborted_exchange_is_not_sent_again(transport: Transport) -> None:
    def answers_once(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"first"))
        peer.wait_for_close()

    with RawUpstream(answers_once, echo_path) as upstream:
        assert fetch(transport, upstream.origin()) == b"first"
        with exchange(transport, upstream.origin()) as call:
            timer = threading.Timer(0.05, call.abort)
            timer.start()
            with pytest.raises(TransportAbortedError):
                call.wait_head(2)
            timer.join()
        assert len(upstream.peers) == 1


def test_a_closed_exchange_gives_nothing_more(transport: Transport) -> None:
    with (
        RawUpstream(once(HEAD + b"Content-Length: 9\r\n\r\na")) as upstream,
        exchange(transport, upstream.origin()) as call,
    ):
        assert call.wait_head(2)
        call.close()
        call.close()
        with pytest.raises(ConnectionBrokenError, match="closed"):
            read_patiently(call)
