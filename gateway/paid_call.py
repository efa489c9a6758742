"""One paid call as it goes: what is held for it, who is asked, what it came to.

`generations.start` leads it through its steps and `relay.Relay` hands its stream on. Every way out
of either resolves the hold exactly once.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

import clock
import ids
from errors import (
    DrainingError,
    InternalError,
    InvalidRequestError,
    LedgerUnavailableError,
    TurnpikeError,
)
from gateway import estimates, pricing, quotes, savings, telemetry
from gateway.call_hold import CallHold
from gateway.catalog import Catalog, Route
from gateway.keys import Caller
from gateway.ledger import Checkpoint, GenerationRecord, Settled, Settlement, verbs
from gateway.readings import PlainReading, StreamReading
from gateway.router import Attempts, CancelledCallError, Reply
from gateway.runtime import Runtime
from gateway.who_pays import End, Evidence, judge
from money import usd_number
from providers.base import UpstreamCall
from wire.usage import LARGEST_COUNT, Usage

CHECKPOINT_S = 2.0
SETTLE_AGAIN_S = 1.0
SETTLE_FOR_S = 600.0
EXPECTED_OUTPUT_TOKENS = 500
"""What a stream's savings header assumes of its output, which nobody knows yet."""

COLUMN_BUCKETS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)
OTHER_COUNTS = tuple(
    name for name in Usage.__struct_fields__ if name not in (*COLUMN_BUCKETS, "requests")
)


class Line(Protocol):
    """The client's connection, as far as the domain is concerned."""

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call back, once, when the client has closed its connection."""

    def unwatch(self) -> None:
        """Stop watching."""


class ClientGoneError(Exception):
    """The client left; there is nobody to answer."""


class Dialect(Protocol):
    """A call of any kind, as the line of a paid call needs it; `wire.chat.ChatCall` is one."""

    api: str
    path: str
    model: str
    is_streamed: bool
    wants_usage: bool
    output_limit: int | None
    choices: int
    session_id: str | None
    hosted_tools: frozenset[str]
    is_stateful: bool
    predicted_output: int
    forced_tool: str | None

    def input_bound(
        self, max_image_tokens: int, context_length: int, exact: Callable[[str], int] | None
    ) -> int:
        """Return how many input tokens it can be at the most."""

    def upstream_body(
        self,
        upstream_model: str,
        output_bound: int | None,
        *,
        limit_field: str | None = None,
        without_tools: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        """Return what goes to one provider."""

    def parse_answer(self, raw: bytes, *, bound_input: int, bound_output: int) -> Any:
        """Read a plain answer; ValueError when it is none."""

    def new_stream(
        self, generation_id: str, model: str, *, created: int, bound_input: int, bound_output: int
    ) -> Any:
        """Return what reads a streamed answer."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call comes from, for its row and the log."""

    request_id: str
    app: str | None = None


