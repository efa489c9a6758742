"""What a serving process has one of: ledger writer, connections, heartbeat, running calls.

Made once, after the fork; `current()` is where the line of a paid call finds them. Nothing here
decides.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

import clock
import db
import ids
from errors import TurnpikeError
from gateway import revisions, telemetry
from gateway.ledger.lifeline import BEAT_S, Lifeline
from gateway.ledger.seals import Sealer
from gateway.ledger.verify import quick
from gateway.ledger.writer import Writer
from gateway.limits import Limiter
from gateway.retention import forget_old
from gateway.upstreams import Upstreams
from providers.transport import Transport
from settings import Settings

log = logging.getLogger(__name__)

SEAL_S = 1.0
SWEEP_S = 10.0
CHECK_S = 60.0
FORGET_S = 3600.0


class Running(Protocol):
    """A call that is under way, as far as shutting down is concerned."""

    def cut(self) -> None:
        """End it soon, whatever it waits for."""


class Runtime:
    """The one-of-each of a process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.worker_id = ids.new_id("wrk_")
        self.writer = Writer(is_synced=settings.ledger_sync == "always")
        self.upstreams = Upstreams(Transport())
        self.limiter = Limiter.from_settings(settings)
        self.lifeline = Lifeline(self.worker_id, self.writer)
        self.sealer = Sealer(self.writer)
        self.is_draining = False
        self.started_at = clock.now_ms()
        self._running: set[Running] = set()
        self._is_closed = threading.Event()

    def begin(self) -> None:
        """Start what runs beside the calls: heartbeat and sweep, seals, the watch over changes.

        Raises: LedgerUnavailableError, with nothing started.
        """
        self.lifeline.beat()
        revisions.start_watch()
        for name, every_s, work in (
            ("beat", BEAT_S, self.lifeline.beat),
            ("sweep", SWEEP_S, self.lifeline.sweep),
            ("seal", SEAL_S, self.sealer.run),
            ("check", CHECK_S, _check_books),
            ("forget", FORGET_S, self._forget),
        ):
            threading.Thread(
                target=self._repeat, args=(name, every_s, work), name=name, daemon=True
            ).start()

    def add(self, call: Running) -> None:
        """Count a call among those that are running."""
        self._running.add(call)

    def remove(self, call: Running) -> None:
        """Forget a call that has ended."""
        self._running.discard(call)

    @property
    def running_count(self) -> int:
        """How many calls are running."""
        return len(self._running)

    def drain(self, patience_s: float) -> None:
        """Take no new calls, let the running ones end, and cut those that haven't in time."""
        self.is_draining = True
        give_up_at = time.monotonic() + patience_s
        while self._running and time.monotonic() < give_up_at:
            time.sleep(0.05)
        for call in list(self._running):
            call.cut()

    def close(self) -> None:
        """Write down what is queued, and let go of everything."""
        self._is_closed.set()
        self.writer.close()
        self.upstreams.close()

    def _forget(self) -> None:
        forget_old(self.settings.retention_days)

    def _repeat(self, name: str, every_s: float, work: Callable[[], object]) -> None:
        while not self._is_closed.is_set():
            try:
                work()
            except TurnpikeError as error:
                log.warning("%s failed: %s", name, error.detail or error.message)
            except Exception:
                log.exception("%s failed", name)
            self._is_closed.wait(every_s)


def _check_books() -> None:
    """Check the cheap invariants; a violation is an alarm in the log and in the metrics."""
    with db.reading() as session:
        report = quick(session)
    telemetry.VIOLATIONS.set(len(report.violations))
    for violation in report.violations:
        log.error("ledger violation %s: %s", violation.invariant, violation.detail)


class _Current:
    runtime: Runtime | None = None


_current = _Current()


def use(runtime: Runtime | None) -> None:
    """Make this the process's runtime."""
    _current.runtime = runtime


def current() -> Runtime:
    """Return the process's runtime."""
    if _current.runtime is None:
        raise RuntimeError("this process doesn't serve")
    return _current.runtime
