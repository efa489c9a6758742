"""What a provider's answer has said so far: whole, or as a stream whose first content decides.

Until there is content, nothing has reached the client and another provider may still be asked. A
reading therefore keeps what comes before the first content, and raises while a failure is still
nobody's business.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from typing_extensions import override

from errors import UpstreamBrokenError
from providers.base import Exchange
from providers.sse import EventSplitter, EventTooBigError

PLAIN_LIMIT_BYTES = 64 * 1024 * 1024
STREAM_LIMIT_BYTES = 256 * 1024 * 1024

SENSELESS = "The provider's answer makes no sense. Try again, or choose another model."
EMPTY = "The provider gave an empty answer. Try again, or choose another model."


class ErrorInAnswer(Exception):  # noqa: N818 - a form of answer, told apart by the router
    """A 200 that carries an error instead of an answer."""

    def __init__(self, body: bytes) -> None:
        super().__init__("an error in a 200")
        self.body = body


class PlainReading:
    """A plain answer, read to its end. `parse` makes the dialect's answer of it."""

    def __init__(self, parse: Callable[[bytes], Any]) -> None:
        self._parse = parse
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self.answer: Any = None

    def advance(self, exchange: Exchange, patience_s: float) -> bool:
        """Read on; True at the end of a sound answer.

        Raises: TransportError, UpstreamBrokenError, ErrorInAnswer.
        """
        data = exchange.read(patience_s)
        if data is None:
            return False
        if data:
            self._size_bytes += len(data)
            if self._size_bytes > PLAIN_LIMIT_BYTES:
                raise UpstreamBrokenError("The provider's answer is too large.")
            self._pieces.append(data)
            return False
        self._finish(b"".join(self._pieces))
        self._pieces.clear()
        return True

    def _finish(self, body: bytes) -> None:
        try:
            self.answer = self._parse(body)
        except ValueError as error:
            raise UpstreamBrokenError(SENSELESS, detail=str(error)) from error
        if self.answer.error is not None and not self.answer.has_output:
            raise ErrorInAnswer(body)
        if not self.answer.has_output and self.answer.finish_reason is None:
            raise UpstreamBrokenError(EMPTY)


class StreamReading:
    """A stream of events; `stream` is the dialect's view, which rewrites them for the client."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.has_ended = False
        self._splitter = EventSplitter()
        self._ready: list[bytes] = []
        self._size_bytes = 0

    def advance(self, exchange: Exchange, patience_s: float) -> bool:
        """Read on; True at the first content, or at a sound end without any.

        Raises: TransportError, UpstreamBrokenError, ErrorInAnswer.
        """
        if "text/event-stream" not in exchange.headers.get("content-type", "text/event-stream"):
            raise UpstreamBrokenError("The provider didn't stream. Try again without stream.")
        if not self.read(exchange, patience_s):
            return False
        stream = self.stream
        if stream.error is not None and not stream.has_content:
            raise ErrorInAnswer(msgspec.json.encode({"error": stream.error}))
        has_ended = self.has_ended or stream.is_done
        if has_ended and not stream.has_content and stream.finish_reason is None:
            raise UpstreamBrokenError(EMPTY)
        return bool(stream.has_content or has_ended)

    def read(self, exchange: Exchange, patience_s: float) -> bool:
        """Read what comes next, once; False when nothing came in time.

        Raises: TransportError, UpstreamBrokenError.
        """
        data = exchange.read(patience_s)
        if data is None:
            return False
        try:
            self._size_bytes += len(data)
            self.has_ended = not data
            self._ready.extend(self._rewritten(data))
        except (EventTooBigError, ValueError) as error:
            raise UpstreamBrokenError(SENSELESS, detail=str(error)) from error
        if self._size_bytes > STREAM_LIMIT_BYTES:
            raise UpstreamBrokenError("The provider's stream is too large.")
        return True

    def take(self) -> bytes:
        """Return what there is for the client, and forget it."""
        ready = b"".join(self._ready)
        self._ready.clear()
        return ready

    def _rewritten(self, data: bytes) -> Iterable[bytes]:
        """Return what the client gets of the next bytes; b"" is their end.

        Raises: EventTooBigError, ValueError.
        """
        events = self._splitter.feed(data) if data else self._splitter.finish()
        rewritten = (self.stream.feed(event.data) for event in events)
        return (each for each in rewritten if each is not None)


class SoundReading(StreamReading):
    """A sound that comes as it is, without events; its first byte decides."""

    @override
    def advance(self, exchange: Exchange, patience_s: float) -> bool:
        kind = exchange.headers.get("content-type", "")
        if not self.stream.accept(kind):
            raise UpstreamBrokenError(SENSELESS, detail=f"no sound but {kind[:100]!r}")
        if not self.read(exchange, patience_s):
            return False
        if self.has_ended and not self.stream.has_content:
            raise UpstreamBrokenError(EMPTY)
        return bool(self.stream.has_content)

    @override
    def _rewritten(self, data: bytes) -> Iterable[bytes]:
        return (self.stream.feed(data),) if data else ()
