"""Try the routes of a call in order, until one answers with content.

Before the first content a failure moves on to the next route, afterwards never. What the caller
sent is refused alike by every route of a model, so such a refusal moves on to the next model.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

import clock
import ids
from errors import (
    TurnpikeError,
    UpstreamBrokenError,
    UpstreamBusyError,
    UpstreamTimeoutError,
)
from gateway.catalog import Route
from gateway.ledger import AttemptRecord
from gateway.readings import ErrorInAnswer
from gateway.upstreams import Upstreams
from providers import failures
from providers.base import Exchange, Provider, UpstreamCall
from providers.transport import TransportError

MOST_ATTEMPTS = 3
TOTAL_S = 900.0
ERROR_LIMIT_BYTES = 64 * 1024
ERROR_BODY_S = 10.0
OK = 200
USUAL_FIRST_BYTE_S = 30.0
SLOWEST_TOKENS_PER_S = 20


class Reading(Protocol):
    """What an exchange has said so far, in the call's own dialect (`gateway/readings.py`)."""

    def advance(self, exchange: Exchange, patience_s: float) -> bool:
        """Read on; True once there is an answer to give.

        Raises: TransportError, UpstreamBrokenError, readings.ErrorInAnswer.
        """


@dataclass(slots=True)
class Reply:
    """The attempt that answered: everything needed to relay it and to settle it."""

    route: Route
    exchange: Exchange
    reading: Any
    attempt: AttemptRecord
    index: int


class CancelledCallError(Exception):
    """The call was broken off from outside: its client left, or the server is shutting down."""


