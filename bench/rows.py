"""The rows: each measures one thing once and returns its figures; `__main__` repeats it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.load import Load, percentile, plain, streams
from bench.processes import Tree
from bench.targets import IDLE_FIRST_S, Target, Workbench

MIB = 1024 * 1024
SETTLED_S = 0.2
"""What the server still does once the last byte is out is part of the cost."""

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of everything; `--quick` makes less of it."""

    seconds: float = 3.0
    waves: int = 2
    idle_streams: tuple[int, int] = (500, 2000)
    idle_model: str = "idle-20"
    opened_within_s: float = 2.0


QUICK = Extent(0.7, waves=1, idle_streams=(50, 200), idle_model="idle-4", opened_within_s=0.5)


def start(_bench: Workbench, target: Target, _extent: Extent) -> Figures:
    """How large it is once it has answered for the first time."""
    load = asyncio.run(plain(target, "short", 1, 0.1))
    rss, all_rss = target.tree.rss_bytes(), target.tree.all_rss_bytes()
    return {"rss_mib": rss / MIB, "all_rss_mib": all_rss / MIB, "bad": load.bad}


def plain_64(bench: Workbench, target: Target, extent: Extent) -> Figures:
    """A saturated worker: what a request costs, and how many there are a second."""
    return _plain(bench, target, extent, 64)


def plain_1(bench: Workbench, target: Target, extent: Extent) -> Figures:
    """One caller at a time: what the gateway adds to an answer."""
    return _plain(bench, target, extent, 1)


def _plain(bench: Workbench, target: Target, extent: Extent, connections: int) -> Figures:
    direct = asyncio.run(plain(bench.direct, "plain", connections, extent.seconds / 3))
    load, cpu_s = _with_cpu(target, plain(target, "plain", connections, extent.seconds))
    added = {
        f"added_p{round(share * 100)}_ms": 1000
        * (percentile(load.latencies, share) - percentile(direct.latencies, share))
        for share in (0.5, 0.99)
    }
    return {
        "cpu_us": _per(cpu_s, load.done),
        "per_s": load.done / load.seconds,
        **added,
        "bad": load.bad + direct.bad,
    }


def paced(_bench: Workbench, target: Target, extent: Extent) -> Figures:
    """16 streams with 20 ms between chunks: the cost of a chunk is the slope of 4 to 104 chunks."""
    return _slope(target, ("paced-4", 16, 16 * extent.waves), ("paced-104", 16, extent.waves), 100)


def burst(_bench: Workbench, target: Target, extent: Extent) -> Figures:
    """Many events a read: the slope of 100 to 2,100 chunks."""
    few, many = ("burst-100", 4, 30 * extent.waves), ("burst-2100", 4, 10 * extent.waves)
    return _slope(target, few, many, 2000)


def _slope(
    target: Target, few: tuple[str, int, int], many: tuple[str, int, int], chunks: int
) -> Figures:
    costs, bad = [], 0
    for model, connections, each in (few, many):
        load, cpu_s = _with_cpu(target, streams(target, model, connections, each))
        costs.append(_per(cpu_s, load.done))
        bad += load.bad
    slope = (costs[1] - costs[0]) / chunks
    return {"cpu_us_chunk": slope, "cpu_us_stream": costs[0], "bad": bad}


def first(bench: Workbench, target: Target, extent: Extent) -> Figures:
    """What the gateway adds to the first byte of a stream, one caller at a time."""
    each = round(100 * extent.seconds)
    direct = asyncio.run(streams(bench.direct, "short", 1, each))
    load = asyncio.run(streams(target, "short", 1, each))
    added = {
        f"added_p{round(share * 100)}_ms": 1000
        * (percentile(load.firsts, share) - percentile(direct.firsts, share))
        for share in (0.5, 0.99)
    }
    return {**added, "bad": load.bad + direct.bad}


def idle_few(_bench: Workbench, target: Target, extent: Extent) -> Figures:
    """Hundreds of streams that mostly wait."""
    return _idle(target, extent, extent.idle_streams[0])


def idle_many(_bench: Workbench, target: Target, extent: Extent) -> Figures:
    """Thousands of streams that mostly wait."""
    return _idle(target, extent, extent.idle_streams[1])


def _idle(target: Target, extent: Extent, count: int) -> Figures:
    asyncio.run(plain(target, "short", 1, 0.2))
    before = target.tree.rss_bytes()
    load, peak = asyncio.run(_watched(target, extent, count))
    firsts = [1000 * (first_s - IDLE_FIRST_S) for first_s in load.firsts]
    late = [1000 * seconds for seconds in load.late]
    return {
        "done": load.done,
        "first_added_p99_ms": percentile(firsts, 0.99),
        "late_p50_ms": percentile(late, 0.5),
        "late_p99_ms": percentile(late, 0.99),
        "late_max_ms": max(late, default=0.0),
        "rss_peak_mib": peak / MIB,
        "kib_stream": (peak - before) / 1024 / count,
        "bad": load.bad,
    }


async def _watched(target: Target, extent: Extent, count: int) -> tuple[Load, int]:
    """Run the idle streams and note the largest memory on the way."""
    peak = [0]
    watching = asyncio.create_task(_watch(target.tree, peak))
    try:
        load = await streams(target, extent.idle_model, count, 1, within_s=extent.opened_within_s)
    finally:
        watching.cancel()
    return load, peak[0]


async def _watch(tree: Tree, peak: list[int]) -> None:
    while True:
        peak[0] = max(peak[0], tree.rss_bytes())
        await asyncio.sleep(0.25)


def _with_cpu(target: Target, run: Coroutine[Any, Any, Load]) -> tuple[Load, float]:
    before = target.tree.cpu_s()
    load = asyncio.run(run)
    time.sleep(SETTLED_S)
    return load, target.tree.cpu_s() - before


def _per(cpu_s: float, count: int) -> float:
    return 1e6 * cpu_s / count if count else 0.0


class Row(NamedTuple):
    """A name, its group, and how to measure it once.

    A fresh server for each time where memory is measured: what was used once isn't given back.
    """

    name: str
    group: str
    measure: Callable[[Workbench, Target, Extent], Figures]
    is_fresh: bool = False


ROWS = (
    Row("start", "start", start, is_fresh=True),
    Row("plain-64", "plain", plain_64),
    Row("plain-1", "plain", plain_1),
    Row("paced", "streams", paced),
    Row("burst", "streams", burst),
    Row("first", "streams", first),
    Row("idle-500", "idle", idle_few, is_fresh=True),
    Row("idle-2000", "idle", idle_many, is_fresh=True),
)

MUST = {
    ("start", "rss_mib"): 110,
    ("plain-64", "cpu_us"): 1200,
    ("plain-64", "per_s"): 800,
    ("plain-1", "added_p50_ms"): 1.3,
    ("plain-1", "added_p99_ms"): 4,
    ("paced", "cpu_us_chunk"): 200,
    ("burst", "cpu_us_chunk"): 60,
    ("first", "added_p50_ms"): 3,
    ("idle-500", "done"): 500,
    ("idle-500", "late_p99_ms"): 25,
    ("idle-2000", "done"): 2000,
    ("idle-2000", "late_p99_ms"): 250,
    ("idle-2000", "kib_stream"): 50,
}
"""What must hold on a quiet machine, whose calibration is 95 ms at most."""
