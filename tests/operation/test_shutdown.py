"""SIGTERM and Ctrl-C: streams end or say why, holds are resolved, and nobody waits for the idle."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live import Actor, Stream
from tests.operation.sites import (
    all_at_once,
    assert_whole_books,
    body_of,
    generations_of,
    sqlite_site,
    wait_until,
)
from tests.servers import engine_in_use
from tests.upstream import Upstream

pytestmark = [pytest.mark.live]

DRAIN_S = 3.0
NewActor = Callable[..., Actor]


def read_to_end(stream: Stream) -> list[object]:
    return stream.events()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_ends_every_stream_and_exits_cleanly(
    tmp_path: Path, upstream: Upstream, new_actor: NewActor, how: signal.Signals
) -> None:
    server = sqlite_site(tmp_path, upstream, TURNPIKE_DRAIN_S=str(int(DRAIN_S)))
    with engine_in_use(server.database_url):
        server.start()
        try:
            assert server.process is not None
            short, endless, waiting = (new_actor(server, balance_nusd=10**11) for _ in range(3))
            short.provider_will(words=30, gap_s=0.05)
            endless.provider_will(words=4000, gap_s=0.05)
            waiting.provider_will(is_silent=True)
            idle = [_idle_connection(short) for _ in range(10)]
            with ThreadPoolExecutor(51) as pool:
                asked = pool.submit(waiting.chat)
                streams = all_at_once(
                    50, lambda number: (short if number % 2 else endless).open_stream("go")
                )
                waiting.upstream.wait_for(waiting.space, lambda records: len(records) == 1)
                ended = [pool.submit(read_to_end, stream) for stream in streams]
                told_at = time.monotonic()
                os.killpg(server.process.pid, how)
                assert server.process.poll() is None
                wait_until(lambda: _is_refused(server.port), 2.5)
                for connection in idle:
                    assert connection.recv(1) == b""
                    connection.close()
                assert time.monotonic() - told_at < DRAIN_S
                events = [each.result() for each in ended]
                status, headers, told = asked.result()
            exit_code = server.process.wait(20)
            assert time.monotonic() - told_at < DRAIN_S + 5
            assert exit_code == 0, server.tail()
        finally:
            server.kill()
        for number, found in enumerate(events):
            if number % 2:
                assert found[-1] == "[DONE]"
            else:
                assert found[-1]["error"]["code"] == "shutting_down"  # type: ignore[index]
        assert (status, told["error"]["code"]) == (503, "shutting_down")
        assert headers["retry-after"] == "1"
        assert_whole_books(0)
        assert {row.rule for row in generations_of(short)} == {"b"}
        assert {row.rule for row in generations_of(endless)} == {"j"}
        assert sum(row.charge_nusd for row in generations_of(waiting)) == 0
        assert len(generations_of(short)) == len(generations_of(endless)) == 25


def test_a_request_on_a_kept_connection_during_the_drain_is_told_to_come_back(
    tmp_path: Path, upstream: Upstream, new_actor: NewActor
) -> None:
    server = sqlite_site(tmp_path, upstream)
    with engine_in_use(server.database_url):
        server.start()
        try:
            assert server.process is not None
            alice = new_actor(server)
            alice.provider_will(words=3, hold_before=2)
            plain, streamed = (
                _raw(alice, json.dumps(body_of(alice, stream=each)).encode())
                for each in (False, True)
            )
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
                line.sendall(streamed)
                heard = line.recv(65536)
                assert b"Connection: keep-alive" in heard
                line.sendall(plain)
                server.process.send_signal(signal.SIGTERM)
                wait_until(lambda: _is_refused(server.port), 2.5)
                alice.upstream.release(alice.space)
                while data := line.recv(65536):
                    heard += data
            first, _, second = heard.partition(b"data: [DONE]")
            assert first.startswith(b"HTTP/1.1 200 ")
            head = second.partition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")[0].split(b"\r\n")
            assert head[0].startswith(b"503 ")
            assert {b"Retry-After: 1", b"Connection: close"} <= set(head)
            assert len(alice.asked()) == 1
            assert server.process.wait(20) == 0
        finally:
            server.kill()
        assert_whole_books(0)


def test_an_answer_that_ends_during_the_drain_says_that_its_connection_closes(
    tmp_path: Path, upstream: Upstream, new_actor: NewActor
) -> None:
    server = sqlite_site(tmp_path, upstream)
    with engine_in_use(server.database_url):
        server.start()
        try:
            assert server.process is not None
            alice = new_actor(server)
            alice.provider_will(hold_before=-1)
            told: list[dict[str, str]] = []
            call = threading.Thread(target=lambda: told.append(alice.chat()[1]))
            call.start()
            alice.upstream.wait_for(alice.space, lambda records: len(records) == 1)
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: _is_refused(server.port), 2.5)
            alice.upstream.release(alice.space)
            call.join()
            assert told[0]["connection"] == "close"
            assert server.process.wait(20) == 0
        finally:
            server.kill()


def _idle_connection(actor: Actor) -> socket.socket:
    """A connection that has been used and waits for its next request."""
    connection = http.client.HTTPConnection("127.0.0.1", actor.server.port, timeout=10)
    connection.request("GET", "/v1/key", headers=actor.headers)
    response = connection.getresponse()
    assert response.status == 200
    response.read()
    assert connection.sock is not None
    return connection.sock


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def _raw(actor: Actor, body: bytes) -> bytes:
    head = "\r\n".join(f"{name}: {value}" for name, value in actor.headers.items())
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{head}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
