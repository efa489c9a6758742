"""How fast the machine is at this moment: the same loop, timed around every row.

Rows may be compared when their calibrations are alike; about 85 ms is a quiet machine of the kind
that the targets were set on.
"""

import statistics
import time

ADDITIONS = 3_750_000
TIMES = 3


def calibrate() -> float:
    """Return the median of a few runs of the loop, in milliseconds."""
    return statistics.median(_loop_ms() for _ in range(TIMES))


def _loop_ms() -> float:
    begun = time.perf_counter()
    total = 0
    for number in range(ADDITIONS):
        total += number
    return (time.perf_counter() - begun) * 1000
