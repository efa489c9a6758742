"""A clock that stands still."""

from datetime import UTC, datetime

BEGINNING = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
"""A Tuesday noon, far from any boundary of a day, a week or a month."""


class StoppedClock:
    """The source of the house's time; see `clock.set_source`."""

    def __init__(self) -> None:
        self._now_s = BEGINNING.timestamp()

    def read(self) -> float:
        return self._now_s

    def set(self, moment: datetime) -> None:
        self._now_s = moment.timestamp()

    def advance(
        self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        self._now_s += seconds + 60 * (minutes + 60 * (hours + 24 * days))
