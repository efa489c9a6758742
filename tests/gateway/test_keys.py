"""Keys: made as asked for, never wider than their maker, changed and stopped on record."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine

import clock as house_clock
import db
from errors import ForbiddenError, InvalidParameterError, NotFoundError
from gateway import key_text, keys
from gateway.callers import Caller
from models import Cap, Key
from tests.clocks import StoppedClock
from tests.gateway.key_ring import (
    ANYWHERE,
    WORKSPACE,
    add_cap,
    add_member,
    audited,
    caps,
    change,
    make,
    open_workspace,
    record,
    start,
    stop,
    use_window,
)

DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def workspace(database: Engine, clock: StoppedClock) -> str:
    """Alice's workspace, on either database, on a Tuesday noon that doesn't pass."""
    return open_workspace()


def row(key_id: str) -> Key:
    with db.reading() as session:
        return session.get_one(Key, key_id)


def now_ms() -> int:
    return house_clock.now_ms()


def maker(**fields: Any) -> Caller:
    """A management key that asks for others."""
    _, text = make(kind="management", **fields)
    return keys.find(text, ANYWHERE)


# Making


def test_a_key_is_kept_as_its_hash_and_shown_once() -> None:
    key_id, text = make(name="  laptop ")
    kept = row(key_id)
    assert key_text.is_sound(text)
    assert (kept.hash, kept.hint) == (key_text.hash_of(text), key_text.hint_of(text))
    assert (kept.name, kept.kind, kept.state) == ("laptop", "inference", "active")
    assert (kept.created_at, kept.updated_at) == (now_ms(), now_ms())
    assert text not in str(audited())
    assert text not in str(record(key_id))


def test_a_key_is_kept_with_all_that_was_asked_for() -> None:
    add_member("usr_bob")
    key_id, text = make(
        kind="management",
        user_id="usr_bob",
        rpm=0,
        models=["a/b", "auto", "a/b"],
        ips=["203.0.113.9", "2001:db8::1/32", "::ffff:198.51.100.0/120"],
        platform="cn",
        expires_at=now_ms() + 1,
    )
    kept = row(key_id)
    assert text.startswith("tp_mgmt_")
    assert (kept.user_id, kept.rpm, kept.platform) == ("usr_bob", 0, "cn")
    assert json.loads(kept.models or "") == ["a/b", "auto"]
    assert json.loads(kept.ips or "") == ["203.0.113.9/32", "2001:db8::/32", "198.51.100.0/24"]
    assert kept.expires_at == now_ms() + 1


@pytest.mark.parametrize(
    ("reset", "period"),
    [("daily", "day"), ("weekly", "week"), ("monthly", "month"), (None, "lifetime")],
)
def test_a_limit_is_a_cap_of_the_key(reset: str | None, period: str) -> None:
    key_id, _ = make(limit_nusd=0, limit_reset=reset)
    assert caps(key_id) == [(period, 0)]


def test_a_key_without_a_limit_has_no_cap() -> None:
    assert caps(make()[0]) == []


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        *(("name", bad, "name") for bad in ("", "   ", "a" * 101, "a\nb", "a\x00", "a\u202eb", 7)),
        *(("rpm", bad, "rpm") for bad in (-1, 1_000_001, True, 1.0, "60")),
        *(("limit_nusd", bad, "limit") for bad in (-1, 2**63, 0.5, "1", False)),
        *(("limit_reset", bad, "limit_reset") for bad in ("hourly", "", 1)),
        *(("models", bad, "models") for bad in ([], [""], ["a" * 257], [1], "a/b", [" a"])),
        *(("ips", bad, "ips") for bad in ([], ["10.0.0.256"], ["example.com"], [1], ["::/129"])),
        *(("platform", bad, "platform") for bad in ("us", "", 1)),
        *(("kind", bad, "kind") for bad in ("admin", None)),
        *(("expires_at", bad, "expires_at") for bad in (0, -1, 10**15, 1.5, True)),
        ("user_id", "usr_nobody", "user_id"),
        ("user_id", 7, "user_id"),
    ],
)
def test_a_field_with_a_bad_value_is_named(field: str, value: Any, param: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        make(**{"limit_nusd": 1, field: value})
    assert refused.value.param == param
    assert param in refused.value.message
    assert audited() == []


def test_an_expiry_is_in_the_future() -> None:
    with pytest.raises(InvalidParameterError):
        make(expires_at=now_ms())


def test_a_reset_without_a_limit_is_refused() -> None:
    with pytest.raises(InvalidParameterError) as refused:
        make(limit_reset="daily")
    assert refused.value.param == "limit"


def test_the_text_of_a_key_is_no_name() -> None:
    with pytest.raises(InvalidParameterError):
        make(name=key_text.mint("inference"))


def test_a_key_needs_a_workspace() -> None:
    with pytest.raises(NotFoundError):
        make(workspace_id="wks_nobody")


def test_making_a_key_is_on_record() -> None:
    key_id, text = make(limit_nusd=5, limit_reset="daily")
    [(action, object_, before, after)] = audited()
    assert (action, object_, before) == ("keys.create", key_id, None)
    told = json.loads(after or "")
    assert (told["limit_nusd"], told["limit_reset"]) == (5, "daily")
    assert told["hint"] == key_text.hint_of(text)


# Makers


def test_a_key_is_as_wide_as_its_maker_at_most() -> None:
    asks = maker(
        models=["a/b", "c/d"],
        ips=["203.0.113.0/24"],
        platform="cn",
        expires_at=now_ms() + 100,
        limit_nusd=50,
        limit_reset="daily",
    )
    same: dict[str, Any] = {"models": ["a/b"], "ips": ["203.0.113.9"], "platform": "cn"}
    same |= {"expires_at": now_ms() + 100, "limit_nusd": 50, "limit_reset": "daily"}
    make(maker=asks, **same)
    wider: list[dict[str, Any]] = [
        {"models": None},
        {"models": ["a/b", "e/f"]},
        {"ips": None},
        {"ips": ["203.0.112.0/23"]},
        {"ips": ["2001:db8::/64"]},
        {"platform": None},
        {"platform": "intl"},
        {"expires_at": None},
        {"expires_at": now_ms() + 101},
        {"limit_nusd": 51},
        {"limit_nusd": None, "limit_reset": None},
        {"limit_reset": "weekly", "limit_nusd": 51},
        {"kind": "management"},
    ]
    before = len(audited())
    for fields in wider:
        with pytest.raises(ForbiddenError):
            make(maker=asks, **{**same, **fields})
    assert len(audited()) == before


def test_a_key_makes_keys_of_its_own_workspace_only() -> None:
    asks = maker()
    with pytest.raises(ForbiddenError):
        make(open_workspace("wks_bob"), maker=asks)


def test_a_members_key_makes_keys_of_that_member_only() -> None:
    add_member("usr_bob")
    add_member("usr_charlie")
    asks = maker(user_id="usr_bob")
    assert row(make(maker=asks)[0]).user_id == "usr_bob"
    with pytest.raises(ForbiddenError):
        make(maker=asks, user_id="usr_charlie")


def test_a_change_makes_no_key_wider_than_who_asks_for_it() -> None:
    asks = maker(models=["a/b"])
    key_id, _ = make(models=["a/b"])
    change(key_id, {"rpm": 5}, maker=asks)
    with pytest.raises(ForbiddenError):
        change(key_id, {"models": None}, maker=asks)


# Changing


def test_a_change_touches_only_what_it_names(clock: StoppedClock) -> None:
    key_id, _ = make(rpm=5, models=["a/b"], limit_nusd=9)
    clock.advance(seconds=1)
    change(key_id, {"name": "server", "rpm": None})
    kept = row(key_id)
    assert (kept.name, kept.rpm, kept.updated_at) == ("server", None, now_ms())
    assert json.loads(kept.models or "") == ["a/b"]
    assert caps(key_id) == [("lifetime", 9)]


def test_a_change_is_on_record_with_what_differs() -> None:
    key_id, _ = make(rpm=5)
    change(key_id, {"name": "test", "rpm": 6, "limit_nusd": 0})
    _, (action, object_, before, after) = audited()
    assert (action, object_) == ("keys.update", key_id)
    assert json.loads(before or "") == {"rpm": 5, "limit_nusd": None}
    assert json.loads(after or "") == {"rpm": 6, "limit_nusd": 0}


def test_a_change_of_nothing_is_none(clock: StoppedClock) -> None:
    key_id, _ = make(rpm=5, limit_nusd=3, limit_reset="daily")
    clock.advance(seconds=1)
    change(key_id, {"name": "test", "rpm": 5, "limit_nusd": 3})
    assert row(key_id).updated_at < now_ms()
    assert len(audited()) == 1


@pytest.mark.parametrize(
    "field",
    [
        *("kind", "user_id", "workspace_id", "hash", "hint", "state", "created_at", "balance"),
        *("id", "role", "is_admin"),
    ],
)
def test_a_field_that_nobody_may_set_is_refused(field: str) -> None:
    key_id, _ = make()
    with pytest.raises(InvalidParameterError) as refused:
        change(key_id, {field: "management"})
    assert refused.value.param == field
    assert len(audited()) == 1


def test_a_bad_value_is_refused_in_a_change_too() -> None:
    key_id, _ = make()
    with pytest.raises(InvalidParameterError):
        change(key_id, {"rpm": -1})


def test_a_new_amount_goes_on_counting_and_a_new_reset_begins_anew() -> None:
    key_id, _ = make(limit_nusd=100, limit_reset="daily")
    use_window(key_id, "2026-03-10", used_nusd=60, held_nusd=10)
    change(key_id, {"limit_nusd": 80})
    assert record(key_id)["limit_remaining_nusd"] == 10
    change(key_id, {"limit_nusd": 40})
    assert record(key_id)["limit_remaining_nusd"] == 0
    change(key_id, {"limit_reset": "weekly"})
    assert caps(key_id) == [("week", 40)]
    assert record(key_id)["limit_remaining_nusd"] == 40


def test_a_limit_can_be_taken_away() -> None:
    key_id, _ = make(limit_nusd=100, limit_reset="daily")
    change(key_id, {"limit_nusd": None})
    assert caps(key_id) == []
    with pytest.raises(InvalidParameterError):
        change(key_id, {"limit_reset": "daily"})


def test_the_limits_of_members_and_workspaces_stay_as_they_are() -> None:
    key_id, _ = make(limit_nusd=100)
    add_cap("day", 7, "workspace", WORKSPACE)
    change(key_id, {"limit_nusd": None})
    with db.reading() as session:
        left = session.query(Cap).one()
    assert (left.subject, left.limit_nusd) == ("workspace", 7)


def test_anothers_key_does_not_exist() -> None:
    key_id, _ = make()
    with pytest.raises(NotFoundError) as others:
        change(key_id, {"name": "mine"}, within="wks_bob")
    with pytest.raises(NotFoundError) as nobodys:
        change("key_nobody", {"name": "mine"}, within="wks_bob")
    assert others.value.message == nobodys.value.message
    assert change(key_id, {"name": "mine"}, within=WORKSPACE).name == "mine"


# Stopping


def test_a_key_is_stopped_and_started_on_record(clock: StoppedClock) -> None:
    key_id, _ = make()
    clock.advance(seconds=1)
    stop(key_id)
    stop(key_id)
    assert (row(key_id).state, row(key_id).stopped_at) == ("stopped", now_ms())
    assert record(key_id)["disabled"] is True
    start(key_id)
    start(key_id)
    assert (row(key_id).state, row(key_id).stopped_at) == ("active", None)
    assert [action for action, *_ in audited()] == ["keys.create", "keys.stop", "keys.start"]
