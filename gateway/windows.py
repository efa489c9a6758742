"""The days of a workspace, and the periods of spending limits that begin and end with them. Pure.

Every day of a workspace is a local date, kept as ISO text. Days never go backwards, whatever is
done to the time zone.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import clock
from errors import InvalidParameterError

EVER = "ever"
"""The first day of the one period of a lifetime limit."""

PERIODS = ("day", "week", "month", "lifetime")
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which local date it is: in one time zone, and from the day `next_zone_on` in another.

    On that day the zone left behind says when the day begins, and the new one when it ends: it
    may be up to two days long, or be skipped.
    """

    time_zone: str = "UTC"
    next_time_zone: str | None = None
    next_zone_on: str | None = None

    def day(self, instant_ms: int) -> str:
        """Return the local date of an instant."""
        today = _local_day(instant_ms, self.time_zone)
        if self.next_time_zone is None or self.next_zone_on is None or today < self.next_zone_on:
            return today
        return max(_local_day(instant_ms, self.next_time_zone), self.next_zone_on)

    def begins_ms(self, day: str) -> int:
        """Return the instant when a day begins; that of the next one where it is skipped."""
        if self.next_time_zone is None or self.next_zone_on is None or day <= self.next_zone_on:
            return _midnight_ms(day, self.time_zone)
        switched_ms = _midnight_ms(self.next_zone_on, self.time_zone)
        return max(switched_ms, _midnight_ms(day, self.next_time_zone))

    def resets_at_ms(self, period: str, day: str) -> int | None:
        """Return the instant when the period after that of `day` begins; None for a lifetime."""
        following = _following(period, day)
        return None if following is None else self.begins_ms(following)

    def changed(self, time_zone: str, instant_ms: int) -> "Calendar":
        """Return the calendar of a workspace that asks for another time zone at this instant.

        The zone holds from the next local midnight on. Only while the long day of an earlier
        change lasts does it hold at once: that day has no other end yet.
        Raises: InvalidParameterError for a zone that nobody knows.
        """
        if time_zone not in _zones():
            raise InvalidParameterError(
                "There is no such time zone. Write one of the tz database, such as Asia/Shanghai.",
                param="time_zone",
            )
        today = self.day(instant_ms)
        tomorrow = _shifted(today, 1)
        if self.next_time_zone is None or self.next_zone_on is None or today < self.next_zone_on:
            if time_zone == self.time_zone:
                return Calendar(time_zone)
            return Calendar(self.time_zone, time_zone, tomorrow)
        if _local_day(instant_ms, self.next_time_zone) < self.next_zone_on:
            return Calendar(self.time_zone, time_zone, self.next_zone_on)
        if time_zone == self.next_time_zone:
            return Calendar(time_zone)
        return Calendar(self.next_time_zone, time_zone, tomorrow)


def starts_on(period: str, day: str) -> str:
    """Return the first day (ISO) of the period that `day` is in; weeks begin on Monday."""
    if period == "day":
        return day
    if period == "lifetime":
        return EVER
    if period == "month":
        return f"{day[:8]}01"
    given = date.fromisoformat(day)
    return (given - timedelta(days=given.weekday())).isoformat()


def resets_at_ms(period: str, day: str, time_zone: str) -> int | None:
    """Return the instant when the next period begins, where the time zone isn't about to change."""
    return Calendar(time_zone).resets_at_ms(period, day)


def _following(period: str, day: str) -> str | None:
    if period == "lifetime":
        return None
    first = starts_on(period, day)
    if period == "month":
        return f"{_shifted(first, 31)[:8]}01"
    return _shifted(first, 7 if period == "week" else 1)


def _shifted(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _midnight_ms(day: str, time_zone: str) -> int:
    """Where clocks skip midnight it is the instant of the leap, where they repeat it the first."""
    midnight = datetime.combine(date.fromisoformat(day), time(), ZoneInfo(time_zone))
    return int(midnight.astimezone(UTC).timestamp()) * 1000


def _local_day(instant_ms: int, time_zone: str) -> str:
    if time_zone == "UTC":
        return _utc_day(instant_ms // DAY_MS)
    return datetime.fromtimestamp(instant_ms / 1000, ZoneInfo(time_zone)).date().isoformat()


@lru_cache(maxsize=8)
def _utc_day(number: int) -> str:
    return clock.from_ms(number * DAY_MS).date().isoformat()


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime"})
