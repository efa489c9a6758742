"""Whether something has changed: the counters of `revisions`, which triggers bump.

A serving process reads them all twice a second, so that what is changed anywhere holds everywhere within
two seconds. When the last good read is older than that, each question goes to the database itself.
"""

import threading
import time

from sqlalchemy import select

import db
from errors import LedgerUnavailableError
from models import Revision

EVERY_S = 0.5
FRESH_S = 2.0


class _Seen:
    numbers: dict[str, int] = {}
    at_s: float = float("-inf")


_seen = _Seen()


def number(name: str) -> int:
    """Return the counter of "keys" or "catalog".

    Raises: LedgerUnavailableError when memory is stale and the database is away.
    """
    if time.monotonic() - _seen.at_s < FRESH_S:
        return _seen.numbers.get(name, 0)
    return _read().get(name, 0)


def start_watch() -> None:
    """Read the counters from now on, in a thread of their own: once in a serving process."""
    threading.Thread(target=_watch, name="revisions", daemon=True).start()


def _watch() -> None:
    while True:
        try:
            numbers = _read()
        except LedgerUnavailableError:
            time.sleep(EVERY_S)
            continue
        _seen.numbers, _seen.at_s = numbers, time.monotonic()
        time.sleep(EVERY_S)


def _read() -> dict[str, int]:
    with db.reading() as session:
        return {row.name: row.number for row in session.scalars(select(Revision))}
