"""Whether something has changed: the counters of `revisions`, which triggers bump.

A serving process reads them all twice a second, so that what is changed anywhere holds everywhere
within two seconds. When the last good read began longer ago than that allows, one of those who ask
reads for all of them; nobody is answered from older memory. A process that doesn't watch asks the
database each time.
"""

import contextlib
import threading
import time
from collections.abc import Callable

from sqlalchemy import select

import db
from errors import LedgerUnavailableError
from models import Revision

EVERY_S = 0.5
FRESH_S = 1.5
PATIENCE_S = 3.0


class Counters:
    """The counters as a process knows them."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._numbers: dict[str, int] = {}
        self._read_at_s = self._failed_at_s = float("-inf")
        self._is_kept = False
        self._reading = threading.Lock()

    def number(self, name: str) -> int:
        """Return the counter of "keys" or "catalog".

        Raises: LedgerUnavailableError when memory is stale and the database is away.
        """
        if self._monotonic_s() - self._read_at_s < FRESH_S:
            return self._numbers.get(name, 0)
        if not self._is_kept:
            return _read().get(name, 0)
        self._read_for_all()
        return self._numbers.get(name, 0)

    def keep(self) -> None:
        """Read the counters, and answer from memory from now on, while it is fresh.

        Raises: LedgerUnavailableError.
        """
        self._is_kept = True
        began_at_s = self._monotonic_s()
        try:
            numbers = _read()
        except LedgerUnavailableError:
            self._failed_at_s = self._monotonic_s()
            raise
        if began_at_s > self._read_at_s:
            self._numbers, self._read_at_s = numbers, began_at_s

    def _read_for_all(self) -> None:
        """Let one of those who ask read; its failure is everybody's."""
        asked_at_s = self._monotonic_s()
        if not self._reading.acquire(timeout=PATIENCE_S):
            raise _away("a read of revisions hangs")
        try:
            if self._failed_at_s > asked_at_s:
                raise _away("revisions can't be read")
            if self._monotonic_s() - self._read_at_s >= FRESH_S:
                self.keep()
        finally:
            self._reading.release()


_counters = Counters()
number = _counters.number


def start_watch() -> None:
    """Read the counters from now on, in a thread of their own: once in a serving process."""
    threading.Thread(target=_watch, name="revisions", daemon=True).start()


def _watch() -> None:
    while True:
        with contextlib.suppress(LedgerUnavailableError):  # who asks meanwhile is told so
            _counters.keep()
        time.sleep(EVERY_S)


def _away(detail: str) -> LedgerUnavailableError:
    return LedgerUnavailableError(db.DOWN, detail=detail, retry_after_s=1)


def _read() -> dict[str, int]:
    with db.reading() as session:
        rows = session.execute(select(Revision.name, Revision.number))
        return {row.name: row.number for row in rows}
