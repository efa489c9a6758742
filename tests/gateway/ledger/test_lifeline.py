"""The holds of a dead worker end once, by whoever gets there; a clock that jumps kills nobody."""

import threading
import time

import pytest

from gateway.ledger import lifeline
from gateway.ledger.lifeline import Lifeline, expire_of, expire_stale
from tests.clocks import StoppedClock
from tests.gateway.ledger.books import ALICE, DAY, USD, Books


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    """The watcher's own monotonic clock, stopped."""
    stopped = StoppedClock()
    monkeypatch.setattr(time, "monotonic", stopped.read)
    return stopped


def test_a_dead_workers_plain_call_costs_nothing(books: Books) -> None:
    books.open(bonus_nusd=USD)
    cap = books.cap(100)
    books.hold("gen-1", 60, ((cap, DAY),), worker_id="wrk_dead")
    assert expire_of(books.writer, "wrk_dead") == 1
    assert books.wallet() == (USD, 0)
    assert books.rows("SELECT state FROM holds") == [("expired",)]
    assert books.rows("SELECT status, rule, basis, charge_nusd FROM generations") == [
        ("lost", "l", "none", 0)
    ]
    assert books.rows("SELECT used_nusd, held_nusd FROM cap_windows") == [(0, 0)]
    assert books.violations() == []


def test_a_dead_workers_stream_costs_its_last_checkpoint(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.hold("gen-1", 60, worker_id="wrk_dead")
    books.checkpoint("gen-1", 25)
    assert expire_of(books.writer, "wrk_dead") == 1
    assert books.wallet() == (USD - 25, 0)
    assert books.rows("SELECT status, rule, charge_nusd FROM generations") == [("lost", "m", 25)]
    assert books.rows("SELECT generation_id FROM attempts") == [("gen-1",)]
    assert books.violations() == []


def test_an_expiry_never_charges_more_than_was_held(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.hold("gen-1", 60, worker_id="wrk_dead")
    books.checkpoint("gen-1", 80)
    expire_of(books.writer, "wrk_dead")
    assert books.wallet() == (USD - 60, 0)
    assert books.value("SELECT overrun_nusd FROM generations") == 0


def test_only_the_dead_workers_holds_end(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.hold("gen-1", 60, worker_id="wrk_dead")
    books.hold("gen-2", 40)
    assert expire_of(books.writer, "wrk_dead") == 1
    assert expire_of(books.writer, "wrk_dead") == 0
    assert books.wallet() == (USD, 40)


def test_more_holds_than_one_look_takes_all_end(sqlite_books: Books) -> None:
    sqlite_books.open(bonus_nusd=USD)
    for number in range(lifeline.MOST_AT_ONCE + 5):
        sqlite_books.hold(f"gen-{number}", 1, worker_id="wrk_dead")
    assert expire_of(sqlite_books.writer, "wrk_dead") == lifeline.MOST_AT_ONCE + 5
    assert sqlite_books.wallet() == (USD, 0)


def test_a_worker_that_comes_back_too_late_has_lost(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.hold("gen-1", 60, worker_id="wrk_zombie")
    expire_of(books.writer, "wrk_zombie")
    assert books.settle("gen-1", 60).is_lost
    assert books.wallet() == (USD, 0)
    assert books.violations() == []


def test_watchers_that_race_end_each_hold_once(books: Books) -> None:
    books.open(bonus_nusd=USD)
    for number in range(20):
        books.hold(f"gen-{number}", 10, worker_id="wrk_dead")
        books.checkpoint(f"gen-{number}", 5)
    ended: list[int] = []
    threads = [
        threading.Thread(target=lambda: ended.append(expire_of(books.writer, "wrk_dead")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ended) == 20
    assert books.wallet() == (USD - 100, 0)
    assert books.violations() == []


def test_on_sqlite_everybody_else_is_dead_at_the_start(sqlite_books: Books) -> None:
    sqlite_books.open(bonus_nusd=USD)
    Lifeline("wrk_old", sqlite_books.writer).beat()
    sqlite_books.hold("gen-1", 60, worker_id="wrk_old")
    sqlite_books.hold("gen-2", 5, worker_id="wrk_new")
    assert Lifeline("wrk_new", sqlite_books.writer).sweep() == 1
    assert sqlite_books.wallet() == (USD, 5)
    assert sqlite_books.rows("SELECT id FROM workers") == [("wrk_new",)]


@pytest.mark.postgres
def test_a_worker_is_dead_when_its_heartbeat_stood_still_for_25_seconds(
    postgres_books: Books, monotonic: StoppedClock
) -> None:
    books = postgres_books
    books.open(bonus_nusd=USD)
    other, here = Lifeline("wrk_other", books.writer), Lifeline("wrk_here", books.writer)
    other.beat()
    books.hold("gen-1", 60, worker_id="wrk_other")
    assert here.sweep() == 0
    monotonic.advance(seconds=24.9)
    assert here.sweep() == 0
    monotonic.advance(seconds=0.2)
    assert here.sweep() == 1
    assert here.sweep() == 0
    assert books.rows("SELECT id FROM workers") == [("wrk_here",)]
    assert books.wallet() == (USD, 0)


@pytest.mark.postgres
def test_a_wall_clock_that_jumps_kills_nobody(
    postgres_books: Books, monotonic: StoppedClock, clock: StoppedClock
) -> None:
    books = postgres_books
    books.open(bonus_nusd=USD)
    other, here = Lifeline("wrk_other", books.writer), Lifeline("wrk_here", books.writer)
    other.beat()
    books.hold("gen-1", 60, worker_id="wrk_other")
    assert here.sweep() == 0
    for jump in ({"days": 400}, {"days": -800}, {"hours": 1}):
        clock.advance(**jump)
        assert here.sweep() == 0
        monotonic.advance(seconds=20)
        other.beat()
        assert here.sweep() == 0
    assert books.wallet() == (USD, 60)


@pytest.mark.postgres
def test_a_hold_of_a_worker_that_has_not_beaten_yet_gets_the_same_patience(
    postgres_books: Books, monotonic: StoppedClock
) -> None:
    books = postgres_books
    books.open(bonus_nusd=USD)
    books.hold("gen-1", 60, worker_id="wrk_just_started")
    here = Lifeline("wrk_here", books.writer)
    assert here.sweep() == 0
    monotonic.advance(seconds=26)
    assert here.sweep() == 1
    assert books.wallet() == (USD, 0)


def test_the_operators_command_ends_what_silent_workers_left(
    books: Books, clock: StoppedClock
) -> None:
    books.open(ALICE, bonus_nusd=USD)
    Lifeline("wrk_silent", books.writer).beat()
    clock.advance(seconds=61)
    Lifeline("wrk_here", books.writer).beat()
    books.hold("gen-1", 60, worker_id="wrk_silent")
    books.hold("gen-2", 60, worker_id="wrk_never_seen")
    books.hold("gen-3", 60)
    assert expire_stale(books.writer, 60) == 2
    assert books.wallet() == (USD, 60)
    assert books.violations() == []


def test_a_hold_that_its_own_worker_forgot_ends_after_every_deadline(
    books: Books, monotonic: StoppedClock
) -> None:
    books.open(bonus_nusd=USD)
    books.hold("gen-1", 60, worker_id="wrk_here")
    line = Lifeline("wrk_here", books.writer)
    assert line.sweep() == 0
    monotonic.advance(seconds=lifeline.OVERDUE_S)
    assert line.sweep() == 0
    monotonic.advance(seconds=1)
    assert line.sweep() == 1
    assert books.wallet() == (USD, 0)
    assert books.violations() == []
