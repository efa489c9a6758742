"""Clients that leave: noticed at once, paid for by the table, and never mixed up with others."""

import json
import random
import socket
import time
from collections.abc import Callable

import pytest

from models import Generation
from tests.live import Actor, Server
from tests.operation.sites import (
    INPUT,
    OUTPUT,
    all_at_once,
    body_of,
    generations_of,
    only_generation,
    wait_until,
)

pytestmark = [pytest.mark.live]

NewActor = Callable[..., Actor]
USAGE = {"prompt_tokens": 10, "completion_tokens": 40, "total_tokens": 50}


def sent(actor: Actor, body: object, request_id: str = "r") -> socket.socket:
    """A connection on which the call has been sent."""
    raw = json.dumps(body).encode()
    headers = {**actor.headers, "X-Request-Id": request_id, "Content-Length": str(len(raw))}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["POST /v1/chat/completions HTTP/1.1", "Host: x", *lines, "", ""])
    line = socket.create_connection(("127.0.0.1", actor.server.port), timeout=30)
    line.sendall(head.encode() + raw)
    return line


def leave(line: socket.socket, how: str) -> None:
    if how == "half-close":
        line.shutdown(socket.SHUT_WR)
    elif how == "reset":
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        line.close()
    else:
        line.close()


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
@pytest.mark.parametrize(
    ("moment", "is_streamed"),
    [
        ("before the head", False),
        ("before the head", True),
        ("after the head", False),
        ("after the head", True),
        ("midway", True),
    ],
)
def test_a_client_that_leaves_a_silent_provider_is_noticed_at_once(
    server: Server, new_actor: NewActor, moment: str, is_streamed: bool, how: str
) -> None:
    alice = new_actor(server)
    held_before = {"before the head": -1, "after the head": 0, "midway": 4}[moment]
    alice.provider_will(words=20, hold_before=held_before, framing="chunked")
    line = sent(alice, body_of(alice, stream=is_streamed))
    alice.upstream.wait_for(
        alice.space, lambda records: [r["pieces_sent"] for r in records] == [max(held_before, 0)]
    )
    if moment == "midway":
        seen = b""
        while seen.count(b'"word "') < 3:
            seen += line.recv(65536)
    else:
        time.sleep(0.1)  # for the head to be read, which nobody tells
    left_at = time.monotonic()
    leave(line, how)
    records = alice.upstream.wait_for(alice.space, lambda records: bool(records[0]["aborted_at"]))
    assert records[0]["aborted_at"] - left_at < 2
    row = only_generation(alice)
    assert (row.status, row.is_cancelled) == ("cancelled", True)
    if moment == "midway":
        assert row.rule == "i"
        assert row.charge_nusd >= INPUT + 3 * OUTPUT
    else:
        assert row.rule == "h"
        assert row.output_tokens in (None, 0)
        assert row.charge_nusd <= 30 * INPUT
        assert bool(row.charge_nusd) == (moment == "after the head")
    assert len(records) == 1
    line.close()


@pytest.mark.parametrize("is_streamed", [False, True], ids=["plain", "streamed"])
def test_a_provider_that_bills_on_is_read_to_its_end_and_paid_what_it_says(
    server: Server, new_actor: NewActor, is_streamed: bool
) -> None:
    alice = new_actor(server)
    alice.provider_will(words=40, gap_s=0.02, first_gap_s=0.3, usage=USAGE)
    line = sent(alice, body_of(alice, model="billed", stream=is_streamed))
    if is_streamed:
        assert b"200 OK" in line.recv(4096)
    else:
        alice.upstream.wait_for(alice.space, lambda records: len(records) == 1)
    line.close()
    row = only_generation(alice)
    assert row.charge_nusd == 10 * INPUT + 40 * OUTPUT
    assert (row.basis, row.rule) == ("provider", "i")
    [record] = alice.asked()
    assert record["pieces_sent"] >= (42 if is_streamed else 1)


@pytest.mark.xdist_group("operation-sqlite")
def test_three_hundred_callers_of_whom_many_leave_never_hear_each_others_words(
    on_sqlite: Server, new_actor: NewActor
) -> None:
    alice = new_actor(on_sqlite, balance_nusd=10**12)
    alice.provider_will(gap_s=0.004, burst=2)
    chance = random.Random(7)  # noqa: S311 - picks who leaves when
    plans = [(chance.random() < 0.4, chance.random() * 0.12) for _ in range(300)]

    def call(caller: int) -> None:
        for number in range(caller, 300, 30):
            _call(alice, number, *plans[number])

    all_at_once(30, call)
    rows = wait_until(lambda: _all(alice, 300), 20)
    assert {row.rule for row in rows} <= {"b", "h", "i"}
    assert sum(row.rule == "b" for row in rows) >= 180


def _call(alice: Actor, number: int, leaves: bool, after_s: float) -> None:
    name, others = f"nonce{number:03}", b"nonce"
    words = " ".join([name] * 20)
    line = sent(alice, body_of(alice, words, stream=number % 2 == 0), name)
    line.settimeout(after_s if leaves else 30)
    heard = b""
    try:
        while not (heard.endswith(b"0\r\n\r\n") or _is_whole(heard)):
            data = line.recv(65536)
            if not data:
                break
            heard += data
    except TimeoutError:
        assert leaves
    finally:
        line.close()
    assert heard.count(others) == heard.count(name.encode())
    if not leaves:
        assert heard.count(name.encode()) >= 20


def _is_whole(heard: bytes) -> bool:
    head, _, body = heard.partition(b"\r\n\r\n")
    _, found, length = head.lower().partition(b"content-length: ")
    return bool(found) and len(body) >= int(length.split(b"\r\n")[0])


def _all(alice: Actor, count: int) -> list[Generation] | None:
    rows = generations_of(alice)
    return rows if len(rows) == count else None
