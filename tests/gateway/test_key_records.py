"""A key as it is shown: OpenRouter's fields, exact amounts, the workspace's own days."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

import db
from errors import NotFoundError
from gateway import key_text, keys
from models import UsageDay, Workspace
from tests.clocks import StoppedClock
from tests.gateway.key_ring import (
    WORKSPACE,
    add_member,
    make,
    open_workspace,
    record,
    stop,
    use_window,
    write,
)


@pytest.fixture(autouse=True)
def workspace(database: Engine, clock: StoppedClock) -> str:
    """Alice's workspace, on either database, on a Tuesday noon that doesn't pass."""
    return open_workspace()


def use(key_id: str, day: str, charge_nusd: int, workspace_id: str = WORKSPACE) -> None:
    """Roll up what a key has used on a day."""
    counts = dict.fromkeys(
        (
            *("calls", "failed_calls", "unknown_calls", "input_tokens", "cached_input_tokens"),
            *("cache_write_tokens", "output_tokens", "reasoning_tokens", "cost_nusd"),
            *("unknown_costs", "first_token_ms", "first_tokens", "latency_ms"),
        ),
        0,
    )
    place = {"workspace_id": workspace_id, "day": day, "key_id": key_id, "user_id": ""}
    write(UsageDay(**place, model="m", provider="p", charge_nusd=charge_nusd, **counts))


def test_a_record_has_openrouters_fields() -> None:
    key_id, text = make()
    told = record(key_id)
    assert told["label"] == told["hint"] == key_text.hint_of(text)
    assert (told["hash"], told["name"], told["workspace_id"]) == (key_id, "test", WORKSPACE)
    assert told["created_at"] == told["updated_at"] == "2026-03-10T12:00:00.000Z"
    assert told["rate_limit"]["requests"] == -1
    assert {"interval", "note"} < told["rate_limit"].keys()
    for name in ("limit", "limit_remaining", "limit_reset", "limit_resets_at", "expires_at"):
        assert told[name] is None
    assert told["creator_user_id"] is told["free_model_daily_requests"] is None
    assert told["is_management_key"] is told["is_provisioning_key"] is False
    assert told["include_byok_in_limit"] is told["disabled"] is False
    assert told["is_free_tier"] is True


def test_every_amount_is_a_number_of_usd_and_exact_beside_it() -> None:
    key_id, _ = make(limit_nusd=1_500_000_000)
    use(key_id, "2026-03-10", 2_500_001)
    told = record(key_id)
    assert (told["limit"], told["limit_nusd"]) == (1.5, 1_500_000_000)
    assert (told["usage"], told["usage_nusd"]) == (0.002500001, 2_500_001)
    for name in ("", "_daily", "_weekly", "_monthly"):
        assert isinstance(told[f"usage{name}_nusd"], int)
        assert told[f"byok_usage{name}"] == told[f"byok_usage{name}_nusd"] == 0


def test_a_limit_of_zero_is_not_no_limit() -> None:
    told = record(make(limit_nusd=0)[0])
    assert (told["limit"], told["limit_remaining"], told["limit_nusd"]) == (0, 0, 0)


def test_usage_is_by_the_workspaces_own_days_weeks_and_months() -> None:
    key_id, _ = make()
    other_id, _ = make()
    for day, charge_nusd in (
        ("2026-02-28", 1),
        ("2026-03-01", 10),
        ("2026-03-08", 100),
        ("2026-03-09", 1000),
        ("2026-03-10", 10_000),
    ):
        use(key_id, day, charge_nusd)
    use(other_id, "2026-03-10", 7)
    told = record(key_id)
    assert told["usage_daily_nusd"] == 10_000
    assert told["usage_weekly_nusd"] == 11_000
    assert told["usage_monthly_nusd"] == 11_110
    assert told["usage_nusd"] == 11_111


def test_a_workspace_in_the_east_is_a_day_ahead(clock: StoppedClock) -> None:
    clock.set(datetime(2026, 3, 10, 17, tzinfo=UTC))
    open_workspace("wks_bob", time_zone="Asia/Shanghai")
    key_id, _ = make("wks_bob", limit_nusd=100, limit_reset="daily")
    use(key_id, "2026-03-10", 5, "wks_bob")
    use_window(key_id, "2026-03-10", used_nusd=100, held_nusd=0)
    told = record(key_id)
    assert told["usage_daily_nusd"] == 0
    assert told["limit_remaining_nusd"] == 100
    assert told["limit_resets_at"] == "2026-03-11T16:00:00.000Z"


def test_what_is_left_is_of_the_present_period_and_without_what_is_held(
    clock: StoppedClock,
) -> None:
    key_id, _ = make(limit_nusd=100, limit_reset="weekly")
    use(key_id, "2026-03-02", 5000)
    use_window(key_id, "2026-03-02", used_nusd=90, held_nusd=0)
    use_window(key_id, "2026-03-09", used_nusd=30, held_nusd=15)
    told = record(key_id)
    assert (told["limit_remaining_nusd"], told["limit_reset"]) == (55, "weekly")
    assert told["limit_resets_at"] == "2026-03-16T00:00:00.000Z"
    clock.advance(days=7)
    assert record(key_id)["limit_remaining_nusd"] == 100


def test_a_lifetime_limit_counts_all_of_it() -> None:
    key_id, _ = make(limit_nusd=100)
    use_window(key_id, "ever", used_nusd=30, held_nusd=0)
    told = record(key_id)
    assert (told["limit_remaining_nusd"], told["limit_reset"]) == (70, None)
    assert told["limit_resets_at"] is None


def test_a_workspace_that_has_paid_is_not_on_the_free_tier() -> None:
    key_id, _ = make()
    with db.transaction() as session:
        session.get_one(Workspace, WORKSPACE).has_every_class = True
    assert record(key_id)["is_free_tier"] is False


def test_the_records_of_a_workspace_are_its_own_newest_first(clock: StoppedClock) -> None:
    add_member("usr_bob")
    ids = []
    for user_id in (None, "usr_bob", None):
        clock.advance(seconds=1)
        ids.append(make(user_id=user_id)[0])
    stop(ids[0])
    make(open_workspace("wks_bob"))
    with db.reading() as session:
        everything = keys.records(session, WORKSPACE)
        active = keys.records(session, WORKSPACE, with_stopped=False)
        bobs = keys.records(session, WORKSPACE, user_id="usr_bob")
        second = keys.records(session, WORKSPACE, offset=1, limit=1)
    assert [told["hash"] for told in everything] == ids[::-1]
    assert [told["hash"] for told in active] == [ids[2], ids[1]]
    assert [told["hash"] for told in bobs] == [told["hash"] for told in second] == [ids[1]]


def test_a_key_that_is_not_there_has_no_record() -> None:
    with pytest.raises(NotFoundError):
        record("key_nobody")
