"""Which connections are used again, and that no byte of one answer reaches another."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from providers.connection import Connection
from providers.pool import Pool
from providers.transport import ConnectionBrokenError, Origin, Transport
from tests.providers.raw_upstream import (
    HEAD,
    Peer,
    RawUpstream,
    Script,
    always,
    answer,
    chunked,
    echo_path,
    exchange,
    fetch,
    once_and_close,
)


@pytest.fixture
def transport() -> Iterator[Transport]:
    with contextlib.closing(Transport()) as opened:
        yield opened


def test_a_connection_is_used_again_after_a_whole_answer(transport: Transport) -> None:
    with RawUpstream(echo_path) as upstream:
        origin = upstream.origin()
        assert [fetch(transport, origin, f"/{n}") for n in range(3)] == [
            b"/v1/0",
            b"/v1/1",
            b"/v1/2",
        ]
        assert len(upstream.peers) == 1


def test_the_connection_that_was_used_last_is_used_first(transport: Transport) -> None:
    with RawUpstream(echo_path) as upstream:
        origin = upstream.origin()
        with exchange(transport, origin, "/a") as first:
            fetch(transport, origin, "/b")
            assert first.read_all(10, 2) == b"/v1/a"
        fetch(transport, origin, "/c")
        fetch(transport, origin, "/d")
        assert [len(peer.requests) for peer in upstream.peers] == [3, 1]


@pytest.mark.parametrize(
    "data",
    [
        answer(b"ok", b"Connection: close\r\n"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        answer(b"ok") + b"H",
        answer(b"ok") + b"junk",
        answer(b"ok") + answer(b"stolen"),
        answer(b"ok") + b"HTTP/1.1 100 Continue\r\n\r\n",
        chunked(b"ok") + answer(b"stolen"),
        chunked(b"ok") + b"0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\nok",
    ],
)
def test_a_connection_with_something_behind_the_answer_is_not_used_again(
    transport: Transport, data: bytes
) -> None:
    with RawUpstream(always(data)) as upstream:
        for _ in range(3):
            assert fetch(transport, upstream.origin()) in (b"ok", b"")
        assert len(upstream.peers) == 3


def test_junk_that_comes_later_never_becomes_the_next_answer(transport: Transport) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"mine"))
        time.sleep(0.03)
        peer.send(answer(b"stolen"))
        peer.wait_for_close()

    with RawUpstream(script, echo_path) as upstream:
        assert fetch(transport, upstream.origin()) == b"mine"
        time.sleep(0.1)
        assert fetch(transport, upstream.origin(), "/b") == b"/v1/b"
        assert len(upstream.peers[0].requests) == 1


@pytest.mark.parametrize("is_head_read", [True, False])
def test_an_answer_that_was_not_read_to_its_end_costs_the_connection(
    transport: Transport, is_head_read: bool
) -> None:
    with RawUpstream(always(answer(b"x" * 200_000))) as upstream:
        with exchange(transport, upstream.origin()) as call:
            if is_head_read:
                assert call.wait_head(2)
                assert call.read(2)
        assert len(fetch(transport, upstream.origin())) == 200_000
        assert len(upstream.peers) == 2


def test_a_failed_exchange_and_an_aborted_one_cost_the_connection(transport: Transport) -> None:
    with RawUpstream(always(answer(b"x" * 10))) as upstream:
        with exchange(transport, upstream.origin()) as call:
            assert call.wait_head(2)
            assert len(call.read_all(10, 2)) == 10
            call.abort()
        fetch(transport, upstream.origin())
        assert len(upstream.peers) == 2


def test_an_abort_after_close_does_not_reach_the_next_exchange(transport: Transport) -> None:
    with RawUpstream(echo_path) as upstream:
        origin = upstream.origin()
        with exchange(transport, origin) as first:
            first.read_all(100, 2)
        with exchange(transport, origin, "/second") as second:
            first.abort()
            first.close()
            assert second.read_all(100, 2) == b"/v1/second"
        assert len(upstream.peers) == 1


def test_origins_that_differ_in_what_they_may_reach_share_nothing(transport: Transport) -> None:
    with RawUpstream(echo_path) as upstream:
        fetch(transport, upstream.origin())
        refused = upstream.origin(allow_private=False)
        with pytest.raises(Exception, match="public"):
            fetch(transport, refused)


def closes_on_second_request(peer: Peer) -> None:
    peer.request()
    peer.send(answer(b"first"))
    peer.request()


def resets_on_second_request(peer: Peer) -> None:
    closes_on_second_request(peer)
    peer.reset()


@pytest.mark.parametrize("stale", [closes_on_second_request, resets_on_second_request])
def test_a_stale_connection_is_replaced(transport: Transport, stale: Script) -> None:
    with RawUpstream(stale, echo_path) as upstream:
        assert fetch(transport, upstream.origin()) == b"first"
        assert fetch(transport, upstream.origin(), "/again", body=b"{7}") == b"/v1/again"
        assert len(upstream.requests) == 3
        assert upstream.requests[1] == upstream.requests[2]


def test_a_stale_connection_is_replaced_only_once(transport: Transport) -> None:
    def silent(peer: Peer) -> None:
        peer.request()

    with RawUpstream(closes_on_second_request, silent, echo_path) as upstream:
        fetch(transport, upstream.origin())
        with pytest.raises(ConnectionBrokenError):
            fetch(transport, upstream.origin())
        assert len(upstream.requests) == 3


def test_nothing_is_sent_again_once_a_byte_came_back(transport: Transport) -> None:
    def one_byte(peer: Peer) -> None:
        closes_on_second_request(peer)
        peer.send(b"H")

    with RawUpstream(one_byte, echo_path) as upstream:
        fetch(transport, upstream.origin())
        with pytest.raises(ConnectionBrokenError):
            fetch(transport, upstream.origin())
        assert len(upstream.requests) == 2


def test_a_fresh_connection_is_never_replaced(transport: Transport) -> None:
    def silent(peer: Peer) -> None:
        peer.request()

    with RawUpstream(silent, echo_path) as upstream:
        with pytest.raises(ConnectionBrokenError):
            fetch(transport, upstream.origin())
        assert len(upstream.requests) == 1


def test_a_connection_that_the_peer_closed_meanwhile_is_not_tried(transport: Transport) -> None:
    with RawUpstream(once_and_close(answer(b"ok"))) as upstream:
        for _ in range(3):
            assert fetch(transport, upstream.origin()) == b"ok"
            time.sleep(0.02)
        assert [len(peer.requests) for peer in upstream.peers] == [1, 1, 1]


def pooled(pool: Pool, origin: Origin) -> Connection:
    connection = Connection(origin.key)
    pool.connect(connection, origin, time.monotonic() + 2)
    return connection


def test_a_connection_that_was_idle_for_too_long_is_closed() -> None:
    pool = Pool(None, idle_s=0.05)
    with RawUpstream(Peer.wait_for_close) as upstream:
        origin = upstream.origin()
        pool.put(pooled(pool, origin))
        young = pool.take(origin.key)
        assert young is not None
        assert young.is_reused
        pool.put(young)
        time.sleep(0.06)
        assert pool.take(origin.key) is None
        assert not young.is_silent()


def test_only_so_many_idle_connections_are_kept() -> None:
    pool = Pool(None, idle_connections=2)
    with RawUpstream(Peer.wait_for_close) as upstream:
        origin = upstream.origin()
        connections = [pooled(pool, origin) for _ in range(3)]
        for connection in connections:
            pool.put(connection)
        assert [connection.is_silent() for connection in connections] == [True, True, False]
        pool.close()
        assert not any(connection.is_silent() for connection in connections)


def test_closing_the_transport_closes_what_is_idle_and_what_comes_back() -> None:
    transport = Transport()
    with RawUpstream(echo_path) as upstream:
        fetch(transport, upstream.origin())
        with exchange(transport, upstream.origin(), "/late") as late:
            transport.close()
            assert late.read_all(10, 2) == b"/v1/late"
        deadline = time.monotonic() + 2
        while upstream.peers[0].sock.fileno() >= 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert upstream.peers[0].sock.fileno() < 0


def test_many_callers_with_aborts_among_them_each_get_their_own_answer(
    transport: Transport,
) -> None:
    wrong: list[bytes] = []

    def call(worker: int) -> None:
        for turn in range(60):
            path = f"/{worker}-{turn}"
            with exchange(transport, origin, path) as opened:
                if turn % 7 == 0:
                    opened.abort()
                    continue
                if turn % 5 == 0:
                    opened.wait_head(2)
                    continue
                got = opened.read_all(100, 2)
                if got != f"/v1{path}".encode():
                    wrong.append(got)

    with RawUpstream(echo_path) as upstream:
        origin = upstream.origin()
        threads = [threading.Thread(target=call, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_small_writes_are_not_held_back(transport: Transport) -> None:
    with RawUpstream(echo_path) as upstream, exchange(transport, upstream.origin()) as call:
        assert call._connection is not None
        sock = call._connection._socket
        assert sock is not None
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_answer_in_many_tiny_chunks_leaves_the_connection_good(transport: Transport) -> None:
    data = chunked(*[b"x"] * 20_000)
    assert data.startswith(HEAD)
    with RawUpstream(always(data)) as upstream:
        for _ in range(3):
            assert fetch(transport, upstream.origin()) == b"x" * 20_000
        assert len(upstream.peers) == 1
