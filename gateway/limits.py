"""Requests a minute: a token bucket for each key and each address, full at the start."""

import time
from dataclasses import dataclass

from errors import RateLimitedError
from settings import Settings

NONE_SHOWN = 1_000_000
MOST_BUCKETS = 100_000


@dataclass(frozen=True, slots=True)
class Allowance:
    limit: int
    remaining: int
    reset_at_s: int


class Limiter:
    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> "Limiter":
        return cls()

    def admit(self, bucket: str, rpm: int) -> Allowance:
        now = time.time()
        if not rpm:
            return Allowance(NONE_SHOWN, NONE_SHOWN, int(now))
        level, at = self._buckets.get(bucket, (float(rpm), now))
        level = min(rpm, level + (now - at) * rpm / 60)
        if level < 1:
            error = RateLimitedError("Too many requests. Wait as Retry-After says, then try again.", retry_after_s=(1 - level) * 60 / rpm)
            error.allowance = Allowance(rpm, 0, int(now + (rpm - level) * 60 / rpm) + 1)
            raise error
        self._buckets[bucket] = (level - 1, now)
        return Allowance(rpm, int(level - 1), int(now + (rpm - level + 1) * 60 / rpm) + 1)


def rpm_of(caller, default_rpm: int) -> int:
    return default_rpm if caller.rpm is None else caller.rpm
