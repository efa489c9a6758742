"""The time, in one place, so that tests can stop it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

_now: Callable[[], float] = time.time


def now_ms() -> int:
    """Return the instant in milliseconds since 1970 (UTC): the form that the tables keep."""
    return int(_now() * 1000)


def now() -> datetime:
    """Return the instant as an aware UTC datetime."""
    return datetime.fromtimestamp(_now(), UTC)


def from_ms(instant_ms: int) -> datetime:
    """Return the aware UTC datetime of an instant of the tables."""
    return datetime.fromtimestamp(instant_ms / 1000, UTC)


def iso(instant_ms: int) -> str:
    """Return an instant as RFC 3339 with milliseconds and `Z`."""
    return from_ms(instant_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def set_source(source: Callable[[], float] | None) -> None:
    """Read the time from `source` (seconds since 1970), or from the system again where None."""
    global _now  # noqa: PLW0603 - the one switch that lets a test stop the clock
    _now = source or time.time
