"""The engine, and the two ways to use it: `transaction()` to write, `reading()` to look.

SQLite: one writer at a time in this process (a lock, so that nobody waits inside the library), and
`BEGIN IMMEDIATE` with busy time-out 0 and a cooperative retry, because a wait in C would freeze
every stream. Never yield to the network inside a transaction. A database that can't be reached is
`LedgerUnavailableError` (503), never an answer about keys or money.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from errors import LedgerUnavailableError
from offload import off_loop

BUSY_PATIENCE_S = 5.0
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA recursive_triggers=ON",
    "PRAGMA wal_autocheckpoint=0",
    "PRAGMA cache_size=-8000",
)
"""Checkpoints are the ledger writer's (`gateway/ledger/storage.py`): one that ran inside somebody's
commit would wait for the disk on the event loop."""

_LOOKING: dict[bool, dict[str, Any]] = {
    True: {"is_reading": True},
    False: {"isolation_level": "REPEATABLE READ"},
}

DOWN = "The database can't be reached. Nothing was charged; try again in a few seconds."


class _Current:
    engine: Engine
    write_lock = threading.Lock()


_current = _Current()


def engine() -> Engine:
    """Return the engine in use."""
    return _current.engine


def is_sqlite() -> bool:
    """Whether the database in use is SQLite."""
    return _current.engine.dialect.name == "sqlite"


def write_lock() -> threading.Lock:
    """Return the lock that every writer of this process takes on SQLite."""
    return _current.write_lock


def url_of(database_url: str) -> str:
    """Return the address with an absolute path, so that no library resolves it its own way."""
    if not database_url.startswith("sqlite:///"):
        return database_url
    path = Path(database_url.removeprefix("sqlite:///")).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}"


def engine_options(database_url: str) -> dict[str, Any]:
    """Return what `create_engine` is given."""
    if database_url.startswith("sqlite"):
        return {"connect_args": {"timeout": 0, "check_same_thread": False}, "pool_size": 20}
    return {
        "pool_size": 10,
        "max_overflow": 10,
        "pool_timeout": 3,
        "pool_pre_ping": True,
        "connect_args": {"connect_timeout": 3},
    }


def use(new_engine: Engine) -> None:
    """Make this engine the one in use, with the habits of its dialect."""
    _current.engine = new_engine
    _current.write_lock = threading.Lock()
    if new_engine.dialect.name == "sqlite" and not event.contains(
        new_engine, "connect", _prepare_sqlite
    ):
        event.listen(new_engine, "connect", _prepare_sqlite)
        event.listen(new_engine, "begin", _begin_sqlite)


@contextmanager
def transaction() -> Iterator[Session]:
    """Open a session whose changes are committed together at the end, or not at all.

    Money that enters or leaves by it is on disk when it returns.
    Raises: LedgerUnavailableError.
    """
    with _translated():
        maker = Session(_current.engine, expire_on_commit=False)
        with _one_writer(), maker as session, session.begin():
            yield session
        sync_to_disk()


@contextmanager
def reading() -> Iterator[Session]:
    """Open a session on one snapshot, to look only.

    Raises: LedgerUnavailableError.
    """
    looker = _current.engine.execution_options(**_LOOKING[is_sqlite()])
    with _translated(), Session(looker, expire_on_commit=False) as session:
        yield session


def connect_raw() -> Any:
    """Return a driver connection of its own, outside the pool: the ledger writer's.

    Raises: LedgerUnavailableError.
    """
    with _translated():
        pooled = _current.engine.raw_connection()
        connection = pooled.driver_connection
        pooled.detach()
        return connection


def sync_to_disk() -> None:
    """Wait, off the event loop, until all that SQLite committed is on disk; Postgres did so."""
    if is_sqlite():
        off_loop(_sync_wal, f"{_current.engine.url.database}-wal")


def begin_immediate(execute: Callable[[str], object]) -> None:
    """Begin a write on SQLite, waiting cooperatively while another process writes.

    Raises: LedgerUnavailableError after five seconds.
    """
    give_up_at, pause_s = time.monotonic() + BUSY_PATIENCE_S, 0.001
    while True:
        try:
            execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) and "busy" not in str(error):
                raise
            if time.monotonic() > give_up_at:
                raise LedgerUnavailableError(DOWN, detail=str(error), retry_after_s=1) from error
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.05)
        else:
            return


class ServingLock:
    """The claim of one process to serve a SQLite file; free again when the process ends."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".serving")
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        """Take the claim; False where another process has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Give the claim back."""
        if self._file:
            self._file.close()
            self._file = None


@contextmanager
def _one_writer() -> Iterator[None]:
    if is_sqlite():
        with _current.write_lock:
            yield
    else:
        yield


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise LedgerUnavailableError(DOWN, detail=_cause(error), retry_after_s=1) from error


def _sync_wal(path: str) -> None:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fdatasync(file)
    finally:
        os.close(file)


def _cause(error: Exception) -> str:
    return str(error.orig) if isinstance(error, DBAPIError) else str(error)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(connection: Connection) -> None:
    raw = connection.connection.driver_connection
    assert raw is not None  # noqa: S101 - a connection that begins is open
    if connection.get_execution_options().get("is_reading"):
        raw.execute("BEGIN")
    else:
        begin_immediate(raw.execute)
