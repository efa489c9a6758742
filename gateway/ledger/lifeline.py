"""Who is alive: each worker's heartbeat, and the sweep that ends the holds of the dead.

A worker counts as dead when its heartbeat hasn't changed for `DEAD_AFTER_S` by the watcher's own
monotonic clock, so that a wall clock that jumps kills nobody; one that has holds and no heartbeat
gets as long. On SQLite there is one serving process, so at its start everybody else is dead. A hold
ends once, by whoever gets there: its guarded state decides.
"""

import logging
import os
import socket
import time
from collections.abc import Iterable

import msgspec
from sqlalchemy import delete, select

import clock
import db
from gateway.ledger.records import Checkpoint, GenerationRecord
from gateway.ledger.verbs import Pen, Settlement, settle
from gateway.ledger.writer import Writer
from models import Hold, Worker

log = logging.getLogger(__name__)

DEAD_AFTER_S = 25.0
BEAT_S = 5.0
OVERDUE_S = 960.0
"""Longer than a call may take altogether (`router.TOTAL_S`), and a minute more."""

MOST_AT_ONCE = 200

_BEAT = (
    "INSERT INTO workers (id, host, pid, started_at, heartbeat_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at"
)


class Lifeline:
    """One process's heartbeat, and its eye on the others."""

    def __init__(self, worker_id: str, writer: Writer) -> None:
        self._worker_id = worker_id
        self._writer = writer
        self._started_at = clock.now_ms()
        self._mine: dict[str, float] = {}
        self._seen: dict[str, tuple[int | None, float]] = {}

    def beat(self) -> None:
        """Write down that this worker lives.

        Raises: LedgerUnavailableError.
        """
        values = (
            self._worker_id,
            socket.gethostname(),
            os.getpid(),
            self._started_at,
            clock.now_ms(),
        )
        self._writer.submit(lambda pen: pen.run(_BEAT, *values), "")

    def sweep(self) -> int:
        """End the holds of workers that are dead by now, and return how many.

        Raises: LedgerUnavailableError.
        """
        self.beat()
        with db.reading() as session:
            workers = session.execute(select(Worker.id, Worker.heartbeat_at)).all()
            owners = session.scalars(
                select(Hold.worker_id).where(Hold.state == "open").distinct()
            ).all()
        beats: dict[str, int | None] = {**dict.fromkeys(owners), **dict(workers)}
        alive = {worker_id for worker_id, beat in beats.items() if self._is_alive(worker_id, beat)}
        ended = sum(expire_of(self._writer, owner) for owner in owners if owner not in alive)
        forgotten = [worker_id for worker_id, _ in workers if worker_id not in alive]
        if forgotten:
            with db.transaction() as session:
                session.execute(delete(Worker).where(Worker.id.in_(forgotten)))
        return ended + self._end_overdue()

    def _end_overdue(self) -> int:
        """End this worker's own holds that outlived every deadline: a defect, but no lost money."""
        now_s = time.monotonic()
        with db.reading() as session:
            mine = session.scalars(
                select(Hold.id).where(Hold.state == "open", Hold.worker_id == self._worker_id)
            ).all()
            self._mine = {hold_id: self._mine.get(hold_id, now_s) for hold_id in mine}
            overdue = [name for name, since_s in self._mine.items() if now_s - since_s > OVERDUE_S]
            rows = session.scalars(select(Hold).where(Hold.id.in_(overdue[:MOST_AT_ONCE]))).all()
        for row in rows:
            log.error("the hold %s was never resolved", row.id)
        return _end(self._writer, rows)

    def _is_alive(self, worker_id: str, beat: int | None) -> bool:
        if worker_id == self._worker_id:
            return True
        if db.is_sqlite():
            return False
        seen = self._seen.get(worker_id)
        if seen is None or seen[0] != beat:
            self._seen[worker_id] = (beat, time.monotonic())
            return True
        return time.monotonic() - seen[1] < DEAD_AFTER_S


def expire_of(writer: Writer, worker_id: str) -> int:
    """End every open hold of one worker, and return how many."""
    ended = 0
    while True:
        with db.reading() as session:
            rows = session.scalars(
                select(Hold)
                .where(Hold.state == "open", Hold.worker_id == worker_id)
                .limit(MOST_AT_ONCE)
            ).all()
        ended += _end(writer, rows)
        if len(rows) < MOST_AT_ONCE:
            return ended


def _end(writer: Writer, rows: Iterable[Hold]) -> int:
    return sum(not writer.submit(_expiry(row), row.workspace_id) for row in rows)


def expire_stale(writer: Writer, silent_for_s: float) -> int:
    """End the holds of workers whose last heartbeat is that old by the wall clock: a command's."""
    horizon = clock.now_ms() - int(silent_for_s * 1000)
    with db.reading() as session:
        alive = set(session.scalars(select(Worker.id).where(Worker.heartbeat_at >= horizon)))
        owners = session.scalars(
            select(Hold.worker_id).where(Hold.state == "open").distinct()
        ).all()
    return sum(expire_of(writer, owner) for owner in owners if owner not in alive)


def _expiry(hold: Hold) -> "_Expire":
    windows = tuple(
        (int(cap_id), str(day)) for cap_id, day in msgspec.json.decode(hold.cap_windows)
    )
    if hold.checkpoint is None:
        record = msgspec.json.decode(hold.context, type=GenerationRecord)
        point = Checkpoint(generation=record, attempts=[], cost_nusd=0)
    else:
        point = msgspec.json.decode(hold.checkpoint, type=Checkpoint)
    point.generation.latency_ms = max(clock.now_ms() - hold.created_at, 0)
    return _Expire(
        Settlement(
            record=point.generation,
            attempts=point.attempts,
            cost_nusd=min(point.cost_nusd, hold.amount_nusd),
            windows=windows,
            is_expiry=True,
        )
    )


class _Expire:
    """The settlement of a hold whose worker is gone; true when somebody else was faster."""

    def __init__(self, settlement: Settlement) -> None:
        self._settlement = settlement

    def __call__(self, pen: Pen) -> bool:
        return settle(pen, self._settlement).is_lost
