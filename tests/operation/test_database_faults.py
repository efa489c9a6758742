"""A database that is locked, cut off or away: 503 and nothing sent, and the books stay whole."""

import http.client
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

import db
from tests.live import Actor, Server
from tests.operation.sites import (
    INPUT,
    OUTPUT,
    all_at_once,
    assert_whole_books,
    body_of,
    generations_of,
    has_workers,
    postgres_site,
    sqlite_site,
    wait_until,
)
from tests.servers import Postgres, engine_in_use
from tests.upstream import Upstream

pytestmark = [pytest.mark.live]

NewActor = Callable[..., Actor]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
COST = 10 * INPUT + 5 * OUTPUT
LOCKED_S = 8.0


class Lateness:
    """Reads a stamped stream to its end; how late each of its chunks came."""

    def __init__(self, actor: Actor, words: int, gap_s: float) -> None:
        actor.provider_will(words=words, gap_s=gap_s, stamp=True)
        self.stream = actor.open_stream("go", max_tokens=16_000)
        self.late_s: list[float] = []
        self.is_whole = False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        self.stream.close()

    def _read(self) -> None:
        for line in self.stream.lines():
            now = time.monotonic()
            if line == "data: [DONE]":
                self.is_whole = True
            elif line.startswith("data: ") and '"content":"' in line:
                told = json.loads(line[6:])["choices"][0]["delta"].get("content")
                if told:
                    self.late_s.append(now - float(told))


def call(actor: Actor) -> tuple[int, str]:
    """One plain call: its status, and the code of its error."""
    status, headers, told = actor.chat(max_tokens=20)
    if status != 200:
        assert status != 503 or headers["retry-after"]
        return status, told["error"]["code"]
    return status, ""


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_locked_sqlite_file_is_a_503_and_stops_no_stream(
    tmp_path: Path, upstream: Upstream, new_actor: NewActor
) -> None:
    server = sqlite_site(tmp_path, upstream)
    with engine_in_use(server.database_url):
        server.start()
        try:
            alice, bob, carol = (new_actor(server, balance_nusd=10**12) for _ in range(3))
            alice.provider_will(usage=USAGE)
            carol.provider_will(words=60, gap_s=0.02)
            rolling = carol.open_stream("go")
            stream = Lateness(bob, words=600, gap_s=0.02)
            locker = sqlite3.connect(tmp_path / "turnpike.db", isolation_level=None)
            locker.execute("BEGIN IMMEDIATE")
            locked_at, told = time.monotonic(), []
            while time.monotonic() - locked_at < LOCKED_S:
                told += all_at_once(5, lambda _: call(alice))
            locker.execute("ROLLBACK")
            locker.close()
            assert set(told) == {(503, "ledger_unavailable")}
            assert alice.asked() == []
            assert wait_until(lambda: call(alice) == (200, ""))
            stream.join()
            assert stream.is_whole
            assert len(stream.late_s) == 600
            assert max(stream.late_s) < 0.25, "the event loop stood still"
            assert rolling.events()[-1] == "[DONE]"
            assert_whole_books()
            assert [row.rule for row in generations_of(bob)] == ["b"]
            assert [row.rule for row in generations_of(carol)] == ["b"]
        finally:
            assert server.stop() == 0, server.tail()


@pytest.mark.slow
def test_a_stream_that_needs_more_while_the_file_is_locked_gets_it_afterwards(
    tmp_path: Path, upstream: Upstream, new_actor: NewActor
) -> None:
    server = sqlite_site(tmp_path, upstream)
    with engine_in_use(server.database_url):
        server.start()
        try:
            carol = new_actor(server, balance_nusd=10**12)
            carol.provider_will(words=1500, hold_before=400, gap_s=0.001)
            stream = carol.open_stream("go")
            events: list[Any] = []
            reader = threading.Thread(target=lambda: events.extend(stream.events()))
            reader.start()
            carol.upstream.wait_for(carol.space, lambda records: records[0]["pieces_sent"] == 400)
            locker = sqlite3.connect(tmp_path / "turnpike.db", isolation_level=None)
            locker.execute("BEGIN IMMEDIATE")
            carol.upstream.release(carol.space)
            time.sleep(db.BUSY_PATIENCE_S + 1.5)  # longer than the ledger waits for the lock
            locker.execute("ROLLBACK")
            locker.close()
            reader.join(90)
            assert not reader.is_alive()
            assert events[-1] == "[DONE]"
            assert_whole_books()
            [row] = generations_of(carol)
            assert (row.rule, row.output_tokens) == ("b", 1500)
        finally:
            assert server.stop() == 0, server.tail()


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.xdist_group("operation-postgres")
def test_connections_that_postgres_ends_cost_some_calls_a_503_and_nobody_money(
    postgres: Postgres, on_postgres: Server, new_actor: NewActor
) -> None:
    alice = new_actor(on_postgres, balance_nusd=10**12)
    alice.provider_will(usage=USAGE, delay_s=0.02, gap_s=0.005, usage_always=True)
    is_over = threading.Event()

    def storm() -> None:
        while not is_over.wait(0.15):
            end_connections(postgres, on_postgres)

    thread = threading.Thread(target=storm)
    thread.start()
    told: list[int] = []

    def many(caller: int) -> None:
        for number in range(25):
            body = body_of(alice, "a b c", max_tokens=20, stream=(caller + number) % 2 == 0)
            status, headers, raw = on_postgres.request(
                "POST", "/v1/chat/completions", body, alice.headers
            )
            assert status in (200, 503), raw
            assert status == 200 or headers["retry-after"]
            told.append(status)

    try:
        all_at_once(12, many)
    finally:
        is_over.set()
        thread.join()
    assert len(told) == 300
    assert told.count(200) >= 100
    wait_until(lambda: call(alice) == (200, ""))
    assert_whole_books(20)
    rows = [row for row in generations_of(alice) if row.status == "ok"]
    assert sum(row.charge_nusd for row in rows) == COST * len(rows)
    assert len(rows) == told.count(200) + 1


