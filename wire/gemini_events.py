"""A stream of Gemini's, and a plain answer, which is one chunk of the same shape.

Source: the types of google-genai 3.4, `GenerateContentResponse` (read 2026-11-21).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from wire.chat_stream import BrokenEventError
from wire.chat_usage import Reading
from wire.gemini_errors import told_error
from wire.gemini_parts import DIALECT
from wire.gemini_usage import read_usage
from wire.neutral import Audio, Image, Other, Reasoning, Text, ToolCall
from wire.neutral_answer import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Ended,
    Event,
    Failed,
    Head,
    ReasoningDelta,
    SignatureDelta,
    Started,
    TextDelta,
)
from wire.stops import FROM_GEMINI, Stop
from wire.strict_json import encode

_NO_EVENTS: tuple[Event, ...] = ()

_MORE_STOPS = {
    "MODEL_ARMOR": Stop.FILTER,
    "TOO_MANY_TOOL_CALLS": Stop.ERROR,
    "MALFORMED_RESPONSE": Stop.ERROR,
    "CONTINUATION": Stop.PAUSE,
}


class _Chunk(msgspec.Struct):
    candidates: list[dict[str, Any]] | None = None
    promptFeedback: dict[str, Any] | None = None  # noqa: N815 - the vendor's names
    usageMetadata: Any = None  # noqa: N815
    responseId: Any = None  # noqa: N815
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_list = msgspec.json.Decoder(list[_Chunk]).decode


class GeminiReader:
    """Makes neutral events of a provider's chunks. `is_done` as in `neutral_answer.EventReader`.

    No event says that the stream is whole: it is when it ends after a finish reason. Usage is in
    every chunk, and the last one counts. Calls come whole; the seal of a text isn't kept, as the
    vendor wants only those of calls back.
    """

    def __init__(self) -> None:
        self.is_done = False
        self._has_begun = False
        self._name = ""
        self._usage: Any = None
        self._finish: str | None = None
        self._message: str | None = None
        self._blocked: str | None = None
        self._open: str | None = None
        self._next = 0
        self._calls = 0

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take the data of one event.

        Raises: ValueError for what isn't of this dialect.
        """
        if self.is_done or not data or data.strip() == b"[DONE]":
            return _NO_EVENTS
        try:
            if not data.isascii():
                data.decode()
            chunk = _decode_list(data)[0] if data.lstrip()[:1] == b"[" else _decode(data)
            return list(self._read(chunk))
        except _MISSHAPEN as error:
            raise BrokenEventError("an event isn't a chunk of Gemini's") from error

    def _read(self, chunk: _Chunk) -> Iterator[Event]:
        if chunk.error is not None:
            yield Failed(told_error({"error": chunk.error}) or {"message": "unknown error"})
            return
        if not self._has_begun:
            self._has_begun = True
            self._name = chunk.responseId if isinstance(chunk.responseId, str) else ""
            yield Started(id=self._name or None)
        if chunk.usageMetadata is not None:
            self._usage = chunk.usageMetadata
        if chunk.promptFeedback and isinstance(chunk.promptFeedback.get("blockReason"), str):
            self._blocked = chunk.promptFeedback["blockReason"]
        for candidate in chunk.candidates or ():
            if candidate.get("index") in (None, 0):
                yield from self._read_candidate(candidate)

    def _read_candidate(self, candidate: dict[str, Any]) -> Iterator[Event]:
        content = candidate.get("content") or {}
        for part in content.get("parts") or ():
            yield from self._read_part(part)
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason != "FINISH_REASON_UNSPECIFIED":
            self._finish = reason
            self._message = candidate.get("finishMessage")

    def _read_part(self, part: dict[str, Any]) -> Iterator[Event]:
        text = part.get("text")
        if type(text) is str:
            if part.get("thought"):
                yield from self._think(text, part.get("thoughtSignature"))
            elif text:
                yield from self._begin("text", Text(text=""))
                yield TextDelta(self._next - 1, text)
        elif (call := part.get("functionCall")) is not None:
            yield from self._call(call, part.get("thoughtSignature"))
        elif (data := part.get("inlineData")) is not None:
            yield from self._whole(_media(data))
        else:
            kind = next((name for name in part if name not in _BESIDE), "")
            if kind:
                yield from self._whole(Other(dialect=DIALECT, kind=kind, value=part))

    def _think(self, text: str, signature: Any) -> Iterator[Event]:
        yield from self._begin("thought", Reasoning(signed_by=DIALECT))
        if text:
            yield ReasoningDelta(self._next - 1, text)
        if signature:
            yield SignatureDelta(self._next - 1, signature, DIALECT)

    def _call(self, call: dict[str, Any], signature: Any) -> Iterator[Event]:
        self._calls += 1
        identity = call.get("id") or f"call_{self._name}_{self._calls}"
        head = ToolCall(
            id=identity,
            name=call.get("name") or "",
            signature=signature or None,
            signed_by=DIALECT if signature else None,
        )
        yield from self._stop()
        yield BlockStarted(self._next, head)
        yield ArgumentsDelta(self._next, encode(call.get("args") or {}).decode())
        yield BlockStopped(self._next)
        self._next += 1

    def _whole(self, head: Head) -> Iterator[Event]:
        yield from self._stop()
        yield BlockStarted(self._next, head)
        yield BlockStopped(self._next)
        self._next += 1

    def _begin(self, kind: str, head: Head) -> Iterator[Event]:
        if self._open != kind:
            yield from self._stop()
            self._open = kind
            yield BlockStarted(self._next, head)
            self._next += 1

    def _stop(self) -> Iterator[Event]:
        if self._open is not None:
            self._open = None
            yield BlockStopped(self._next - 1)

    def end(self) -> Sequence[Event]:
        """Tell that upstream's stream has ended; a finish reason, or a block, makes it whole.

        One that broke off before it said anything is a failure, which another provider may mend.
        """
        if self.is_done or (self._finish is None and self._blocked is None):
            return _NO_EVENTS
        self.is_done = True
        stop = self.stop
        if stop is Stop.ERROR and self._next == 0:
            message = self._message or f"The model stopped: {self._finish}"
            return (Failed({"message": message, "type": self._finish}),)
        return [*self._stop(), Ended(stop=stop, reading=self.reading)]

    @property
    def stop(self) -> Stop:
        """Why it stopped; a reason that isn't known is taken for a failure."""
        if self._finish is None:
            return Stop.FILTER
        stop = FROM_GEMINI.get(self._finish) or _MORE_STOPS.get(self._finish, Stop.ERROR)
        return Stop.TOOLS if stop is Stop.END and self._calls else stop

    @property
    def reading(self) -> Reading:
        """What the usage said so far."""
        return read_usage(self._usage)


_MISSHAPEN = (
    msgspec.MsgspecError,
    UnicodeDecodeError,
    RecursionError,
    TypeError,
    AttributeError,
    IndexError,
)
_BESIDE = frozenset({"thought", "thoughtSignature", "mediaResolution", "partMetadata", "text"})


def _media(data: dict[str, Any]) -> Head:
    media_type, encoded = data.get("mimeType"), data.get("data")
    if str(media_type).startswith("audio/"):
        sound = str(media_type).removeprefix("audio/").partition(";")[0]
        return Audio(data=encoded, media_type=media_type, format=sound)
    return Image(data=encoded, media_type=media_type)
