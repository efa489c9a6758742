"""One paid call as it goes: what is held for it, who is asked, what it came to.

`generations.start` leads it through its steps and `relay.Relay` hands its stream on. Every way out
of either resolves the hold exactly once.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

import clock
import ids
from errors import (
    DrainingError,
    InternalError,
    InvalidRequestError,
    TurnpikeError,
)
from gateway import estimates, pricing, quotes
from gateway.call_hold import CallHold
from gateway.catalog import Catalog, Route
from gateway.dialects import ClientGoneError, Dialect, Line, Origin
from gateway.keys import Caller
from gateway.ledger import Checkpoint, GenerationRecord, Settled, Settlement, verbs
from gateway.readings import PlainReading, SoundReading, StreamReading
from gateway.router import Attempts, CancelledCallError, Reply
from gateway.runtime import Runtime
from gateway.settling import fill, settle_surely
from gateway.spoken import spoken_by
from gateway.who_pays import End, Evidence, judge
from providers.base import UpstreamCall
from wire.usage import LARGEST_COUNT, Usage

CHECKPOINT_S = 2.0


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
        self.usage: Usage | None = None
        self._origin = origin
        self._spoken: tuple[Route, Any] | None = None
        self._runtime = runtime
        self._routes = routes
        self.catalog = catalog
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
            on_accepted=self.checkpoint if self.call.is_streamed else None,
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

    def estimate_shown(self) -> Usage | None:
        """Return our own count, where the provider gave none that makes sense."""
        return self.usage if self.record.basis == "estimated" else None

    def checkpoint(self) -> None:
        """Write down, now and then and without waiting, what the stream has come to so far.

        The first time is when a provider accepts it: from then on the input is paid (row m).
        """
        now_s = time.monotonic()
        if now_s < self._checkpoint_at_s:
            return
        self._checkpoint_at_s = now_s + CHECKPOINT_S
        route, reply = self.attempts.route, self.reply
        estimate = reply.reading.stream.output_estimate if reply is not None else 0
        usage = Usage(
            input_tokens=self._count_input(route, estimates.tokens),
            output_tokens=min(estimate, self.hold.covered_tokens),
        )
        record = msgspec.structs.replace(
            self.record,
            model=route.model_id,
            provider=route.provider.slug,
            endpoint_id=route.endpoint_id,
            price_version_id=route.price_version_id,
            status="error",
            rule="m",
            basis="estimated",
        )
        fill(record, usage)
        point = Checkpoint(
            generation=record,
            attempts=self.attempts.records,
            cost_nusd=pricing.cost(usage, route.price, route.markup_bps),
        )
        self._runtime.writer.post(lambda pen: verbs.checkpoint(pen, point), record.workspace_id)

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

    def _draft(self, route: Route) -> UpstreamCall:
        quote, config, spoken = self.hold.quote, route.config, self._spoken_to(route)
        bound = quote.output_tokens if quote.is_announced else None
        if bound is not None and bound >= quotes.maximum_output(route):
            bound = None
        known = config.supported_parameters
        is_newer = "max_completion_tokens" in known and "max_tokens" not in known
        body = spoken.upstream_body(
            route.upstream_model,
            bound,
            limit_field="max_completion_tokens" if is_newer else None,
            without_tools=self._unpriced_tools(route),
        )
        if spoken is self.call:
            path, headers = self.call.path, self._origin.headers
        else:
            path, headers = spoken.upstream_path, {}
        kind = getattr(spoken, "content_type", "application/json")
        return UpstreamCall(
            self.call.api, path, body, self.call.is_streamed, headers=headers, content_type=kind
        )

    def _spoken_to(self, route: Route) -> Any:
        """Return the call in the dialect of a route's provider."""
        if self._spoken is None or self._spoken[0] is not route:
            self._spoken = (route, spoken_by(self.call, route))
        return self._spoken[1]

    def dropped(self, route: Route) -> list[str]:
        """Return what of the call this route isn't sent: unpriced tools, and what gets lost."""
        lost = getattr(self._spoken_to(route), "dropped", ())
        return sorted({*self._unpriced_tools(route), *lost})

    def _unpriced_tools(self, route: Route) -> frozenset[str]:
        return self.call.hosted_tools - frozenset(route.hosted_tools)

    def _new_reading(self, route: Route) -> PlainReading | StreamReading:
        bound_input, bound_output = self._bounds(route)
        spoken = self._spoken_to(route)
        if not self.call.is_streamed:
            return PlainReading(
                lambda raw: spoken.parse_answer(
                    raw, bound_input=bound_input, bound_output=bound_output
                )
            )
        kind = SoundReading if self.call.api == "speech" else StreamReading
        return kind(
            spoken.new_stream(
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
            self.usage = verdict.usage
            self.cost_nusd = pricing.cost(verdict.usage, route.price, route.markup_bps)
            if verdict.basis == "estimated":
                self.cost_nusd = min(self.cost_nusd, self.hold.held_nusd)
            if route.cost is not None:
                record.cost_nusd = pricing.cost(verdict.usage, route.cost)
            fill(record, verdict.usage)
        insurance = self._runtime.settings.insurance_nusd_day if verdict.is_insured else None
        settlement = Settlement(
            record=record,
            attempts=self.attempts.records,
            cost_nusd=self.cost_nusd,
            windows=self.hold.windows,
            insurance_limit_nusd=insurance,
        )
        return settle_surely(self._runtime, settlement)

    def _evidence(self) -> Evidence:
        reported, is_flagged = None, False
        if self.reply is not None and (reading := self._told().reading) is not None:
            reported, is_flagged = reading.usage, reading.is_flagged
            if reported is not None and self._is_beside_the_price(reported):
                reported = None
        return Evidence(reported, is_flagged, self.attempts.has_accepted, self._delivered)

    def _is_beside_the_price(self, reported: Usage) -> bool:
        """Whether a sound's usage has nothing that it is sold by: seconds, not tokens."""
        price = self.attempts.route.price
        return hasattr(self._told(), "delivered") and not (
            price.is_free or pricing.cost(reported, price)
        )

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
            told = self._told()
            if hasattr(told, "delivered"):
                measured: Usage = told.delivered(count)
                return measured
            output_tokens = told.output_count(count)
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

    def _elapsed_ms(self) -> int:
        return int((time.monotonic() - self._started_s) * 1000)
