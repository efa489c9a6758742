"""An exchange that never leaves the process: pieces of an answer, each with its time."""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from typing_extensions import override

from providers.base import Exchange
from providers.transport_errors import (
    ConnectionBrokenError,
    DeadlineError,
    ResponseTooBigError,
    TransportAbortedError,
)

READ_BYTES = 64 * 1024
NEVER_S = float("inf")


class Ending(Enum):
    """How an answer ends: whole, cut by the peer, or with a silence that only a deadline ends."""

    WHOLE = "whole"
    BROKEN = "broken"
    SILENT = "silent"


@dataclass(slots=True)
class Answer:
    """What the sandbox answers.

    `pieces` are (seconds after the piece before, bytes); `head_after_s` may be NEVER_S.
    """

    pieces: Iterable[tuple[float, bytes]]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    head_after_s: float = 0.0
    ending: Ending = Ending.WHOLE


class SandboxExchange(Exchange):
    """Like the one over HTTP in all that its callers may rely on.

    Pieces fall due by the clock, whether anybody reads or not; what is due is read at once.
    Units: `deadline_s` is on the monotonic clock.
    """

    def __init__(self, answer: Answer, deadline_s: float) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.bytes_received = 0
        self._answer = answer
        self._deadline_s = deadline_s
        self._pieces: Iterator[tuple[float, bytes]] = iter(answer.pieces)
        self._head_at = time.monotonic() + answer.head_after_s
        self._due_at = self._head_at
        self._next: bytes | None = None
        self._is_over = threading.Event()

    @override
    def wait_head(self, timeout_s: float) -> bool:
        if self.status:
            return True
        if not self._wait_until(self._head_at, timeout_s):
            return False
        self.status = self._answer.status
        self.headers = dict(self._answer.headers)
        self._advance()
        return True

    @override
    def read(self, timeout_s: float) -> bytes | None:
        if not self.status and not self.wait_head(timeout_s):
            return None
        if not self._wait_until(self._due_at, timeout_s):
            return None
        data = bytearray()
        while self._next is not None and self._due_at <= time.monotonic():
            if data and len(data) + len(self._next) > READ_BYTES:
                break
            data += self._next
            self._advance()
        if not data and self._answer.ending is Ending.BROKEN:
            raise ConnectionBrokenError("the sandbox cut the answer")
        self.bytes_received += len(data)
        return bytes(data)

    @override
    def read_all(self, limit_bytes: int, timeout_s: float) -> bytes:
        body = bytearray()
        while True:
            data = self.read(timeout_s)
            if data is None:
                raise DeadlineError(f"silent for {timeout_s:g} s within the body")
            if not data:
                return bytes(body)
            body += data
            if len(body) > limit_bytes:
                raise ResponseTooBigError(f"a body of more than {limit_bytes} bytes")

    @override
    def abort(self) -> None:
        self._is_over.set()

    @override
    def close(self) -> None:
        self._is_over.set()

    def _advance(self) -> None:
        """Take the next piece, due so long after the present one; none is left at the end."""
        after_s, self._next = next(self._pieces, (0.0, None))
        if self._next is None and self._answer.ending is Ending.SILENT:
            after_s = NEVER_S
        self._due_at += after_s

    def _wait_until(self, instant_s: float, timeout_s: float) -> bool:
        """Wait for an instant of the exchange; False when the caller's patience ends before it.

        Raises: TransportAbortedError, DeadlineError
        """
        now_s = time.monotonic()
        until_s = min(instant_s, now_s + timeout_s, self._deadline_s)
        if self._is_over.wait(max(until_s - now_s, 0.0)):
            raise TransportAbortedError("aborted")
        if instant_s <= until_s:
            return True
        if until_s >= self._deadline_s:
            raise DeadlineError("the exchange took too long")
        return False
