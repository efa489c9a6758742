"""The counters that say that something has changed: fresh, or nobody is answered."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event

from errors import LedgerUnavailableError
from gateway import revisions
from gateway.revisions import FRESH_S, Counters
from tests.gateway.key_ring import make, open_workspace, stop
from tests.servers import engine_in_use


class Ticks:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def reads(database: Engine) -> Iterator[list[str]]:
    """The statements that were sent."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(database, "before_cursor_execute", note)
    yield sent
    event.remove(database, "before_cursor_execute", note)


def test_every_change_of_what_stands_behind_a_key_bumps_its_counter(database: Engine) -> None:
    seen = [revisions.number("keys")]
    open_workspace()
    seen.append(revisions.number("keys"))
    key_id, _ = make(limit_nusd=5)
    seen.append(revisions.number("keys"))
    stop(key_id)
    seen.append(revisions.number("keys"))
    assert seen == sorted(set(seen))


def test_the_catalog_has_a_counter_of_its_own(database: Engine) -> None:
    before = revisions.number("catalog")
    open_workspace()
    assert revisions.number("catalog") == before


def test_a_process_that_does_not_watch_asks_each_time(reads: list[str], ticks: Ticks) -> None:
    counters = Counters(ticks)
    counters.number("keys")
    counters.number("keys")
    assert len(reads) == 2


def test_fresh_memory_answers_without_the_database(reads: list[str], ticks: Ticks) -> None:
    counters = Counters(ticks)
    counters.keep()
    ticks.now_s += FRESH_S - 0.01
    counters.number("keys")
    counters.number("catalog")
    assert len(reads) == 1


def test_stale_memory_answers_nobody(database: Engine, ticks: Ticks) -> None:
    counters = Counters(ticks)
    counters.keep()
    before = counters.number("keys")
    open_workspace()
    assert counters.number("keys") == before
    ticks.now_s += FRESH_S
    assert counters.number("keys") > before


def test_a_read_is_as_old_as_its_beginning(database: Engine, ticks: Ticks) -> None:
    counters = Counters(ticks)

    def dawdle(*_cursor: object) -> None:
        ticks.now_s += FRESH_S

    event.listen(database, "before_cursor_execute", dawdle)
    counters.keep()
    event.remove(database, "before_cursor_execute", dawdle)
    before = counters.number("keys")
    open_workspace()
    assert counters.number("keys") == before
    ticks.now_s += FRESH_S
    assert counters.number("keys") > before


def test_who_waits_for_a_stale_read_shares_it(database: Engine, ticks: Ticks) -> None:
    counters = Counters(ticks)
    counters.keep()
    ticks.now_s += FRESH_S
    sent: list[str] = []
    everybody_asks = threading.Barrier(9)

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    def ask() -> None:
        everybody_asks.wait(10)
        counters.number("keys")

    event.listen(database, "before_cursor_execute", note)
    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    everybody_asks.wait(10)
    for asker in askers:
        asker.join(10)
    event.remove(database, "before_cursor_execute", note)
    assert len(sent) == 1


def test_with_the_database_away_fresh_memory_holds_and_stale_memory_says_so(
    sqlite_database: Engine, ticks: Ticks
) -> None:
    counters = Counters(ticks)
    counters.keep()
    known = counters.number("keys")
    with engine_in_use("sqlite:////nonexistent/turnpike.db"):
        assert counters.number("keys") == known
        ticks.now_s += FRESH_S
        with pytest.raises(LedgerUnavailableError):
            counters.number("keys")
