"""Who presents a key: found once, remembered until something changes, and never a moment longer."""

import ipaddress
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event

import clock as house_clock
import db
import ids
from errors import ForbiddenError, InvalidKeyError, LedgerUnavailableError, RateLimitedError
from gateway import callers, key_text, keys
from gateway.callers import Caller
from models import Key, Member, User, Workspace
from tests.clocks import StoppedClock
from tests.gateway.key_ring import (
    ANYWHERE,
    WORKSPACE,
    add_cap,
    add_member,
    change,
    make,
    open_workspace,
    stop,
)
from tests.servers import engine_in_use


@pytest.fixture(autouse=True)
def workspace(database: Engine, clock: StoppedClock) -> str:
    """Alice's workspace, on either database, and nothing remembered."""
    keys.forget()
    return open_workspace()


def find(text: str, address: str = ANYWHERE) -> Caller:
    return keys.find(text, address)


def is_refused(text: str, address: str = ANYWHERE) -> bool:
    with pytest.raises(InvalidKeyError) as refused:
        keys.find(text, address)
    assert refused.value.message == callers.UNKNOWN
    return True


@contextmanager
def during_look_ups(engine: Engine, act: Callable[[], object]) -> Iterator[None]:
    """Do something whenever a key has been read and before its reader knows."""

    def notice(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "FROM keys" in statement and "keys.hash" in statement:
            act()

    event.listen(engine, "after_cursor_execute", notice)
    yield
    event.remove(engine, "after_cursor_execute", notice)


@contextmanager
def counted(engine: Engine) -> Iterator[list[int]]:
    """The look-ups of keys, one entry each."""
    found: list[int] = []
    with during_look_ups(engine, lambda: found.append(1)):
        yield found


def set_row(table: type[Any], key: object, **fields: object) -> None:
    with db.transaction() as session:
        row = session.get_one(table, key)
        for name, value in fields.items():
            setattr(row, name, value)


# What is found


def test_a_caller_is_the_key_and_what_stands_behind_it() -> None:
    add_member("usr_bob")
    key_id, text = make(
        user_id="usr_bob",
        rpm=7,
        models=["a/b"],
        ips=["203.0.113.0/24"],
        platform="cn",
        limit_nusd=5,
    )
    add_cap("day", 1, "workspace", WORKSPACE)
    add_cap("month", 2, "member", "usr_bob")
    add_cap("month", 3, "member", "usr_somebody_else")
    caller = find(text)
    assert (caller.key_id, caller.workspace_id, caller.user_id) == (key_id, WORKSPACE, "usr_bob")
    assert (caller.kind, caller.name, caller.hint) == ("inference", "test", key_text.hint_of(text))
    assert (caller.rpm, caller.platform, caller.models) == (7, "cn", frozenset({"a/b"}))
    assert caller.networks == (ipaddress.ip_network("203.0.113.0/24"),)
    assert [cap.period for cap in caller.caps] == ["lifetime", "day", "month"]
    assert caller.may_call("a/b")
    assert not caller.may_call("a/c")


def test_a_key_without_lists_may_call_every_model_from_anywhere() -> None:
    caller = find(make()[1], "not an address")
    assert caller.models is None
    assert caller.networks is None
    assert caller.may_call("anything")


def test_a_callers_day_is_the_workspaces_own() -> None:
    set_row(Workspace, WORKSPACE, time_zone="Asia/Shanghai")
    caller = find(make()[1])
    assert caller.day(int(datetime(2026, 3, 10, 17, tzinfo=UTC).timestamp()) * 1000) == "2026-03-11"


# What is refused


def test_unknown_malformed_stopped_and_expired_keys_look_the_same(clock: StoppedClock) -> None:
    stopped_id, stopped = make()
    stop(stopped_id)
    _, expiring = make(expires_at=house_clock.now_ms() + 1000)
    find(expiring)
    clock.advance(seconds=1)
    for text in (key_text.mint("inference"), "tp_live_nonsense", stopped, expiring, "", "é" * 51):
        assert is_refused(text)


def test_a_key_is_dead_with_its_workspace_its_user_and_its_membership() -> None:
    add_member("usr_bob")
    _, text = make(user_id="usr_bob")
    find(text)
    set_row(Workspace, WORKSPACE, state="disabled")
    assert is_refused(text)
    set_row(Workspace, WORKSPACE, state="active")
    find(text)
    set_row(User, "usr_bob", state="disabled")
    assert is_refused(text)
    set_row(User, "usr_bob", state="active")
    find(text)
    with db.transaction() as session:
        session.delete(session.get_one(Member, (WORKSPACE, "usr_bob")))
    assert is_refused(text)


def test_a_wrong_checksum_asks_the_database_nothing(database: Engine) -> None:
    text = key_text.mint("inference")
    with counted(database) as look_ups:
        assert is_refused(text[:-1] + ("A" if text[-1] != "A" else "B"))
    assert look_ups == []


def test_keys_that_begin_alike_are_their_own_owners() -> None:
    open_workspace("wks_bob")
    beginning = key_text.mint("inference")[:40]
    texts = []
    for number, workspace_id in ((1, WORKSPACE), (2, "wks_bob")):
        body = f"{beginning}0000{number}"
        text = body + ids.base62(zlib.crc32(body.encode()), 6)
        assert key_text.is_sound(text)
        key_id, _ = make(workspace_id)
        set_row(Key, key_id, hash=key_text.hash_of(text))
        texts.append(text)
    for _ in range(2):
        assert [find(text).workspace_id for text in texts] == [WORKSPACE, "wks_bob"]


@pytest.mark.parametrize(
    ("network", "address", "is_allowed"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("203.0.113.0/24", "::ffff:203.0.113.77", True),
        ("::ffff:203.0.113.0/120", "203.0.113.77", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "203.0.113.9", False),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("203.0.113.0/24", "unknown", False),
        ("203.0.113.0/24", "", False),
    ],
)
def test_a_key_with_networks_is_good_only_from_there(
    network: str, address: str, *, is_allowed: bool
) -> None:
    _, text = make(ips=[network])
    if is_allowed:
        find(text, address)
    else:
        with pytest.raises(ForbiddenError):
            find(text, address)


# What is remembered


def test_a_key_is_looked_up_once(database: Engine) -> None:
    _, text = make()
    with counted(database) as look_ups:
        assert find(text) is find(text)
    assert len(look_ups) == 1


def test_an_unknown_key_is_looked_up_once(database: Engine) -> None:
    text = key_text.mint("inference")
    with counted(database) as look_ups:
        assert is_refused(text)
        assert is_refused(text)
    assert len(look_ups) == 1


def test_memory_of_unknown_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "MOST_UNKNOWN", 3)
    for _ in range(10):
        assert is_refused(key_text.mint("inference"))
        assert len(callers._memory.known.unknown) <= 3


