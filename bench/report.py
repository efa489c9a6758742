"""What the figures look like: a table for people, JSON for the next comparison."""

import json
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rows import MUST, Figures

RESULTS = Path(__file__).parent / "results.json"
AT_LEAST = frozenset({"per_s", "done"})

UNITS = {
    "cpu_us": "CPU µs a request",
    "per_s": "requests/s",
    "added_p50_ms": "added ms, p50",
    "added_p99_ms": "added ms, p99",
    "cpu_us_chunk": "CPU µs a chunk",
    "cpu_us_stream": "CPU µs a short stream",
    "rss_mib": "RSS MiB, worker",
    "all_rss_mib": "RSS MiB, all",
    "rss_peak_mib": "RSS MiB, peak",
    "kib_stream": "KiB a stream",
    "done": "streams done",
    "first_added_p99_ms": "first chunk added ms, p99",
    "late_p50_ms": "chunk late ms, p50",
    "late_p99_ms": "chunk late ms, p99",
    "late_max_ms": "chunk late ms, max",
    "bad": "bad answers",
}


@dataclass(frozen=True, slots=True)
class Result:
    """One row on one target: every time it was measured, and how fast the machine was then."""

    target: str
    row: str
    calib_ms: float
    times: tuple[Figures, ...]

    def median(self, name: str) -> float:
        """The figure of the row; of bad answers, all of them."""
        values = [figures[name] for figures in self.times]
        return sum(values) if name == "bad" else statistics.median(values)

    @property
    def is_bad(self) -> bool:
        """Whether any answer wasn't what it should be, or none came at all."""
        return self.median("bad") > 0


HEAD = f"{'':10} {'':10} {'':26} {'median':>10}   {'least … most':>21}   {'must':>7} {'calib':>6}"


def lines(result: Result, write: Callable[[str], object], *, has_targets: bool) -> None:
    """Write a line for each figure, with its target where the extent is the whole one."""
    for place, name in enumerate(name for name in UNITS if name in result.times[0]):
        median = result.median(name)
        if name == "bad" and not median:
            continue
        values = [figures[name] for figures in result.times]
        who, row = (result.target, result.row) if place == 0 else ("", "")
        span = f"{_short(min(values))} … {_short(max(values))}"
        is_ours = has_targets and result.target == "turnpike"
        must = MUST.get((result.row, name)) if is_ours else None
        calib = f"{result.calib_ms:.0f}" if place == 0 else ""
        write(
            f"{who:10} {row:10} {UNITS[name]:26} {_short(median):>10}   {span:>21}   "
            f"{_mark(name, median, must):>7} {calib:>6}\n"
        )


def save(results: list[Result]) -> None:
    """Write `bench/results.json`."""
    rows: list[dict[str, Any]] = [
        {
            "target": result.target,
            "row": result.row,
            "calib_ms": round(result.calib_ms, 1),
            "median": {name: _rounded(result.median(name)) for name in result.times[0]},
            "times": [{k: _rounded(v) for k, v in figures.items()} for figures in result.times],
        }
        for result in results
    ]
    machine = {"python": platform.python_version(), "processors": os.cpu_count()}
    RESULTS.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


def _mark(name: str, value: float, must: float | None) -> str:
    if must is None:
        return ""
    is_met = value >= must if name in AT_LEAST else value <= must
    return f"{_short(must)}{' ' if is_met else '!'}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _rounded(value: float) -> float:
    return round(value, 3)