@pytest.mark.postgres
@pytest.mark.redis
def test_while_the_ledger_is_away_nothing_is_sent_and_what_ends_is_settled_later(
    tmp_path: Path,
    upstream: Upstream,
    postgres: Postgres,
    redis_port: int,
    new_actor: NewActor,
) -> None:
    server = postgres_site(tmp_path, upstream, postgres.new_database(), redis_port)
    with engine_in_use(server.database_url):
        server.start()
        try:
            wait_until(lambda: has_workers(2))
            alice, bob = (new_actor(server) for _ in range(2))
            alice.provider_will(usage=USAGE)
            bob.provider_will(usage=USAGE, hold_before=-1, content="good")
            assert call(alice) == (200, "")
            told: list[Any] = []
            held = threading.Thread(target=lambda: told.append(bob.chat()))
            held.start()
            bob.upstream.wait_for(bob.space, lambda records: len(records) == 1)
            db.engine().dispose()
            allow(postgres, server, is_allowed=False)
            end_connections(postgres, server)
            time.sleep(2.5)  # until what the workers remember of the keys is stale
            assert {call(alice) for _ in range(6)} == {(503, "ledger_unavailable")}
            unknown = {"Authorization": "Bearer tp_live_" + "a" * 43}
            status, _, _ = server.request("GET", "/v1/key", headers=unknown)
            assert status in (401, 503)
            assert len(alice.asked()) == 1
            bob.upstream.release(bob.space)
            held.join()
            assert told[0][0] == 200
            assert told[0][2]["choices"][0]["message"]["content"] == "good"
            allow(postgres, server, is_allowed=True)
            wait_until(lambda: answers(alice), 15)
            [row] = wait_until(lambda: generations_of(bob), 15)
            assert (row.rule, row.charge_nusd) == ("b", COST)
            assert told[0][1]["x-turnpike-cost-usd"] == "0.000125"
            assert_whole_books()
        finally:
            allow(postgres, server, is_allowed=True)
            assert server.stop() == 0, server.tail()
    postgres.drop(server.database_url)


@pytest.mark.postgres
@pytest.mark.redis
def test_a_server_that_starts_before_its_database_waits_for_it(
    tmp_path: Path,
    upstream: Upstream,
    postgres: Postgres,
    redis_port: int,
    new_actor: NewActor,
) -> None:
    server = postgres_site(tmp_path, upstream, postgres.new_database(), redis_port)
    allow(postgres, server, is_allowed=False)
    late = threading.Timer(4, lambda: allow(postgres, server, is_allowed=True))
    late.start()
    with engine_in_use(server.database_url):
        server.start()
        late.join()
        assert "is away" in server.tail()
        assert new_actor(server).chat()[0] == 200
        assert server.stop() == 0, server.tail()
    postgres.drop(server.database_url)


def answers(actor: Actor) -> bool:
    try:
        return call(actor) == (200, "")
    except (OSError, http.client.HTTPException):
        return False


def name_of(server: Server) -> str:
    return server.database_url.partition("?")[0].rpartition("/")[2]


def allow(postgres: Postgres, server: Server, *, is_allowed: bool) -> None:
    """Let nobody connect to a server's database any more, or everybody again."""
    allowed = "true" if is_allowed else "false"
    command(postgres, f"ALTER DATABASE {name_of(server)} ALLOW_CONNECTIONS {allowed}")


def end_connections(postgres: Postgres, server: Server) -> None:
    """End every connection to a server's database but our own kind."""
    command(
        postgres,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"  # noqa: S608 - a name of ours
        f" WHERE datname = '{name_of(server)}' AND application_name <> 'tests'",
    )


def command(postgres: Postgres, sql: str) -> None:
    engine = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(sql))
    engine.dispose()