class PaidCall:
    """The state of one call. `finish` may be called by whoever gets there; the first one counts."""

    def __init__(
        self,
        runtime: Runtime,
        caller: Caller,
        call: Dialect,
        routes: Sequence[Route],
        catalog: Catalog,
        line: Line,
        origin: Origin,
    ) -> None:
        now_ms = clock.now_ms()
        self.record = GenerationRecord(
            id=ids.new_id("gen-"),
            workspace_id=caller.workspace_id,
            key_id=caller.key_id,
            user_id=caller.user_id,
            created_at=now_ms,
            day=caller.day(now_ms),
            api=call.api,
            requested_model=call.model,
            is_streamed=call.is_streamed,
            request_id=origin.request_id,
            session_id=call.session_id,
            app=origin.app,
        )
        self.call = call
        self.hold = CallHold(runtime, caller, self.record, call, routes)
        self.attempts: Attempts
        self.reply: Reply | None = None
        self.settled: Settled | None = None
        self.has_client_left = False
        self.is_cut = False
        self.cost_nusd = 0
        self._runtime = runtime
        self._routes = routes
        self._catalog = catalog
        self._line = line
        self._started_s = time.monotonic()
        self._checkpoint_at_s = 0.0
        self._finishing = threading.Lock()

    def open(self) -> None:
        """Take the hold, and watch the client from here on.

        Raises: MoneyError; then the call has left no trace.
        """
        self.hold.take()
        self._runtime.add(self)
        self.attempts = Attempts(
            self._runtime.upstreams,
            self.record.id,
            self._routes,
            self._draft,
            self._new_reading,
            self.hold.quote.output_tokens,
        )
        self._line.watch(self._on_client_gone)

    def answer(self, patience_s: float) -> Reply | None:
        """Wait so long for a provider's answer; None when there is none yet.

        Raises: UpstreamError, InvalidRequestError when there will be none (the hold is free again);
        ClientGoneError; DrainingError.
        """
        is_over = False
        try:
            self.reply = self.attempts.advance(patience_s)
            is_over = True
        except CancelledCallError:
            is_over = True
            raise self._cancelled() from None
        except TurnpikeError as error:
            is_over = True
            self.finish(self._end_of(error), error)
            raise
        finally:
            if not is_over:
                self.finish(End.FAILED, InternalError("A defect of ours."))
        if self.reply is not None:
            self._begin()
        return self.reply

    def finish(self, end: End, error: TurnpikeError | None = None) -> Settled:
        """Resolve the hold and write the call down, once; later calls return the first result."""
        with self._finishing:
            if self.settled is None:
                self.settled = self._settle(end, error)
                self._line.unwatch()
                self._runtime.remove(self)
                self.attempts.close()
        return self.settled

    def cut(self) -> None:
        """End the call because the server is shutting down."""
        self.is_cut = True
        self.attempts.cancel()

    def usage_extra(self) -> dict[str, Any]:
        """Return what joins the usage that the caller sees: its cost, and what it saved."""
        extra: dict[str, Any] = {"cost": usd_number(self.record.charge_nusd)}
        if self._shown_usage is not None:
            saved = savings.percent(self._catalog, self._shown_usage, self.cost_nusd)
            if saved is not None:
                extra["savings"] = f"{saved}%"
        return extra

    def estimate_shown(self) -> Usage | None:
        """Return our own count, where the provider gave none that makes sense."""
        return self._shown_usage if self.record.basis == "estimated" else None

    def headers(self) -> dict[str, str]:
        """Return the X-Turnpike headers that are true by now."""
        route, index = self.attempts.route, max(len(self.attempts.records) - 1, 0)
        headers = {
            "X-Generation-Id": self.record.id,
            "X-Turnpike-Routed-To": route.model_id,
            "X-Turnpike-Provider": route.provider.slug,
            "X-Turnpike-Tier": f"fallback-{index}" if index else "primary",
            "X-Turnpike-Fallback": "true" if index else "false",
        }
        if self.hold.quote.is_announced:
            headers["X-Turnpike-Max-Tokens"] = str(self.hold.quote.output_tokens)
        dropped = self._dropped_tools(route)
        if dropped:
            headers["X-Turnpike-Dropped"] = ", ".join(sorted(dropped))
        saved = self._savings(route)
        if saved is not None:
            name = self._catalog.options.reference_model
            headers["X-Turnpike-Savings"] = f"{saved}% vs {name}"
        return headers

    def checkpoint(self) -> None:
        """Write down, now and then and without waiting, what the stream has delivered so far."""
        now_s = time.monotonic()
        if now_s < self._checkpoint_at_s or self.reply is None:
            return
        self._checkpoint_at_s = now_s + CHECKPOINT_S
        route, stream = self.reply.route, self.reply.reading.stream
        usage = Usage(
            input_tokens=self._count_input(route, estimates.tokens),
            output_tokens=min(stream.output_estimate, self.hold.covered_tokens),
        )
        record = msgspec.structs.replace(self.record, status="error", rule="m", basis="estimated")
        _fill(record, usage)
        point = Checkpoint(
            generation=record,
            attempts=self.attempts.records,
            cost_nusd=pricing.cost(usage, route.price, route.markup_bps),
        )
        self._runtime.writer.post(lambda pen: verbs.checkpoint(pen, point), record.workspace_id)

    # From here on: how it is done.

    _shown_usage: Usage | None = None

    def _begin(self) -> None:
        """Note who answers."""
        reply = self.reply
        assert reply is not None  # noqa: S101 - called with one
        route, record = reply.route, self.record
        record.model, record.provider = route.model_id, route.provider.slug
        record.endpoint_id, record.price_version_id = route.endpoint_id, route.price_version_id
        record.attempt_count = len(self.attempts.records)
        if record.is_streamed:
            record.first_token_ms = self._elapsed_ms()
            self.checkpoint()

    def _draft(self, route: Route) -> UpstreamCall:
        quote, config = self.hold.quote, route.config
        bound = quote.output_tokens if quote.is_announced else None
        if bound is not None and bound >= quotes.maximum_output(route):
            bound = None
        known = config.supported_parameters
        is_newer = "max_completion_tokens" in known and "max_tokens" not in known
        body = self.call.upstream_body(
            route.upstream_model,
            bound,
            limit_field="max_completion_tokens" if is_newer else None,
            without_tools=self._dropped_tools(route),
        )
        return UpstreamCall(self.call.api, self.call.path, body, self.call.is_streamed)

    def _dropped_tools(self, route: Route) -> frozenset[str]:
        return self.call.hosted_tools - frozenset(route.hosted_tools)

    def _new_reading(self, route: Route) -> PlainReading | StreamReading:
        bound_input, bound_output = self._bounds(route)
        if not self.call.is_streamed:
            return PlainReading(
                lambda raw: self.call.parse_answer(
                    raw, bound_input=bound_input, bound_output=bound_output
                )
            )
        return StreamReading(
            self.call.new_stream(
                self.record.id,
                route.model_id,
                created=self.record.created_at // 1000,
                bound_input=bound_input,
                bound_output=bound_output,
            )
        )

    def _bounds(self, route: Route) -> tuple[int, int]:
        """Return what usage may say at the most: beyond that it is absurd (row d)."""
        quote = self.hold.quote
        most = quotes.maximum_output(route)
        if route.config.max_output_tokens is None:
            most = LARGEST_COUNT
        if quote.is_announced:
            most = min(most, quote.output_tokens)
        elif self.call.output_limit:
            most = min(most, self.call.output_limit)
        return quote.input_tokens, most * quote.choices + self.call.predicted_output

    def _on_client_gone(self) -> None:
        """A provider that bills on regardless is read to its end; any other is left at once."""
        self.has_client_left = True
        if self.attempts.route.provider.config.cancel_stops_billing:
            self.attempts.cancel()

    def _cancelled(self) -> Exception:
        if self.has_client_left:
            self.attempts.note("client_gone")
            self.finish(End.CLIENT_LEFT_EARLY)
            return ClientGoneError()
        error = DrainingError("The server is shutting down. Try again.", retry_after_s=1)
        self.attempts.note(error.code)
        self.finish(End.FAILED, error)
        return error

    def _end_of(self, error: TurnpikeError) -> End:
        if isinstance(error, InvalidRequestError):
            return End.REJECTED
        return End.EMPTY if self.attempts.has_accepted else End.FAILED

    def _settle(self, end: End, error: TurnpikeError | None) -> Settled:
        verdict = judge(end, self._evidence())
        record, route = self.record, self.attempts.route
        record.status, record.rule, record.basis = verdict.status, verdict.rule, verdict.basis
        record.error_code = error.code if error else None
        record.is_cancelled = verdict.status == "cancelled"
        record.attempt_count = len(self.attempts.records)
        record.latency_ms = self._elapsed_ms()
        if self.attempts.records and record.model is None:
            record.model, record.provider = route.model_id, route.provider.slug
            record.endpoint_id, record.price_version_id = route.endpoint_id, route.price_version_id
        if self.reply is not None:
            told = self._told()
            record.finish_reason, record.upstream_id = told.finish_reason, told.upstream_id
        self.cost_nusd = 0
        if verdict.usage is not None:
            self._shown_usage = verdict.usage
            self.cost_nusd = pricing.cost(verdict.usage, route.price, route.markup_bps)
            if verdict.basis == "estimated":
                self.cost_nusd = min(self.cost_nusd, self.hold.held_nusd)
            if route.cost is not None:
                record.cost_nusd = pricing.cost(verdict.usage, route.cost)
            _fill(record, verdict.usage)
        insurance = self._runtime.settings.insurance_nusd_day if verdict.is_insured else None
        settlement = Settlement(
            record=record,
            attempts=self.attempts.records,
            cost_nusd=self.cost_nusd,
            windows=self.hold.windows,
            insurance_limit_nusd=insurance,
        )
        return _settle_surely(self._runtime, settlement)

    def _evidence(self) -> Evidence:
        reported, is_flagged = None, False
        if self.reply is not None and (reading := self._told().reading) is not None:
            reported, is_flagged = reading.usage, reading.is_flagged
        return Evidence(reported, is_flagged, self.attempts.has_accepted, self._delivered)

    def _told(self) -> Any:
        assert self.reply is not None  # noqa: S101 - asked for only then
        reading = self.reply.reading
        return reading.stream if self.call.is_streamed else reading.answer

    def _delivered(self) -> Usage:
        """Count the input and what came of the output ourselves."""
        route = self.attempts.route
        count = estimates.counter(route.model_id)
        output_tokens = 0
        if self.reply is not None:
            output_tokens = count("".join(self._told().delivered_texts()))
        return Usage(
            input_tokens=self._count_input(route, count),
            output_tokens=output_tokens,
        )

    def _count_input(self, route: Route, count: Callable[[str], int]) -> int:
        config = route.config
        context = config.context_length or quotes.UNKNOWN_CONTEXT_TOKENS
        return min(
            self.call.input_bound(config.max_image_tokens, context, count),
            self.hold.quote.input_tokens,
        )

    def _savings(self, route: Route) -> int | None:
        usage, charge_nusd = self._shown_usage, self.cost_nusd
        if usage is None:
            quote = self.hold.quote
            usage = Usage(
                input_tokens=quote.input_tokens,
                output_tokens=min(quote.output_tokens, EXPECTED_OUTPUT_TOKENS),
            )
            charge_nusd = pricing.cost(usage, route.price, route.markup_bps)
        return savings.percent(self._catalog, usage, charge_nusd)

    def _elapsed_ms(self) -> int:
        return int((time.monotonic() - self._started_s) * 1000)


def _fill(record: GenerationRecord, usage: Usage) -> None:
    for name in COLUMN_BUCKETS:
        setattr(record, name, getattr(usage, name))
    others = {name: count for name in OTHER_COUNTS if (count := getattr(usage, name))}
    record.units = msgspec.json.encode(others).decode() if others else None


def _settle_surely(runtime: Runtime, settlement: Settlement) -> Settled:
    """Settle now, or keep trying behind the caller's back while the database is away."""
    record = settlement.record

    def once() -> Settled:
        settled = runtime.writer.submit(
            lambda pen: verbs.settle(pen, settlement), record.workspace_id
        )
        telemetry.generation_ended(record, settlement.attempts)
        return settled

    def until_done() -> None:
        give_up_at = time.monotonic() + SETTLE_FOR_S
        while time.monotonic() < give_up_at:
            time.sleep(SETTLE_AGAIN_S)
            try:
                once()
            except LedgerUnavailableError:
                telemetry.LEDGER_RETRIES.inc()
            else:
                return

    try:
        return once()
    except LedgerUnavailableError:
        telemetry.LEDGER_RETRIES.inc()
        threading.Thread(target=until_done, name="settle", daemon=True).start()
        return Settled(charge_nusd=settlement.cost_nusd)
