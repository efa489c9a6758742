"""The ledger writer: one thread of this process that commits the money of many calls together.

Whoever has something to write queues it and waits; the writer takes all that is queued, runs it in
one transaction, commits, and wakes the waiters. An operation whose guard fails gets its refusal and
the others go on. Anything else that goes wrong undoes the batch, which is then run again one by
one, so that only the culprit fails.
"""

import _thread
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from errors import LedgerUnavailableError, TurnpikeError
from gateway.ledger.storage import CONNECTION_FAULTS, DriverPen, Storage
from gateway.ledger.verbs import Refusal

log = logging.getLogger(__name__)

T = TypeVar("T")
MOST_AT_ONCE = 256
TICK_S = 1.0


class _Ticket:
    __slots__ = ("error", "lock", "order", "result", "work")

    def __init__(self, work: Callable[[DriverPen], Any], order: str) -> None:
        self.work = work
        self.order = order
        self.result: Any = None
        self.error: Exception | None = None
        self.lock = _thread.allocate_lock()
        self.lock.acquire()


class Writer:
    """Queues work for the ledger's connection; made once in a process, after it forked."""

    def __init__(self, *, is_synced: bool) -> None:
        self._storage = Storage(is_synced=is_synced)
        self._queue: queue.SimpleQueue[_Ticket | None] = queue.SimpleQueue()
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = threading.Event()

    def submit(self, work: Callable[[DriverPen], T], order: str) -> T:
        """Run `work` in the next transaction and return its result once that is committed.

        `order` is the workspace it locks: a batch is sorted by it, so that workers never wait in a
        circle. Raises: Refusal; LedgerUnavailableError; whatever `work` raises.
        """
        ticket = _Ticket(work, order)
        self._enqueue(ticket)
        ticket.lock.acquire()
        if ticket.error is not None:
            raise ticket.error
        result: T = ticket.result
        return result

    def post(self, work: Callable[[DriverPen], object], order: str) -> None:
        """Queue `work` and go on; a failure is logged."""
        self._enqueue(_Ticket(work, order))

    def close(self) -> None:
        """Finish what is queued, bring it to disk and end."""
        thread, self._thread = self._thread, None
        self._is_closed.set()
        if thread is not None:
            self._queue.put(None)
            thread.join()
        self._sync()
        self._storage.close()

    def _enqueue(self, ticket: _Ticket) -> None:
        if self._thread is None:
            with self._start_lock:
                if self._thread is None:
                    self._is_closed.clear()
                    threading.Thread(target=self._keep_synced, name="sync", daemon=True).start()
                    self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
                    self._thread.start()
        self._queue.put(ticket)

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._take()
            if batch:
                self._commit(batch)

    def _keep_synced(self) -> None:
        while not self._is_closed.wait(TICK_S):
            self._sync()

    def _take(self) -> tuple[list[_Ticket], bool]:
        batch: list[_Ticket] = []
        try:
            ticket = self._queue.get()
            while ticket is not None:
                batch.append(ticket)
                if len(batch) >= MOST_AT_ONCE:
                    return batch, True
                ticket = self._queue.get_nowait()
        except queue.Empty:
            return batch, True
        return batch, False

    def _sync(self) -> None:
        try:
            self._storage.sync()
        except (OSError, *CONNECTION_FAULTS) as error:
            log.exception("ledger not synced", extra={"detail": str(error)})

    def _commit(self, batch: list[_Ticket]) -> None:
        batch.sort(key=lambda ticket: ticket.order)
        failure = self._failure_of(batch)
        if isinstance(failure, LedgerUnavailableError) and self._storage.was_cut_off:
            failure = self._failure_of(batch)  # on a connection of its own
        if isinstance(failure, LedgerUnavailableError) or (failure is not None and len(batch) == 1):
            for ticket in batch:
                ticket.error = failure
        elif failure is not None:
            for ticket in batch:
                ticket.error = self._failure_of([ticket]) or ticket.error
        for ticket in batch:
            if ticket.error is not None and not isinstance(ticket.error, (Refusal, TurnpikeError)):
                log.error("ledger operation failed", exc_info=ticket.error)
            ticket.lock.release()

    def _failure_of(self, batch: list[_Ticket]) -> Exception | None:
        """Run the batch in one transaction and return what undid it; refusals undo nothing."""
        try:
            with self._storage.transaction() as pen:
                for ticket in batch:
                    ticket.error = None
                    try:
                        ticket.result = ticket.work(pen)
                    except Refusal as refusal:
                        ticket.error = refusal
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            return error
        return None
