"""A server that is killed at any moment charges nobody twice, loses nothing and holds nothing."""

import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from models import Generation
from tests.live import Actor, Server
from tests.operation.sites import (
    INPUT,
    OUTPUT,
    assert_whole_books,
    body_of,
    generations_of,
    postgres_site,
    sqlite_site,
    wait_until,
)
from tests.servers import Postgres, engine_in_use
from tests.upstream import Upstream

pytestmark = [pytest.mark.live, pytest.mark.slow]

CALLS, CALLERS = 200, 16
WORDS = 12
NewActor = Callable[..., Actor]


def workers_of(server: Server) -> list[int]:
    """The worker processes."""
    assert server.process is not None
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in children.split() if is_alive(int(child))]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def kill(server: Server, victim: str, chance: random.Random) -> None:
    """Kill a worker, the master or all of them, and have a server again."""
    assert server.process is not None
    workers = workers_of(server)
    if victim == "worker":
        killed = chance.choice(workers)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not is_alive(killed) and len(workers_of(server)) == len(workers))
        return
    if victim == "both":
        server.kill()
    else:
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(10)
        wait_until(lambda: not any(is_alive(pid) for pid in workers))
    server.start()


class Crowd:
    """Two hundred calls by sixteen callers; each is made once, whatever becomes of it."""

    def __init__(self, alice: Actor, name: str) -> None:
        self.whole: dict[str, str] = {}
        self.broken: set[str] = set()
        self._alice = alice
        self._name = name
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    def wait_for(self, ended: int) -> None:
        """Come back when so many calls have ended."""
        wait_until(lambda: len(self.whole) + len(self.broken) >= ended, 20, 0.001)

    def _run(self) -> None:
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(self._call, range(CALLS)))

    def _call(self, number: int) -> None:
        name = f"{self._name}-{number}"
        body = body_of(self._alice, " ".join([name] * WORDS), stream=number % 2 == 0)
        headers = {**self._alice.headers, "X-Request-Id": name}
        connection = self._connected()
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), headers)
            response = connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException):
            self.broken.add(name)
            return
        finally:
            connection.close()
        is_whole = raw.endswith(b"data: [DONE]\n\n") if body["stream"] else raw.endswith(b"}")
        if response.status == 200 and is_whole:
            assert raw.count(name.encode()) == WORDS
            self.whole[name] = response.headers["X-Generation-Id"]
        else:
            self.broken.add(name)

    def _connected(self) -> http.client.HTTPConnection:
        """A connection; nothing is sent while there is no server."""

        def connected() -> http.client.HTTPConnection | None:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self._alice.server.port, timeout=30
            )
            try:
                connection.connect()
            except OSError:
                return None
            return connection

        return wait_until(connected, 20)


def assert_sound(alice: Actor, crowd: Crowd) -> Counter[str]:
    """Every call has one row at the most, and the row fits what its caller and the provider saw."""
    rows: dict[str, Generation] = {}
    for row in generations_of(alice):
        if row.request_id and row.request_id.startswith(f"{crowd._name}-"):
            assert row.request_id not in rows
            rows[row.request_id] = row
    asked: Counter[str] = Counter()
    for record in alice.asked():
        asked[json.loads(record["body"])["messages"][0]["content"].split()[0]] += 1
    assert max(asked.values()) == 1
    for name, generation_id in crowd.whole.items():
        assert rows[name].id == generation_id
        assert (rows[name].status, rows[name].rule) == ("ok", "b")
        assert rows[name].charge_nusd == WORDS * (INPUT + OUTPUT)
    for name in crowd.broken & set(rows):
        row = rows[name]
        if row.status == "ok":  # settled, and killed before the caller had it: row n
            assert row.charge_nusd == WORDS * (INPUT + OUTPUT)
        elif row.is_streamed and row.rule == "m":
            assert asked[name] == 1
            assert row.charge_nusd > 0
        else:
            assert (row.rule in "fhijl", row.charge_nusd) == (True, 0) or row.is_streamed
    return Counter(row.rule for row in rows.values())


