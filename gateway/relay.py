"""A stream on its way to the client.

A class rather than a generator: the server calls `close()` whether the body was finished, cut, or
never begun, and only that makes sure that each call is settled.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import msgspec

from errors import (
    DrainingError,
    MoneyError,
    TurnpikeError,
    UpstreamBrokenError,
    UpstreamTimeoutError,
)
from gateway import disclosure
from gateway.dialects import ClientGoneError
from gateway.paid_call import PaidCall
from gateway.readings import StreamReading
from gateway.router import Reply
from gateway.who_pays import End
from providers import sse
from providers.failures import from_transport
from providers.transport import TransportAbortedError, TransportError

log = logging.getLogger(__name__)

KEEPALIVE_S = 10.0
DRAIN_S = 60.0
DRAIN_BYTES = 1024 * 1024
WAITING = sse.comment("waiting for the provider")

RenderError = Callable[[TurnpikeError], dict[str, Any]]


class Relay:
    """Hands a provider's stream on, chunk by chunk, and settles before the last byte."""

    waiting = WAITING

    def __init__(self, paid: PaidCall, reply: Reply | None, render_error: RenderError) -> None:
        self._paid = paid
        self._reply = reply
        self._render_error = render_error
        self._chunks: Generator[bytes] = self._guarded()

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are true when the stream begins."""
        return disclosure.headers(self._paid)

    def __iter__(self) -> Iterator[bytes]:
        """Give the chunks, once."""
        return self._chunks

    def close(self) -> None:
        """Settle what the stream hasn't: the client left before its end."""
        self._chunks.close()
        paid = self._paid
        if paid.settled is not None:
            return
        try:
            if self._reply is None:
                paid.attempts.cancel()
                paid.finish(End.CLIENT_LEFT_EARLY)
            elif self._bills_on(self._reply):
                threading.Thread(target=self._drain, args=(self._reply,), daemon=True).start()
            else:
                paid.attempts.note("client_gone")
                paid.finish(End.CLIENT_LEFT)
        except Exception:  # the server is done with this call, and nobody is left to tell
            log.exception("a stream could not be settled: %s", paid.record.id)

    def _guarded(self) -> Generator[bytes]:
        """Give the chunks; a failure becomes the last event, and no `[DONE]` follows."""
        try:
            yield from self._waited()
            yield from self._relayed()
        except ClientGoneError:
            return
        except TurnpikeError as error:
            yield self._error_event(error)

    def _waited(self) -> Iterator[bytes]:
        while self._reply is None:
            yield self.waiting
            self._reply = self._paid.answer(KEEPALIVE_S)

    def _relayed(self) -> Iterator[bytes]:
        paid, reply = self._paid, self._reply
        assert reply is not None  # noqa: S101 - waited for
        reading: StreamReading = reply.reading
        stream, heard_at_s = reading.stream, time.monotonic()
        while True:
            data = reading.take()
            if data:
                yield data
            if stream.is_done or reading.has_ended or stream.error is not None:
                break
            if self._read(reply):
                heard_at_s = time.monotonic()
                self._cover(reply)
                paid.checkpoint()
            elif time.monotonic() - heard_at_s > reply.route.provider.config.idle_timeout_s:
                raise self._broken(UpstreamTimeoutError("The provider fell silent. Try again."))
            else:
                yield self.waiting
        yield self._last(reply)

    def _read(self, reply: Reply) -> bool:
        reading: StreamReading = reply.reading
        patience_s = min(KEEPALIVE_S, reply.route.provider.config.idle_timeout_s)
        try:
            return reading.read(reply.exchange, patience_s)
        except TransportAbortedError as error:
            raise self._aborted() from error
        except TransportError as error:
            raise self._broken(from_transport(error)) from error
        except UpstreamBrokenError as error:
            raise self._broken(error) from error

    def _cover(self, reply: Reply) -> None:
        try:
            self._paid.hold.cover(reply.route, reply.reading.stream.output_estimate)
        except MoneyError as error:
            self._paid.attempts.note(error.code)
            self._paid.finish(End.UNCOVERED, error)
            raise

    def _aborted(self) -> Exception:
        if self._paid.has_client_left:
            self._paid.attempts.note("client_gone")
            self._paid.finish(End.CLIENT_LEFT)
            return ClientGoneError()
        return self._broken(
            DrainingError("The server is shutting down. Try again.", retry_after_s=1)
        )

    def _broken(self, error: TurnpikeError, end: End = End.CUT) -> TurnpikeError:
        """Settle a stream that broke off; the error is what the client is told."""
        self._paid.attempts.note(error.code, error.detail or error.message)
        self._paid.finish(end, error)
        return error

    def _last(self, reply: Reply) -> bytes:
        """Settle, and return what ends the stream."""
        stream = reply.reading.stream
        if stream.error is not None:
            provider = self._paid.attempts
            raise self._broken(provider.failure_in_stream(stream.error), End.BROKEN)
        if not stream.end():
            message = "The provider's stream broke off before its end. Try again."
            raise self._broken(UpstreamBrokenError(message), End.BROKEN)
        paid = self._paid
        paid.finish(End.FINISHED)
        last: bytes = stream.last_events(disclosure.usage_extra(paid), paid.estimate_shown())
        return last

    def _error_event(self, error: TurnpikeError) -> bytes:
        rendered = self._render_error(error)
        if self._reply is None:
            return sse.event(msgspec.json.encode(rendered))
        event: bytes = self._reply.reading.stream.error_event(rendered)
        return event

    def _bills_on(self, reply: Reply) -> bool:
        """Whether the provider charges for the rest of the stream even if nobody reads it."""
        stream = reply.reading.stream
        return not (reply.route.provider.config.cancel_stops_billing or stream.is_done)

    def _drain(self, reply: Reply) -> None:
        """Read on for the bill: a minute, a mebibyte or the hold's end at most."""
        paid, reading = self._paid, reply.reading
        give_up_at_s, start_bytes = time.monotonic() + DRAIN_S, reply.exchange.bytes_received
        try:
            while not (reading.stream.is_done or reading.has_ended):
                left_s = give_up_at_s - time.monotonic()
                if left_s <= 0 or reply.exchange.bytes_received - start_bytes > DRAIN_BYTES:
                    break
                if reading.stream.output_estimate > paid.hold.covered_tokens:
                    break
                reading.read(reply.exchange, min(left_s, 1.0))
                reading.take()
        except (TransportError, TurnpikeError) as error:
            log.info("a drained stream broke off: %s", error)
        paid.attempts.note("client_gone")
        paid.finish(End.CLIENT_LEFT)
