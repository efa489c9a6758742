"""`python -m bench [ROW or GROUP …]`: measure, print a table, and with --write keep it."""

import argparse
import contextlib
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bench import report
from bench.calibration import calibrate
from bench.processes import raise_open_files
from bench.rows import QUICK, ROWS, Extent, Figures, Row
from bench.targets import Target, Workbench
from tests.upstream import Upstream

TIMES = 5


class Opened:
    """A target that is started when it is first needed, and again when a row wants it fresh."""

    def __init__(self, start: Callable[[], AbstractContextManager[Target]]) -> None:
        self._start = start
        self._stack = contextlib.ExitStack()
        self._target: Target | None = None

    def get(self, *, is_fresh: bool) -> Target:
        """Return it, started."""
        if is_fresh:
            self.close()
        if self._target is None:
            self._target = self._stack.enter_context(self._start())
        return self._target

    def close(self) -> None:
        """Stop it, if it runs."""
        self._target = None
        self._stack.close()


def main(arguments: list[str]) -> int:
    """Measure what was asked for; 1 when an answer was bad, 2 when nothing can be measured."""
    options = _options(arguments)
    raise_open_files()
    signal.signal(signal.SIGTERM, _leave)  # so that what was started is stopped
    try:
        return _run(options)
    except RuntimeError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2


def _leave(_signal: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def _run(options: argparse.Namespace) -> int:
    results = []
    write = sys.stdout.write
    with tempfile.TemporaryDirectory(prefix="turnpike-bench-") as folder, Upstream() as upstream:
        bench = Workbench(Path(folder), upstream)
        write(f"{report.HEAD}\n")
        for result in _measure(bench, options):
            results.append(result)
            report.lines(result, write, has_targets=not options.quick)
            sys.stdout.flush()
    if options.write:
        report.save(results)
    return 1 if any(result.is_bad for result in results) else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    names = sorted({row.name for row in ROWS} | {row.group for row in ROWS})
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="once and little, to see that it runs")
    parser.add_argument("--times", type=int, help=f"how often each is measured ({TIMES})")
    parser.add_argument("--peers", action="store_true", help="nginx too, as a yardstick")
    parser.add_argument("--write", action="store_true", help="keep it in bench/results.json")
    options = parser.parse_args(arguments)
    unknown = set(options.rows) - set(names)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return options


def _measure(bench: Workbench, options: argparse.Namespace) -> Iterator[report.Result]:
    extent = QUICK if options.quick else Extent()
    times = options.times or (1 if options.quick else TIMES)
    starts = [("turnpike", bench.turnpike)]
    if options.peers:
        starts.append(("nginx", bench.nginx))
    for name, start in starts:
        opened = Opened(start)
        try:
            for row in ROWS:
                if not options.rows or row.name in options.rows or row.group in options.rows:
                    yield _repeated(bench, opened, row, extent, times, name)
        finally:
            opened.close()


def _repeated(
    bench: Workbench, opened: Opened, row: Row, extent: Extent, times: int, name: str
) -> report.Result:
    """Measure a row so often, with the calibration loop before, between and after."""
    calibs, found = [calibrate()], list[Figures]()
    for _ in range(times):
        target = opened.get(is_fresh=row.is_fresh)
        found.append(row.measure(bench, target, extent))
        calibs.append(calibrate())
    return report.Result(name, row.name, statistics.median(calibs), tuple(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