def test_calls_are_paid_once_or_not_at_all_when_workers_and_masters_are_killed(
    tmp_path: Path, upstream: Upstream, new_actor: NewActor
) -> None:
    server = sqlite_site(tmp_path, upstream)
    chance = random.Random(20261121)  # noqa: S311 - picks the moment of a kill
    seen: Counter[str] = Counter()
    with engine_in_use(server.database_url):
        server.start()
        try:
            for victim in ("worker", "both", "master", "worker"):
                alice = new_actor(server, balance_nusd=10**11)
                alice.provider_will(delay_s=0.05, gap_s=0.02)
                crowd = Crowd(alice, victim)
                crowd.start()
                crowd.wait_for(chance.randrange(CALLS // 10, CALLS // 2))
                time.sleep(chance.random() * 0.1)
                kill(server, victim, chance)
                crowd.join()
                assert_whole_books()
                seen += assert_sound(alice, crowd)
                assert len(crowd.broken) <= CALLERS * 2
        finally:
            assert server.stop() == 0, server.tail()
    assert seen["b"] > 3 * CALLS
    assert seen["l"] + seen["m"] > 0


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.timeout(150)
def test_a_worker_that_is_killed_leaves_its_holds_to_the_others_for_a_minute_at_the_most(
    tmp_path: Path,
    upstream: Upstream,
    postgres: Postgres,
    redis_port: int,
    new_actor: NewActor,
) -> None:
    server = postgres_site(tmp_path, upstream, postgres.new_database(), redis_port)
    chance = random.Random(20261121)  # noqa: S311 - picks the moment of a kill
    crowds: list[tuple[Actor, Crowd]] = []
    with engine_in_use(server.database_url):
        server.start()
        try:
            for victim in ("worker", "both"):
                alice = new_actor(server, balance_nusd=10**11)
                alice.provider_will(delay_s=0.05, gap_s=0.02)
                crowd = Crowd(alice, victim + str(len(crowds)))
                crowd.start()
                crowd.wait_for(chance.randrange(CALLS // 10, CALLS // 2))
                kill(server, victim, chance)
                crowd.join()
                crowds.append((alice, crowd))
            assert_whole_books(60)
            for alice, crowd in crowds:
                assert_sound(alice, crowd)
        finally:
            assert server.stop() == 0, server.tail()
    postgres.drop(server.database_url)


def test_a_killed_plain_call_is_free_a_stream_costs_its_checkpoint_and_a_settled_call_its_price(
    tmp_path: Path, upstream: Upstream, new_actor: NewActor
) -> None:
    server = sqlite_site(tmp_path, upstream)
    with engine_in_use(server.database_url):
        server.start()
        try:
            plain, streamed, done = (new_actor(server) for _ in range(3))
            plain.provider_will(hold_before=-1)
            streamed.provider_will(words=400, gap_s=0.05)
            cost_nusd = _cost_of(done)
            with ThreadPoolExecutor(1) as pool:
                told = pool.submit(_broken_off, plain)
                plain.upstream.wait_for(plain.space, lambda records: len(records) == 1)
                stream = streamed.open_stream("one two three")
                lines = stream.lines()
                seen_words = _words_for(lines, 3.2)
                os.kill(workers_of(server)[0], signal.SIGKILL)
                assert told.result(30)
            stream.close()
            server.wait_until_ready()
            assert_whole_books()
            [row] = generations_of(plain)
            assert (row.status, row.rule, row.charge_nusd) == ("lost", "l", 0)
            [row] = generations_of(streamed)
            assert (row.rule, row.basis, row.status) == ("m", "estimated", "error")
            assert row.input_tokens is not None
            assert row.output_tokens is not None
            assert row.charge_nusd == row.input_tokens * INPUT + row.output_tokens * OUTPUT
            assert 3 <= row.input_tokens <= 13 + 16
            assert seen_words / 3 < row.output_tokens <= seen_words * 1.5
            [row] = generations_of(done)
            assert (row.rule, row.charge_nusd) == ("b", cost_nusd)
            verified = server.flask("ledger", "verify", "--json")
            assert (verified.returncode, json.loads(verified.stdout)["violations"]) == (0, [])
        finally:
            assert server.stop() == 0, server.tail()


def _cost_of(actor: Actor) -> int:
    _, _, told = actor.chat("hello")
    cost: int = actor.generation(told["id"])["amount_nusd"]
    assert cost > 0
    return cost


def _broken_off(actor: Actor) -> bool:
    try:
        actor.chat()
    except (OSError, http.client.HTTPException):
        return True
    return False


def _words_for(lines: Any, seconds: float) -> int:
    give_up_at, words = time.monotonic() + seconds, 0
    while time.monotonic() < give_up_at:
        words += "content" in next(lines)
    return words
