"""Requests a minute: a token bucket for each key and each address.

A bucket holds a minute's requests, is full at the start and refills evenly. Nothing is kept of it
but the instant when it will be full again, at most a minute ahead of now, so that a clock that
jumps back locks nobody out for longer than one token takes.

With Redis all workers share the buckets. Failure policy, Redis away: each process admits by buckets
of its own, so that N workers admit up to N times the limit; each such call is counted in
`turnpike_rate_limits_degraded`, and Redis is asked again after a second.
"""

import math
import time
from collections.abc import Callable

import msgspec
import redis
from prometheus_client import Counter
from redis.backoff import NoBackoff
from redis.retry import Retry

import clock
from errors import RateLimitedError
from gateway.callers import Caller
from settings import Settings

NONE_SHOWN = 1_000_000
"""What a caller without a limit is told."""

MOST_BUCKETS = 100_000
MINUTE_S = 60.0
ROUNDING_S = 1e-6
ASK_AGAIN_S = 1.0
ANSWER_WITHIN_S = 0.1
CONNECTIONS = 50

DEGRADED = Counter(
    "turnpike_rate_limits_degraded", "Calls that one process counted because Redis was away"
)

SPEND = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local minute = 60000000
local found = tonumber(redis.call('GET', KEYS[1]) or now)
local full_at = math.min(math.max(found, now), now + minute)
local after = full_at + tonumber(ARGV[1])
local admitted = after - now <= minute
local taken = admitted and ARGV[2] == '1'
if taken then full_at = after end
if taken or found > full_at then
  redis.call('SET', KEYS[1], string.format('%.0f', full_at),
    'PX', math.ceil((full_at - now) / 1000))
end
return {admitted and 1 or 0, full_at - now}
"""
"""What `_OwnBuckets.spend` does, by the clock of Redis, which may jump back: an instant that is
too far ahead is written anew. Units: microseconds."""


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """What the rate headers say. Units: requests; seconds since 1970."""

    limit: int
    remaining: int
    reset_at_s: int


class EmptyBucketError(RateLimitedError):
    """A refusal that brings its rate headers along."""

    def __init__(self, message: str, *, retry_after_s: int, allowance: Allowance) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.allowance = allowance


Spent = tuple[bool, float]
"""Whether there was a token, and in how many seconds the bucket is full."""


class Limiter:
    """Counts requests; with a Redis address for all workers, otherwise for this process."""

    def __init__(
        self, redis_url: str | None = None, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """`monotonic_s` never goes back; Redis has its own clock."""
        self._own = _OwnBuckets(monotonic_s)
        self._shared = _SharedBuckets(redis_url, monotonic_s) if redis_url else None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Limiter":
        """Make the limiter of a serving process. It connects at its first use."""
        return cls(settings.redis_url)

    def admit(self, bucket: str, rpm: int) -> Allowance:
        """Take a token; a limit of 0 is none.

        Raises: EmptyBucketError.
        """
        return self._spend(bucket, rpm, is_taken=True)

    def check(self, bucket: str, rpm: int) -> Allowance:
        """Say what is left, and take nothing.

        Raises: EmptyBucketError where `admit` would.
        """
        return self._spend(bucket, rpm, is_taken=False)

    def _spend(self, bucket: str, rpm: int, *, is_taken: bool) -> Allowance:
        if rpm <= 0:
            return Allowance(NONE_SHOWN, NONE_SHOWN, clock.now_ms() // 1000)
        token_s = MINUTE_S / rpm
        spent = None
        if self._shared is not None:
            spent = self._shared.spend(bucket, token_s, is_taken=is_taken)
        if spent is None:
            spent = self._own.spend(bucket, token_s, is_taken=is_taken)
        is_admitted, full_in_s = spent
        remaining = int((MINUTE_S - full_in_s + ROUNDING_S) / token_s)
        reset_at_s = math.ceil(clock.now_ms() / 1000 + full_in_s - ROUNDING_S)
        if is_admitted:
            return Allowance(rpm, remaining, reset_at_s)
        retry_after_s = max(math.ceil(full_in_s + token_s - MINUTE_S - ROUNDING_S), 1)
        raise EmptyBucketError(
            f"The limit is {rpm} requests a minute, and it is used up. Try again in "
            f"{retry_after_s} s; a key's limit is set in the console under API keys.",
            retry_after_s=retry_after_s,
            allowance=Allowance(rpm, 0, reset_at_s),
        )


def rpm_of(caller: Caller, default_rpm: int) -> int:
    """Return the limit of a caller: the key's own, 0 included, else the gateway's."""
    return default_rpm if caller.rpm is None else caller.rpm


class _OwnBuckets:
    """The buckets of this process, by the instant when each is full again.

    Those that weren't touched for a minute are full, and are forgotten. When more than
    `MOST_BUCKETS` are in use, those that were touched longest ago are forgotten as if they were.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._young: dict[str, float] = {}
        self._old: dict[str, float] = {}
        self._turns_at_s = monotonic_s() + MINUTE_S

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def spend(self, bucket: str, token_s: float, *, is_taken: bool) -> Spent:
        now_s = self._monotonic_s()
        if now_s >= self._turns_at_s or len(self._young) >= MOST_BUCKETS:
            self._old, self._young = self._young, {}
            self._turns_at_s = now_s + MINUTE_S
        full_at_s = self._young.get(bucket)
        if full_at_s is None:
            full_at_s = self._old.get(bucket, now_s)
        if full_at_s < now_s:
            full_at_s = now_s
        after_s = full_at_s + token_s
        if after_s - now_s > MINUTE_S + ROUNDING_S:
            return False, full_at_s - now_s
        if is_taken:
            self._young[bucket] = full_at_s = after_s
        return True, full_at_s - now_s


class _SharedBuckets:
    """The buckets in Redis. They expire by themselves when they are full."""

    def __init__(self, redis_url: str, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._ask_at_s = float("-inf")
        pool = redis.BlockingConnectionPool.from_url(
            redis_url,
            max_connections=CONNECTIONS,
            timeout=ANSWER_WITHIN_S,
            socket_timeout=ANSWER_WITHIN_S,
            socket_connect_timeout=ANSWER_WITHIN_S,
            # One more try is for a connection that Redis closed while it was idle.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self._script = redis.Redis(connection_pool=pool).register_script(SPEND)

    def spend(self, bucket: str, token_s: float, *, is_taken: bool) -> Spent | None:
        """Return None where Redis doesn't answer."""
        now_s = self._monotonic_s()
        if now_s < self._ask_at_s:
            DEGRADED.inc()
            return None
        was_away = self._ask_at_s > float("-inf")
        if was_away:
            self._ask_at_s = now_s + ASK_AGAIN_S  # the others don't wait while this one asks
        try:
            answer = self._script(
                keys=[f"turnpike:rate:{bucket}"],
                args=[max(int(token_s * 1_000_000), 1), int(is_taken)],
            )
        except redis.RedisError:
            self._ask_at_s = self._monotonic_s() + ASK_AGAIN_S
            DEGRADED.inc()
            return None
        if was_away:
            self._ask_at_s = float("-inf")
        return bool(answer[0]), answer[1] / 1_000_000