class Attempts:
    """The tries of one call. `advance` may come back empty-handed, to keep the client's line."""

    def __init__(
        self,
        upstreams: Upstreams,
        generation_id: str,
        routes: Sequence[Route],
        draft: Callable[[Route], UpstreamCall],
        new_reading: Callable[[Route], Reading],
        output_tokens: int,
        on_accepted: Callable[[], None] | None = None,
    ) -> None:
        """`on_accepted` is called each time that a provider has begun to answer with a 200."""
        self._on_accepted = on_accepted
        self.records: list[AttemptRecord] = []
        self.exchange: Exchange | None = None
        self.has_accepted = False
        self.is_cancelled = False
        self._upstreams = upstreams
        self._generation_id = generation_id
        self._left = list(routes)
        self._tried: list[Route] = []
        self._draft = draft
        self._new_reading = new_reading
        self._output_tokens = output_tokens
        self._deadline_s = time.monotonic() + TOTAL_S
        self._errors: list[TurnpikeError] = []
        self._provider: Provider | None = None
        self._reading: Reading | None = None
        self._call: UpstreamCall | None = None
        self._opened_s = self._moved_s = 0.0
        self._received_bytes = 0

    @property
    def route(self) -> Route:
        """The route that is being tried."""
        return self._tried[-1] if self._tried else self._left[0]

    def advance(self, patience_s: float) -> Reply | None:
        """Try on for so long; None when there is no answer yet.

        Raises: UpstreamRejectedError, ContextLengthError at once; UpstreamError when no route is
        left; CancelledCallError after `cancel`.
        """
        until_s = time.monotonic() + patience_s
        while True:
            try:
                if self.exchange is None:
                    self._open_next()
                if self._is_answered(until_s):
                    return self._reply()
            except TransportError as error:
                self._fail(failures.from_transport(error))
            except ErrorInAnswer as error:
                self._fail(self._failure(200, error.body))
            except TurnpikeError as error:
                self._fail(error)
            if time.monotonic() >= until_s:
                return None

    def cancel(self) -> None:
        """Break off from another greenlet: whoever is in `advance` gets a CancelledCallError."""
        self.is_cancelled = True
        exchange = self.exchange
        if exchange is not None:
            exchange.abort()

    def close(self) -> None:
        """Let go of the exchange."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.close()

    def failure_in_stream(self, error: dict[str, Any]) -> TurnpikeError:
        """Return what an error event within a stream means."""
        return self._failure(OK, msgspec.json.encode({"error": error}))

    def note(self, outcome: str, error: str | None = None) -> None:
        """Write down how the present attempt went."""
        record = self.records[-1]
        record.outcome = outcome
        record.error = error[:500] if error else None
        record.latency_ms = self._elapsed_ms()

    def _open_next(self) -> None:
        route = self._left.pop(0)
        self._tried.append(route)
        self.records.append(
            AttemptRecord(
                id=self._attempt_id(),
                generation_id=self._generation_id,
                number=len(self.records) + 1,
                model=route.model_id,
                provider=route.provider.slug,
                endpoint_id=route.endpoint_id,
                upstream_model=route.upstream_model,
                price_version_id=route.price_version_id,
                started_at=clock.now_ms(),
            )
        )
        self._opened_s = self._moved_s = time.monotonic()
        self._received_bytes = 0
        self.has_accepted = False
        self._provider = self._upstreams.provider(route.provider)
        self._reading = self._new_reading(route)
        self._call = self._draft(route)
        key = self._upstreams.key_of(route.provider)
        self.exchange = self._provider.open(self._call, key, self._deadline_s)
        if self.is_cancelled:
            self.exchange.abort()

    def _attempt_id(self) -> str:
        """The first attempt has its generation's random bits, which saves drawing others."""
        return ids.new_id("att_") if self.records else ids.same(self._generation_id, "att_")

    def _is_answered(self, until_s: float) -> bool:
        exchange, reading = self.exchange, self._reading
        assert exchange is not None and reading is not None  # noqa: S101, PT018 - opened above
        while True:
            left_s = self._left_s(exchange)
            if left_s <= 0:
                raise UpstreamTimeoutError("The provider didn't answer in time.")
            patience_s = min(until_s - time.monotonic(), left_s)
            if patience_s <= 0:
                return False
            if not self.has_accepted:
                if exchange.wait_head(patience_s):
                    self._accept(exchange)
            elif reading.advance(exchange, patience_s):
                return True

    def _accept(self, exchange: Exchange) -> None:
        self.records[-1].http_status = exchange.status
        self.records[-1].first_byte_ms = self._elapsed_ms()
        if exchange.status != OK:
            raise self._refused(exchange)
        self.has_accepted = True
        if self._on_accepted is not None:
            self._on_accepted()

    def _refused(self, exchange: Exchange) -> TurnpikeError:
        try:
            body = exchange.read_all(ERROR_LIMIT_BYTES, ERROR_BODY_S)
        except TransportError:
            body = b""
        return self._failure(exchange.status, body)

    def _failure(self, status: int, body: bytes) -> TurnpikeError:
        assert self._provider is not None and self.exchange is not None  # noqa: S101, PT018
        return self._provider.failure(status, self.exchange.headers, body)

    def _left_s(self, exchange: Exchange) -> float:
        """How long it may stay silent: before its first content, or within a plain answer.

        A plain answer comes all at once: by default it is given the time that writing it may take.
        """
        config, is_plain = self.route.provider.config, not (self._call and self._call.is_streamed)
        if exchange.bytes_received != self._received_bytes:
            self._received_bytes, self._moved_s = exchange.bytes_received, time.monotonic()
        limit_s, since_s = config.first_byte_timeout_s, self._opened_s
        if is_plain and self.has_accepted:
            limit_s, since_s = config.idle_timeout_s, self._moved_s
        elif is_plain and limit_s == USUAL_FIRST_BYTE_S:
            limit_s += self._output_tokens / SLOWEST_TOKENS_PER_S
        return min(since_s + limit_s, self._deadline_s) - time.monotonic()

    def _fail(self, error: TurnpikeError) -> None:
        """Note a failed attempt, and raise when another one wouldn't help or isn't left."""
        if self.is_cancelled:
            raise CancelledCallError from error
        self.note(error.code, error.detail or error.message)
        self.close()
        error.provider = self.route.provider.slug
        self._errors.append(error)
        is_final = not failures.is_retryable(error)
        if is_final:
            refused = self.route.model_id
            self._left = [route for route in self._left if route.model_id != refused]
        has_time = time.monotonic() < self._deadline_s
        if not (self._left and has_time and len(self.records) < MOST_ATTEMPTS):
            raise error if is_final else self._verdict() from error

    def _verdict(self) -> TurnpikeError:
        """Return what the caller is told when no route is left."""
        tried = ", ".join(dict.fromkeys(record.provider for record in self.records))
        facts = {
            "previous_errors": [
                {"provider": record.provider, "code": record.outcome, "status": record.http_status}
                for record in self.records
            ]
        }
        kinds = {type(error) for error in self._errors}
        if kinds == {UpstreamBusyError}:
            waits = [e.retry_after_s for e in self._errors if e.retry_after_s is not None]
            return UpstreamBusyError(
                f"Every provider of this model is at its limit ({tried}). Try again shortly.",
                retry_after_s=min(waits, default=1.0),
                facts=facts,
            )
        if kinds == {UpstreamTimeoutError}:
            return UpstreamTimeoutError(
                f"No provider answered in time ({tried}). Try again, or choose another model.",
                facts=facts,
            )
        return UpstreamBrokenError(
            f"No provider gave an answer ({tried}). Try again, or choose another model.",
            facts=facts,
        )

    def _reply(self) -> Reply:
        assert self.exchange is not None  # noqa: S101 - it has answered
        self.note("ok")
        return Reply(
            self.route, self.exchange, self._reading, self.records[-1], len(self.records) - 1
        )

    def _elapsed_ms(self) -> int:
        return int((time.monotonic() - self._opened_s) * 1000)
