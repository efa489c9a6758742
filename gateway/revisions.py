"""Whether something has changed: the counters of `revisions`, which triggers bump.

A serving process reads them all twice a second, so that what is changed anywhere holds everywhere
within two seconds. When the last good read began longer ago than that allows, one of those who ask
reads for all of them; nobody is answered from older memory. A process that doesn't watch asks the
database each time.
"""

import contextlib
import threading
import time

from sqlalchemy import select

import db
from errors import LedgerUnavailableError
from models import Revision

EVERY_S = 0.5
FRESH_S = 1.5
PATIENCE_S = 3.0


class _Seen:
    numbers: dict[str, int] = {}
    at_s: float = float("-inf")
    failed_at_s: float = float("-inf")
    is_watched: bool = False
    reading = threading.Lock()


_seen = _Seen()


def number(name: str) -> int:
    """Return the counter of "keys" or "catalog".

    Raises: LedgerUnavailableError when memory is stale and the database is away.
    """
    if time.monotonic() - _seen.at_s < FRESH_S:
        return _seen.numbers.get(name, 0)
    if not _seen.is_watched:
        return _read().get(name, 0)
    _refresh()
    return _seen.numbers.get(name, 0)


def start_watch() -> None:
    """Read the counters from now on, in a thread of their own: once in a serving process."""
    _seen.is_watched = True
    threading.Thread(target=_watch, name="revisions", daemon=True).start()


def _watch() -> None:
    while True:
        with contextlib.suppress(LedgerUnavailableError):  # who asks meanwhile is told so
            _remember()
        time.sleep(EVERY_S)


def _refresh() -> None:
    """Read on behalf of all who wait: one failure is everybody's."""
    asked_at_s = time.monotonic()
    if not _seen.reading.acquire(timeout=PATIENCE_S):
        raise LedgerUnavailableError(db.DOWN, detail="a read of revisions hangs", retry_after_s=1)
    try:
        if _seen.failed_at_s > asked_at_s:
            raise LedgerUnavailableError(db.DOWN, detail="revisions unread", retry_after_s=1)
        if time.monotonic() - _seen.at_s >= FRESH_S:
            _remember()
    finally:
        _seen.reading.release()


def _remember() -> None:
    began_at_s = time.monotonic()
    try:
        numbers = _read()
    except LedgerUnavailableError:
        _seen.failed_at_s = time.monotonic()
        raise
    if began_at_s > _seen.at_s:
        _seen.numbers, _seen.at_s = numbers, began_at_s


def _read() -> dict[str, int]:
    with db.reading() as session:
        return {row.name: row.number for row in session.execute(_COUNTERS)}


_COUNTERS = select(Revision.name, Revision.number)
