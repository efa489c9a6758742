"""What holds across workers, and under the other settings of the ledger."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import db
from gateway import keys
from tests.live import Actor, Server
from tests.operation.sites import sqlite_site
from tests.servers import engine_in_use
from tests.upstream import Upstream

pytestmark = [pytest.mark.live]

NewActor = Callable[..., Actor]
CALLS = 24


def statuses(alice: Actor) -> set[int]:
    """The statuses of calls on connections of their own, so that they reach both workers."""
    with ThreadPoolExecutor(CALLS) as pool:
        return set(pool.map(lambda _: alice.get("/v1/key")[0], range(CALLS)))


def test_a_key_that_is_stopped_is_dead_on_every_worker_within_two_seconds(
    server: Server, new_actor: NewActor
) -> None:
    alice = new_actor(server)
    assert statuses(alice) == {200}
    with db.transaction() as session:
        keys.stop(session, alice.key_id, "test")
    stopped_at = time.monotonic()
    while statuses(alice) != {401}:
        assert time.monotonic() - stopped_at < 2
    with db.transaction() as session:
        keys.start(session, alice.key_id, "test")
    started_at = time.monotonic()
    while statuses(alice) != {200}:
        assert time.monotonic() - started_at < 2


def test_a_limit_that_is_lowered_holds_within_two_seconds(
    server: Server, new_actor: NewActor
) -> None:
    alice = new_actor(server)
    assert alice.get("/v1/key")[1]["x-ratelimit-limit"] == "1000000"
    with db.transaction() as session:
        keys.update(session, alice.key_id, {"rpm": 7}, "test")
    changed_at = time.monotonic()
    while alice.get("/v1/key")[1]["x-ratelimit-limit"] != "7":
        assert time.monotonic() - changed_at < 2
        time.sleep(0.05)


def test_each_settlement_may_be_synced_before_its_answer(
    tmp_path: Path, upstream: Upstream, new_actor: NewActor
) -> None:
    server = sqlite_site(tmp_path, upstream)
    server.env["TURNPIKE_LEDGER_SYNC"] = "always"
    with engine_in_use(server.database_url):
        server.start()
        try:
            alice = new_actor(server)
            with ThreadPoolExecutor(8) as pool:
                told = list(pool.map(lambda _: alice.chat("hello there")[0], range(40)))
            assert told == [200] * 40
            assert alice.open_stream("one two").events()[-1] == "[DONE]"
        finally:
            assert server.stop() == 0, server.tail()
