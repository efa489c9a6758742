"""The days of a workspace and the periods of its limits, in any time zone and across a change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import InvalidParameterError
from gateway.windows import Calendar, resets_at_ms, starts_on

ZONES = [
    "UTC",
    "Asia/Shanghai",
    "America/New_York",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Asia/Kathmandu",
    "America/Havana",
    "Africa/Cairo",
    "Australia/Lord_Howe",
]
HOUR_MS = 3_600_000
BEGINNING_MS = 1_773_144_000_000
"""2026-03-10 12:00 UTC, a Tuesday."""


def ms(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


@pytest.mark.parametrize(
    ("period", "first"),
    [("day", "2026-03-10"), ("week", "2026-03-09"), ("month", "2026-03-01"), ("lifetime", "ever")],
)
def test_a_period_begins_on_its_first_day(period: str, first: str) -> None:
    assert starts_on(period, "2026-03-10") == first


def test_a_week_begins_on_monday() -> None:
    assert starts_on("week", "2026-03-09") == "2026-03-09"
    assert starts_on("week", "2026-03-15") == "2026-03-09"
    assert starts_on("week", "2026-01-01") == "2025-12-29"


@pytest.mark.parametrize(
    ("period", "day", "resets"),
    [
        ("day", "2026-12-31", "2027-01-01"),
        ("week", "2026-03-15", "2026-03-16"),
        ("month", "2026-12-05", "2027-01-01"),
        ("month", "2028-02-29", "2028-03-01"),
        ("month", "2026-01-31", "2026-02-01"),
    ],
)
def test_a_limit_resets_at_the_local_midnight_that_ends_its_period(
    period: str, day: str, resets: str
) -> None:
    assert resets_at_ms(period, day, "Asia/Shanghai") == ms(resets, "Asia/Shanghai")


def test_a_lifetime_limit_never_resets() -> None:
    assert resets_at_ms("lifetime", "2026-03-10", "UTC") is None


def test_a_day_of_23_hours_ends_at_its_own_midnight() -> None:
    began_ms = ms("2026-03-08", "America/New_York")
    assert resets_at_ms("day", "2026-03-08", "America/New_York") == began_ms + 23 * HOUR_MS


def test_where_clocks_skip_midnight_the_day_begins_with_the_leap() -> None:
    leap_ms = ms("2026-04-23T22:00")
    calendar = Calendar("Africa/Cairo")
    assert calendar.begins_ms("2026-04-24") == leap_ms
    assert (calendar.day(leap_ms - 1), calendar.day(leap_ms)) == ("2026-04-23", "2026-04-24")


def test_the_local_date_is_the_zones_own() -> None:
    instant_ms = ms("2026-03-10T17:00")
    assert Calendar().day(instant_ms) == "2026-03-10"
    assert Calendar("Asia/Shanghai").day(instant_ms) == "2026-03-11"
    assert Calendar("Pacific/Pago_Pago").day(instant_ms) == "2026-03-10"


def test_a_changed_zone_holds_from_the_next_local_midnight() -> None:
    calendar = Calendar("UTC").changed("Asia/Shanghai", ms("2026-03-10T20:00"))
    assert calendar.day(ms("2026-03-10T23:59")) == "2026-03-10"
    assert calendar.day(ms("2026-03-11T00:00")) == "2026-03-11"
    assert calendar.day(ms("2026-03-11T16:00")) == "2026-03-12"
    assert calendar.resets_at_ms("day", "2026-03-10") == ms("2026-03-11")
    assert calendar.resets_at_ms("day", "2026-03-11") == ms("2026-03-12", "Asia/Shanghai")


def test_a_change_westward_makes_one_long_day() -> None:
    calendar = Calendar("Pacific/Kiritimati").changed("Pacific/Pago_Pago", BEGINNING_MS)
    assert calendar.day(BEGINNING_MS) == "2026-03-11"
    switched_ms = ms("2026-03-12", "Pacific/Kiritimati")
    ends_ms = ms("2026-03-13", "Pacific/Pago_Pago")
    assert ends_ms - switched_ms == 49 * HOUR_MS
    assert calendar.day(switched_ms) == calendar.day(ends_ms - 1) == "2026-03-12"
    assert calendar.day(ends_ms) == "2026-03-13"
    assert calendar.resets_at_ms("day", "2026-03-12") == ends_ms


def test_a_change_eastward_may_skip_a_day() -> None:
    calendar = Calendar("Pacific/Pago_Pago").changed("Pacific/Kiritimati", BEGINNING_MS)
    switched_ms = ms("2026-03-11", "Pacific/Pago_Pago")
    assert calendar.day(switched_ms - 1) == "2026-03-10"
    assert calendar.day(switched_ms) == "2026-03-12"
    assert calendar.resets_at_ms("day", "2026-03-10") == switched_ms


def test_a_change_that_is_taken_back_leaves_nothing() -> None:
    changed = Calendar("UTC").changed("Asia/Shanghai", BEGINNING_MS)
    assert changed.changed("UTC", BEGINNING_MS) == Calendar("UTC")


def test_a_change_that_has_taken_hold_becomes_the_zone_at_the_next_one() -> None:
    changed = Calendar("UTC").changed("Asia/Shanghai", BEGINNING_MS)
    week_later_ms = BEGINNING_MS + 7 * 24 * HOUR_MS
    assert changed.changed("Asia/Shanghai", week_later_ms) == Calendar("Asia/Shanghai")
    assert changed.changed("Asia/Tokyo", week_later_ms) == Calendar(
        "Asia/Shanghai", "Asia/Tokyo", "2026-03-18"
    )


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "localtime", "utc+8"])
def test_a_zone_that_nobody_knows_is_refused(zone: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        Calendar().changed(zone, BEGINNING_MS)
    assert refused.value.param == "time_zone"


changes = st.lists(
    st.tuples(st.sampled_from(ZONES), st.integers(0, 80 * HOUR_MS)), min_size=1, max_size=6
)


@given(st.sampled_from(ZONES), st.integers(0, 365), changes)
def test_days_never_go_backwards_whatever_the_changes(
    first_zone: str, days: int, changes: list[tuple[str, int]]
) -> None:
    calendar = Calendar(first_zone)
    instant_ms = BEGINNING_MS + days * 24 * HOUR_MS
    last = calendar.day(instant_ms)
    for zone, wait_ms in changes:
        for step in range(0, wait_ms, HOUR_MS // 2):
            today = calendar.day(instant_ms + step)
            assert today >= last
            last = today
        instant_ms += wait_ms
        before = calendar.day(instant_ms)
        calendar = calendar.changed(zone, instant_ms)
        assert calendar.day(instant_ms) >= before >= last
        last = calendar.day(instant_ms)


@given(st.sampled_from(ZONES), st.sampled_from(ZONES), st.integers(0, 72), st.integers(0, 365))
def test_a_day_ends_exactly_when_its_reset_says(
    zone: str, next_zone: str, hours: int, days: int
) -> None:
    instant_ms = BEGINNING_MS + days * 24 * HOUR_MS
    calendar = Calendar(zone).changed(next_zone, instant_ms)
    instant_ms += hours * HOUR_MS
    today = calendar.day(instant_ms)
    resets_ms = calendar.resets_at_ms("day", today)
    assert resets_ms is not None
    assert calendar.day(resets_ms - 1) == today < calendar.day(resets_ms)