def test_a_change_is_seen_at_once() -> None:
    key_id, text = make(rpm=1)
    assert find(text).rpm == 1
    change(key_id, {"rpm": 2})
    assert find(text).rpm == 2
    stop(key_id)
    assert is_refused(text)


def test_a_key_that_was_unknown_can_become_known() -> None:
    text = key_text.mint("inference")
    assert is_refused(text)
    key_id, _ = make()
    set_row(Key, key_id, hash=key_text.hash_of(text))
    assert find(text).key_id == key_id


def test_a_look_up_that_began_before_a_change_is_not_remembered_after_it(
    database: Engine,
) -> None:
    key_id, text = make()
    is_first = iter([True])

    def stop_it() -> None:
        if next(is_first, False):
            stopping = threading.Thread(target=stop, args=(key_id,))
            stopping.start()
            stopping.join(10)

    with during_look_ups(database, stop_it):
        assert find(text).key_id == key_id
    assert is_refused(text)
    assert is_refused(text)


def test_callers_with_the_same_key_wait_for_one_look_up(database: Engine) -> None:
    _, text = make()
    everybody_asks = threading.Barrier(8)
    look_ups: list[int] = []

    def wait_for_all(_address: str) -> None:
        everybody_asks.wait(10)

    with (
        during_look_ups(database, lambda: look_ups.append(1)),
        ThreadPoolExecutor(8) as pool,
    ):
        asked = [pool.submit(keys.find, text, ANYWHERE, wait_for_all) for _ in range(8)]
        found = {id(future.result(20)) for future in asked}
    assert (len(found), len(look_ups)) == (1, 1)


def test_nobody_waits_for_the_look_up_of_another_key(database: Engine) -> None:
    _, slow = make()
    _, quick = make()
    is_looking, may_go_on = threading.Event(), threading.Event()

    def hang() -> None:
        if not is_looking.is_set():
            is_looking.set()
            assert may_go_on.wait(10)

    with during_look_ups(database, hang), ThreadPoolExecutor(1) as pool:
        first = pool.submit(find, slow)
        assert is_looking.wait(10)
        assert find(quick).name == "test"
        may_go_on.set()
        assert first.result(10).name == "test"


def test_who_waits_for_a_look_up_that_fails_is_told_so(database: Engine) -> None:
    _, text = make()
    everybody_asks = threading.Barrier(4)

    def fail() -> None:
        raise LedgerUnavailableError("away")

    def wait_for_all(_address: str) -> None:
        everybody_asks.wait(10)

    with during_look_ups(database, fail), ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(keys.find, text, ANYWHERE, wait_for_all) for _ in range(4)]
        assert all(isinstance(one.exception(20), LedgerUnavailableError) for one in asked)
    assert find(text).name == "test"


def test_without_the_database_nobody_is_called_unknown() -> None:
    _, text = make()
    keys.forget()
    with engine_in_use("sqlite:////nonexistent/turnpike.db"):
        with pytest.raises(LedgerUnavailableError):
            find(text)
        assert is_refused("tp_live_nonsense")


# Whom the database is spared


def refuse(_address: str) -> None:
    raise RateLimitedError("too many")


def test_an_address_with_too_many_bad_keys_gets_no_look_up(database: Engine) -> None:
    with counted(database) as look_ups, pytest.raises(RateLimitedError):
        keys.find(key_text.mint("inference"), ANYWHERE, refuse)
    assert look_ups == []


def test_a_key_that_was_good_is_looked_up_whatever_its_address_has_done() -> None:
    key_id, text = make()
    find(text)
    change(key_id, {"rpm": 9})
    assert keys.find(text, ANYWHERE, refuse).rpm == 9


def test_a_key_that_was_stopped_is_not_good_any_more() -> None:
    key_id, text = make()
    find(text)
    stop(key_id)
    assert is_refused(text)
    change(make()[0], {"rpm": 1})
    with pytest.raises(RateLimitedError):
        keys.find(text, ANYWHERE, refuse)
