"""The ledger writer's own connection: how a transaction begins, ends and reaches the disk.

SQLite with `TURNPIKE_LEDGER_SYNC=second`: commits are atomic and survive a kill; they are synced
once a second, off the event loop. With `always`, the commit itself waits for the disk, off the
event loop too. Postgres: asynchronous or synchronous commit on this one connection.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import db
from errors import LedgerUnavailableError
from offload import off_loop

CHECKPOINT_BYTES = 32 * 1024 * 1024
"""The size of the log at which it is folded back into the database."""

CONNECTION_FAULTS = (sqlite3.OperationalError,)


class DriverPen:
    """A cursor of either driver; see `verbs.Pen`."""

    def __init__(self, cursor: Any, *, is_sqlite: bool) -> None:
        self._cursor = cursor
        self._is_sqlite = is_sqlite
        self.locks_rows = not is_sqlite
        self.house_accounts: dict[str, int] = {}

    def run(self, sql: str, *values: object) -> int:
        """Execute, and return how many rows it changed."""
        count: int = self._execute(sql, values).rowcount
        return count

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """Return the first row."""
        found: tuple[Any, ...] | None = self._execute(sql, values).fetchone()
        return found

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows."""
        found: list[tuple[Any, ...]] = self._execute(sql, values).fetchall()
        return found

    def _execute(self, sql: str, values: tuple[object, ...]) -> Any:
        return self._cursor.execute(sql if self._is_sqlite else _for_postgres(sql), values)


class Storage:
    """The connection, opened at the first need and again after a fault."""

    def __init__(self, *, is_synced: bool) -> None:
        self.was_cut_off = False
        """Whether the last transaction failed on a connection of old, before it was committed."""

        self._is_synced = is_synced
        self._is_sqlite = db.is_sqlite()
        self._connection: Any = None
        self._pen: DriverPen | None = None
        self._is_dirty = False

    @contextmanager
    def transaction(self) -> Iterator[DriverPen]:
        """Run what is inside as one transaction.

        Raises: LedgerUnavailableError.
        """
        if self._is_sqlite:
            with db.write_lock():
                yield from self._guarded()
        else:
            yield from self._guarded()

    def sync(self) -> None:
        """Bring what was committed to disk, and fold a long log back: once a second.

        Commits go on meanwhile; only folding keeps them waiting.
        """
        if not (self._is_sqlite and self._is_dirty):
            return
        self._is_dirty = False
        try:
            db.sync_to_disk()
        except OSError:
            self._is_dirty = True
            raise
        if _size(f"{db.engine().url.database}-wal") > CHECKPOINT_BYTES:
            with db.write_lock():
                off_loop(self._fold_log)

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        connection, self._connection, self._pen = self._connection, None, None
        if connection is not None:
            connection.close()

    def _guarded(self) -> Iterator[DriverPen]:
        is_committing, was_open = False, self._pen is not None
        self.was_cut_off = False
        try:
            pen = self._begin()
            yield pen
            is_committing = True
            self._commit()
        except self._faults() as error:
            self._give_up()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
                raise  # a statement of ours makes no sense: the database itself is well
            self.was_cut_off = was_open and not (is_committing or self._is_sqlite)
            down = LedgerUnavailableError(db.DOWN, detail=str(error), retry_after_s=1)
            down.is_uncertain = is_committing
            raise down from error
        except BaseException:
            self._roll_back()
            raise

    def _begin(self) -> DriverPen:
        if self._pen is None:
            self._open()
        assert self._pen is not None  # noqa: S101 - opened above
        if self._is_sqlite:
            db.begin_immediate(self._connection.execute)
        return self._pen

    def _open(self) -> None:
        self._connection = db.connect_raw()
        if self._is_sqlite:
            self._connection.execute(
                f"PRAGMA synchronous={'FULL' if self._is_synced else 'NORMAL'}"
            )
            cursor = self._connection.cursor()
        else:
            cursor = self._connection.cursor()
            cursor.execute(f"SET synchronous_commit TO {'on' if self._is_synced else 'off'}")
            self._connection.commit()
        self._pen = DriverPen(cursor, is_sqlite=self._is_sqlite)

    def _commit(self) -> None:
        if self._is_sqlite and self._is_synced:
            off_loop(self._connection.commit)
        else:
            self._connection.commit()
        self._is_dirty = True

    def _roll_back(self) -> None:
        if self._connection is not None:
            try:
                self._connection.rollback()
            except self._faults():
                self._give_up()

    def _give_up(self) -> None:
        if self._is_sqlite:
            self._roll_back_quietly()
        else:
            self.close()

    def _roll_back_quietly(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.rollback()

    def _faults(self) -> tuple[type[Exception], ...]:
        if self._is_sqlite:
            return CONNECTION_FAULTS
        import psycopg  # noqa: PLC0415 - chosen by the database in use

        return (psycopg.OperationalError, psycopg.InterfaceError)

    def _fold_log(self) -> None:
        if self._connection is not None:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


@lru_cache(maxsize=256)
def _for_postgres(sql: str) -> str:
    return sql.replace("?", "%s")


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
