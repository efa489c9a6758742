"""A streamed answer of Anthropic's Messages, one event at a time, handed on as it came.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11-21).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from wire.anthropic_answer import message_id
from wire.anthropic_usage import merged, read_usage, shown_usage
from wire.chat_content import Counted, Message, error_object
from wire.chat_stream import BrokenEventError
from wire.chat_usage import MISSING, UPSTREAM_COST_FIELDS, Reading, usage_value
from wire.strict_json import encode
from wire.usage import LARGEST_COUNT, Usage

STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


_RAW_NULL = msgspec.Raw(b"null")


class Delta(msgspec.Struct):
    """Any delta of any event, as loosely typed as upstreams are."""

    type: Any = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: Any = None
    stop_sequence: Any = None

    @property
    def piece(self) -> str | None:
        """What a caller gets with it; a signature is nothing that counts."""
        return self.text or self.thinking or self.partial_json


class Told(msgspec.Struct):
    """One event."""

    type: str
    index: int | None = None
    delta: Delta | None = None
    content_block: dict[str, Any] | None = None
    message: dict[str, msgspec.Raw] | None = None
    usage: msgspec.Raw = _RAW_NULL
    error: Any = None


_decode = msgspec.json.Decoder(Told).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_event(data: bytes) -> Told:
    """Decode one event.

    Raises: BrokenEventError.
    """
    try:
        if not data.isascii():
            data.decode()
        told = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenEventError("an event isn't one of a message stream") from error
    if not told.type.isprintable():
        raise BrokenEventError("an event has a name that is no name")
    return told


def frame(name: str, data: bytes) -> bytes:
    """Write one event; data is JSON in one line."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def error_frame(rendered: Mapping[str, Any]) -> bytes:
    """Write the last event of a stream that failed, with or without its envelope given."""
    if rendered.get("type") != "error":
        rendered = {"type": "error", "error": rendered.get("error", rendered)}
    return frame("error", encode(rendered))


class MessagesStream(Counted):
    """Reads upstream's events in order and hands them on; as `wire.chat_stream.ChatStream` does.

    The last `message_delta` is held back until the call is settled, so that its usage can tell the
    cost; `last_events` gives it. `is_done`: `message_stop` came, or `end()` found a stop reason.
    """

    __slots__ = (
        "_held",
        "_id",
        "_model",
        "_usage",
        "bound_input",
        "bound_output",
        "error",
        "finish_reason",
        "has_content",
        "is_done",
        "upstream_id",
        "wants_usage",
    )

    def __init__(
        self,
        generation_id: str,
        model: str,
        *,
        bound_input: int = LARGEST_COUNT,
        bound_output: int = LARGEST_COUNT,
    ) -> None:
        self._id = msgspec.Raw(encode(message_id(generation_id)))
        self._model = msgspec.Raw(encode(model))
        super().__init__()
        self._usage: Any = None
        self._held: dict[str, msgspec.Raw] = {}
        self.bound_input = bound_input
        self.bound_output = bound_output
        self.wants_usage = True
        self.has_content = False
        self.is_done = False
        self.finish_reason: str | None = None
        self.error: dict[str, Any] | None = None
        self.upstream_id: str | None = None

    def feed(self, data: bytes) -> bytes | None:
        """Take the data of one event and return the event for the caller; None to send nothing.

        Raises: BrokenEventError.
        """
        if self.is_done or not data or data.strip() == b"[DONE]":
            return None
        told = read_event(data)
        if b"\n" in data or b"\r" in data:
            data = msgspec.json.format(data, indent=-1)
        kind = told.type
        if kind == "content_block_delta":
            self._take_piece(told.delta)
        elif kind == "message_start":
            return self._begin(told)
        elif kind == "content_block_start":
            self._take_block(told.content_block or {})
        elif kind == "message_delta":
            return self._hold(told, data)
        elif kind == "message_stop":
            self.is_done = True
            return None
        elif kind == "error" or told.error:
            self.error = self.error or error_object(told.error) or {"message": "unknown error"}
            return None
        return frame(kind, data)

    def _take_piece(self, delta: Delta | None) -> None:
        piece = delta.piece if delta is not None else None
        if piece:
            self.has_content = True
            self._delivered.add(Message(content=piece))

    def _take_block(self, block: dict[str, Any]) -> None:
        """A tool's call is content as soon as it is named; redacted thinking comes whole."""
        piece = block.get("name") or block.get("data") or block.get("text")
        if type(piece) is str:
            self.has_content = True
            self._delivered.add(Message(content=piece))

    def _begin(self, told: Told) -> bytes:
        fields = dict(told.message or {})
        self._usage = merged(self._usage, usage_value(fields.get("usage")))
        if "id" in fields:
            upstream_id = msgspec.json.decode(fields["id"])
            self.upstream_id = upstream_id if isinstance(upstream_id, str) else ""
        fields["id"] = self._id
        fields["model"] = self._model
        if isinstance(self._usage, dict) and not self._usage.keys().isdisjoint(
            UPSTREAM_COST_FIELDS
        ):
            kept = {k: v for k, v in self._usage.items() if k not in UPSTREAM_COST_FIELDS}
            fields["usage"] = msgspec.Raw(encode(kept))
        return frame("message_start", encode({"type": "message_start", "message": fields}))

    def _hold(self, told: Told, data: bytes) -> bytes | None:
        earlier = frame("message_delta", encode(self._held)) if self._held else None
        self._held = _decode_fields(data)
        self._usage = merged(self._usage, usage_value(told.usage))
        if told.delta is not None and type(told.delta.stop_reason) is str:
            self.finish_reason = told.delta.stop_reason
        return earlier

    def end(self) -> bool:
        """Tell that upstream's stream has ended; returns `is_done`."""
        if self.finish_reason is not None and self.error is None:
            self.is_done = True
        return self.is_done

    @property
    def reading(self) -> Reading | None:
        """What the usage said so far; None when none has come."""
        if self._usage is None:
            return None
        return read_usage(self._usage, bound_input=self.bound_input, bound_output=self.bound_output)

    def last_events(self, usage_extra: Mapping[str, Any], estimate: Usage | None) -> bytes:
        """Return what ends a sound stream: `message_delta` with usage and cost, `message_stop`."""
        shown = shown_usage(self._usage, self.reading or MISSING, usage_extra, estimate)
        held: dict[str, Any] = self._held or {
            "type": "message_delta",
            "delta": {"stop_reason": self.finish_reason, "stop_sequence": None},
        }
        return frame("message_delta", encode({**held, "usage": shown})) + STOP

    def error_event(self, rendered: Mapping[str, Any]) -> bytes:
        """Return the last event of a stream that failed; no `message_stop` follows it."""
        return error_frame(rendered)
