"""Requests a minute: a bucket that is full at the start, in the process or shared through Redis."""

import time
from collections.abc import Callable

import pytest
import redis

from gateway import limits
from gateway.callers import Caller
from gateway.limits import Allowance, EmptyBucketError, Limiter, rpm_of
from gateway.windows import Calendar
from settings import Settings
from tests.clocks import StoppedClock
from tests.servers import free_port


class Ticks:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def ticks(clock: StoppedClock) -> Ticks:
    return Ticks()


@pytest.fixture
def limiter(ticks: Ticks) -> Limiter:
    return Limiter(monotonic_s=ticks)


def refusal(limiter: Limiter, bucket: str, rpm: int) -> EmptyBucketError:
    with pytest.raises(EmptyBucketError) as refused:
        limiter.admit(bucket, rpm)
    return refused.value


def degraded() -> float:
    counted: float = limits.DEGRADED._value.get()
    return counted


# In the process


def test_a_bucket_is_full_at_the_start_and_then_empty(limiter: Limiter) -> None:
    assert [limiter.admit("key:a", 3).remaining for _ in range(3)] == [2, 1, 0]
    assert refusal(limiter, "key:a", 3).allowance.remaining == 0


@pytest.mark.parametrize("rpm", [1, 7, 60, 999, 1_000_000 // 17])
def test_exactly_as_many_as_the_limit_pass_at_once(limiter: Limiter, rpm: int) -> None:
    for left in range(rpm - 1, -1, -1):
        assert limiter.admit("key:a", rpm).remaining == left
    refusal(limiter, "key:a", rpm)


def test_tokens_come_back_evenly(limiter: Limiter, ticks: Ticks) -> None:
    for _ in range(60):
        limiter.admit("key:a", 60)
    for _ in range(5):
        refusal(limiter, "key:a", 60)
        ticks.now_s += 1
        limiter.admit("key:a", 60)
    ticks.now_s += 30
    assert limiter.admit("key:a", 60).remaining == 29


def test_no_more_than_a_minutes_worth_is_saved_up(limiter: Limiter, ticks: Ticks) -> None:
    limiter.admit("key:a", 5)
    ticks.now_s += 3600
    assert limiter.admit("key:a", 5).remaining == 4


def test_buckets_do_not_share(limiter: Limiter) -> None:
    limiter.admit("key:a", 1)
    refusal(limiter, "key:a", 1)
    limiter.admit("key:b", 1)


def test_an_allowance_says_when_the_bucket_is_full_again(
    limiter: Limiter, clock: StoppedClock
) -> None:
    now_s = int(clock.read())
    assert limiter.admit("key:a", 60) == Allowance(60, 59, now_s + 1)
    assert limiter.admit("key:a", 60) == Allowance(60, 58, now_s + 2)
    assert limiter.admit("key:b", 1) == Allowance(1, 0, now_s + 60)


def test_a_refusal_says_when_the_next_request_is_welcome(
    limiter: Limiter, ticks: Ticks, clock: StoppedClock
) -> None:
    limiter.admit("key:a", 2)
    limiter.admit("key:a", 2)
    refused = refusal(limiter, "key:a", 2)
    assert refused.retry_after_s == 30
    assert refused.allowance == Allowance(2, 0, int(clock.read()) + 60)
    ticks.now_s += 29.5
    assert refusal(limiter, "key:a", 2).retry_after_s == 1
    ticks.now_s += 0.5
    limiter.admit("key:a", 2)


def test_a_refusal_says_the_limit_and_what_to_do(limiter: Limiter) -> None:
    limiter.admit("key:a", 1)
    message = refusal(limiter, "key:a", 1).message
    assert "1 requests a minute" in message
    assert "Try again in 60 s" in message


def test_a_refused_request_costs_nothing(limiter: Limiter, ticks: Ticks) -> None:
    limiter.admit("key:a", 1)
    for _ in range(100):
        refusal(limiter, "key:a", 1)
    ticks.now_s += 60
    limiter.admit("key:a", 1)


def test_a_look_takes_nothing_and_refuses_what_would_be_refused(limiter: Limiter) -> None:
    for _ in range(3):
        assert limiter.check("key:a", 1).remaining == 1
    limiter.admit("key:a", 1)
    with pytest.raises(EmptyBucketError):
        limiter.check("key:a", 1)


def test_a_limit_of_zero_is_none(limiter: Limiter, clock: StoppedClock) -> None:
    for _ in range(1000):
        told = limiter.admit("key:a", 0)
    assert told == Allowance(1_000_000, 1_000_000, int(clock.read()))


def test_a_new_limit_holds_at_once(limiter: Limiter) -> None:
    for _ in range(10):
        limiter.admit("key:a", 10)
    refusal(limiter, "key:a", 10)
    refusal(limiter, "key:a", 1000)
    limiter.admit("key:b", 10)
    assert limiter.admit("key:b", 1000).remaining == 899


@pytest.mark.parametrize("jump_s", [-86_400, 86_400])
def test_a_wall_clock_that_jumps_locks_nobody_out_and_lets_nobody_in(
    limiter: Limiter, ticks: Ticks, clock: StoppedClock, jump_s: int
) -> None:
    limiter.admit("key:a", 1)
    clock.advance(seconds=jump_s)
    refusal(limiter, "key:a", 1)
    ticks.now_s += 60
    limiter.admit("key:a", 1)


def test_buckets_that_are_full_again_are_forgotten(limiter: Limiter, ticks: Ticks) -> None:
    for number in range(1000):
        limiter.admit(f"address:{number}", 300)
    for _ in range(3):
        ticks.now_s += 61
        limiter.admit("key:a", 60)
    assert len(limiter._own) == 2  # the one in use, as it was and as it is


def test_memory_is_bounded_whatever_comes(
    limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_BUCKETS", 100)
    limiter.admit("key:a", 2)
    for number in range(1000):
        limiter.admit(f"address:{number}", 300)
        assert len(limiter._own) <= 200
        if number == 60:
            limiter.admit("key:a", 2)
        if 60 < number < 160:
            refusal(limiter, "key:a", 2)


def test_it_costs_microseconds() -> None:
    limiter = Limiter()
    began_s = time.perf_counter()
    for _ in range(20_000):
        limiter.admit("key:a", 1_000_000)
    assert (time.perf_counter() - began_s) / 20_000 < 15e-6  # 0.7 on an idle machine


@pytest.mark.parametrize(("rpm", "expected"), [(None, 60), (0, 0), (5, 5)])
def test_a_keys_own_limit_goes_before_the_default(rpm: int | None, expected: int) -> None:
    caller = Caller(
        key_id="key_a",
        workspace_id="wks_a",
        user_id=None,
        kind="inference",
        name="a",
        hint="tp_live_…abcd",
        rpm=rpm,
        models=None,
        networks=None,
        platform=None,
        expires_at=None,
        caps=(),
        calendar=Calendar(),
        has_every_class=True,
        unlocked_classes=frozenset(),
        created_at=0,
    )
    assert rpm_of(caller, 60) == expected


def test_without_redis_the_settings_make_a_limiter_of_this_process() -> None:
    assert Limiter.from_settings(Settings()).admit("key:a", 5).remaining == 4


# Shared through Redis


@pytest.fixture
def worker(redis_url: str, ticks: Ticks) -> Callable[[], Limiter]:
    """Another worker that counts in the same Redis."""
    return lambda: Limiter(redis_url, ticks)


@pytest.mark.redis
def test_all_workers_share_a_bucket(worker: Callable[[], Limiter]) -> None:
    one, two = worker(), worker()
    assert [limiter.admit("key:a", 3).remaining for limiter in (one, two, one)] == [2, 1, 0]
    assert refusal(two, "key:a", 3).retry_after_s == 20
    assert refusal(one, "key:a", 3).allowance.remaining == 0


@pytest.mark.redis
def test_exactly_as_many_as_the_limit_pass_through_redis(worker: Callable[[], Limiter]) -> None:
    limiter = worker()
    assert [limiter.admit("key:a", 7).remaining for _ in range(7)] == list(range(6, -1, -1))
    refusal(limiter, "key:a", 7)


@pytest.mark.redis
def test_a_look_takes_nothing_in_redis_either(worker: Callable[[], Limiter]) -> None:
    limiter = worker()
    assert [limiter.check("key:a", 1).remaining for _ in range(3)] == [1, 1, 1]
    limiter.admit("key:a", 1)
    with pytest.raises(EmptyBucketError):
        limiter.check("key:a", 1)


@pytest.mark.redis
def test_the_settings_name_the_redis(redis_url: str) -> None:
    Limiter.from_settings(Settings(redis_url=redis_url)).admit("key:a", 1)
    with redis.Redis.from_url(redis_url) as admin:
        assert admin.keys() == [b"turnpike:rate:key:a"]


@pytest.mark.redis
def test_buckets_in_redis_expire_when_they_are_full(
    worker: Callable[[], Limiter], redis_url: str
) -> None:
    limiter = worker()
    limiter.admit("key:a", 2)
    limiter.check("key:b", 2)
    with redis.Redis.from_url(redis_url) as admin:
        assert 0 < admin.pttl("turnpike:rate:key:a") <= 30_000
        assert not admin.exists("turnpike:rate:key:b")


@pytest.mark.redis
def test_a_redis_whose_clock_jumped_back_locks_nobody_out(
    worker: Callable[[], Limiter], redis_url: str
) -> None:
    limiter = worker()
    with redis.Redis.from_url(redis_url) as admin:
        seconds, _ = admin.time()
        admin.set("turnpike:rate:key:a", (seconds + 86_400) * 1_000_000)
        assert refusal(limiter, "key:a", 60).retry_after_s == 1
        assert int(admin.get("turnpike:rate:key:a") or 0) <= (seconds + 62) * 1_000_000
        assert 0 < admin.pttl("turnpike:rate:key:a") <= 60_000


@pytest.mark.redis
def test_a_redis_that_has_forgotten_the_script_is_told_it_again(
    worker: Callable[[], Limiter], redis_url: str
) -> None:
    limiter, before = worker(), degraded()
    limiter.admit("key:a", 3)
    with redis.Redis.from_url(redis_url) as admin:
        admin.script_flush()
    assert limiter.admit("key:a", 3).remaining == 1
    assert degraded() == before


@pytest.mark.redis
def test_a_connection_that_redis_closed_is_made_anew(
    worker: Callable[[], Limiter], redis_url: str
) -> None:
    limiter, before = worker(), degraded()
    limiter.admit("key:a", 3)
    with redis.Redis.from_url(redis_url) as admin:
        admin.client_kill_filter(_type="normal", skipme=True)
    assert limiter.admit("key:a", 3).remaining == 1
    assert degraded() == before


def test_without_its_redis_a_process_counts_by_itself_and_says_so(ticks: Ticks) -> None:
    limiter, before = Limiter(f"redis://127.0.0.1:{free_port()}/0", ticks), degraded()
    assert [limiter.admit("key:a", 2).remaining for _ in range(2)] == [1, 0]
    refusal(limiter, "key:a", 2)
    assert degraded() == before + 3


@pytest.mark.redis
def test_a_redis_that_hangs_delays_one_request_and_is_asked_again_after_a_second(
    worker: Callable[[], Limiter], redis_url: str, ticks: Ticks
) -> None:
    limiter, before = worker(), degraded()
    limiter.admit("key:a", 9)
    with redis.Redis.from_url(redis_url) as admin:
        admin.client_pause(600)
        began_s = time.monotonic()
        assert limiter.admit("key:a", 9).remaining == 8
        assert time.monotonic() - began_s < 0.5
        began_s = time.monotonic()
        assert limiter.admit("key:a", 9).remaining == 7
        assert time.monotonic() - began_s < 0.05
        assert degraded() == before + 2
        admin.ping()  # answered when the pause is over
        ticks.now_s += 0.9
        assert limiter.admit("key:a", 9).remaining == 6
        assert degraded() == before + 3
        ticks.now_s += 0.2
        assert limiter.admit("key:a", 9).remaining <= 7
        assert limiter.admit("key:a", 9).remaining <= 6
    assert degraded() == before + 3


@pytest.mark.redis
def test_a_redis_that_refuses_is_a_redis_that_is_away(
    worker: Callable[[], Limiter], redis_url: str
) -> None:
    limiter, before = worker(), degraded()
    with redis.Redis.from_url(redis_url) as admin:
        admin.lpush("turnpike:rate:key:a", "not a number")
    assert limiter.admit("key:a", 2).remaining == 1
    assert degraded() == before + 1
