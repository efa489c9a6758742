"""One writer commits many calls together; one bad operation fails alone; a database may be away."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

import db
from errors import LedgerUnavailableError
from gateway.ledger import Refusal
from gateway.ledger.verbs import Pen
from gateway.ledger.writer import Writer
from tests.gateway.ledger.books import ALICE, USD, Books


def at_once(work: Callable[[int], object], count: int) -> list[Exception]:
    """Run `work(number)` on so many threads at the same moment; return what they raised."""
    errors: list[Exception] = []
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def lock_for(path: Path, seconds: float) -> threading.Thread:
    """Let another connection hold the write lock of the file."""
    is_locked = threading.Event()

    def hold() -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        is_locked.set()
        time.sleep(seconds)
        other.execute("ROLLBACK")
        other.close()

    thread = threading.Thread(target=hold)
    thread.start()
    is_locked.wait()
    return thread


def path_of(books: Books) -> Path:
    assert books.engine.url.database
    return Path(books.engine.url.database)


def test_a_hundred_calls_at_once_are_all_written(books: Books) -> None:
    books.open(bonus_nusd=USD)
    assert at_once(lambda number: books.call(f"gen-{number}", 100, 7), 100) == []
    assert books.wallet() == (USD - 700, 0)
    assert books.value("SELECT COUNT(*) FROM generations") == 100
    assert books.violations() == []


def test_what_is_queued_together_is_committed_together(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.hold("gen-0", 1)  # the connection is open
    sizes: list[int] = []
    failure_of = books.writer._failure_of

    def watched(batch: list) -> Exception | None:  # type: ignore[type-arg]
        sizes.append(len(batch))
        return failure_of(batch)

    books.writer._failure_of = watched  # type: ignore[method-assign]
    assert at_once(lambda number: books.hold(f"gen-{number + 1}", 1), 100) == []
    assert sum(sizes) == 100
    assert len(sizes) < 100


def test_a_refusal_lets_the_others_of_its_batch_go_on(books: Books) -> None:
    books.open(bonus_nusd=100)
    errors = at_once(lambda number: books.hold(f"gen-{number}", 1 if number else 101), 20)
    assert [type(error) for error in errors] == [Refusal]
    assert books.wallet() == (100, 19)
    assert books.violations() == []


def test_a_bad_operation_fails_alone(books: Books) -> None:
    books.open(bonus_nusd=USD)

    def work(number: int) -> None:
        if number == 7:
            books.writer.submit(lambda pen: pen.run("INSERT INTO nowhere VALUES (1)"), ALICE)
        books.hold(f"gen-{number}", 5)

    errors = at_once(work, 50)
    assert len(errors) == 1
    assert "nowhere" in str(errors[0].__cause__ or errors[0])
    assert books.wallet() == (USD, 49 * 5)
    assert books.violations() == []


def test_what_an_operation_did_before_it_failed_is_undone(books: Books) -> None:
    books.open(bonus_nusd=USD)

    def work(pen: Pen) -> None:
        pen.run("UPDATE wallets SET held_nusd = held_nusd + 1")
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        books.writer.submit(work, ALICE)
    assert books.wallet() == (USD, 0)


def test_a_posted_operation_is_written_without_waiting_for_it(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.writer.post(lambda pen: pen.run("UPDATE wallets SET held_nusd = 0"), ALICE)
    books.writer.close()
    assert books.wallet() == (USD, 0)


def test_a_writer_that_was_closed_opens_again_when_needed(books: Books) -> None:
    books.open(bonus_nusd=USD)
    books.hold("gen-1", 5)
    books.writer.close()
    books.settle("gen-1", 5)
    assert books.wallet() == (USD - 5, 0)


def test_a_settlement_that_always_syncs_is_written_too(sqlite_books: Books) -> None:
    sqlite_books.open(bonus_nusd=USD)
    sqlite_books.writer.close()
    sqlite_books.writer = Writer(is_synced=True)
    sqlite_books.call("gen-1", 10, 5)
    assert sqlite_books.wallet() == (USD - 5, 0)


def test_a_file_that_another_process_locks_for_a_second_makes_calls_wait(
    sqlite_books: Books,
) -> None:
    sqlite_books.open(bonus_nusd=USD)
    lock = lock_for(path_of(sqlite_books), 1.0)
    began_at = time.monotonic()
    assert at_once(lambda number: sqlite_books.call(f"gen-{number}", 10, 5), 10) == []
    assert 0.5 < time.monotonic() - began_at < 4
    lock.join()
    assert sqlite_books.wallet() == (USD - 50, 0)
    assert sqlite_books.violations() == []


def test_a_file_that_stays_locked_is_a_ledger_that_cannot_be_reached_and_recovers(
    sqlite_books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "BUSY_PATIENCE_S", 0.2)
    sqlite_books.open(bonus_nusd=USD)
    lock = lock_for(path_of(sqlite_books), 0.8)
    with pytest.raises(LedgerUnavailableError) as refused:
        sqlite_books.hold("gen-1", 5)
    assert (refused.value.status, refused.value.code) == (503, "ledger_unavailable")
    lock.join()
    sqlite_books.hold("gen-1", 5)
    assert sqlite_books.wallet() == (USD, 5)


@pytest.mark.postgres
def test_a_connection_that_the_server_cuts_is_opened_again_and_nobody_notices(
    postgres_books: Books,
) -> None:
    books = postgres_books
    books.open(bonus_nusd=USD)
    books.hold("gen-1", 5)
    with books.engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    books.hold("gen-2", 5)
    assert books.wallet() == (USD, 10)


def test_a_disk_that_fails_to_sync_is_asked_again(
    sqlite_books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_books.open(bonus_nusd=USD)
    asked: list[str] = []

    def sync() -> None:
        asked.append("sync")
        if len(asked) == 1:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(db, "sync_to_disk", sync)
    sqlite_books.hold("gen-1", 5)
    storage = sqlite_books.writer._storage
    with pytest.raises(OSError, match="Input/output"):
        storage.sync()
    storage.sync()
    assert len(asked) == 2


def test_a_log_that_cannot_be_folded_back_does_not_end_the_writer(
    sqlite_books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_books.open(bonus_nusd=USD)

    def fold() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite_books.writer._storage, "sync", fold)
    sqlite_books.writer._sync()
    monkeypatch.undo()
    sqlite_books.hold("gen-1", 5)
    assert sqlite_books.wallet() == (USD, 5)
