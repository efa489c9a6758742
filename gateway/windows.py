"""When a spending limit's period begins and ends, by the workspace's own calendar. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EVER = "ever"
"""The first day of the one period of a lifetime limit."""

PERIODS = ("day", "week", "month", "lifetime")


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
    """Return the instant when the next period begins; None for a lifetime limit."""
    if period == "lifetime":
        return None
    first = date.fromisoformat(starts_on(period, day))
    if period == "day":
        following = first + timedelta(days=1)
    elif period == "week":
        following = first + timedelta(days=7)
    else:
        following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    midnight = datetime.combine(following, time(), ZoneInfo(time_zone))
    return int(midnight.astimezone(UTC).timestamp() * 1000)
