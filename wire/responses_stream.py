"""A streamed answer of OpenAI's Responses, one event at a time, handed on as it came.

Source: the types of openai-python 3.52, `responses/response_stream_event.py` (read 2026-11-21).
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from wire.chat_content import Counted, Message, error_object
from wire.chat_stream import BrokenEventError
from wire.chat_usage import Reading, usage_value
from wire.responses_answer import (
    UNKNOWN_ERROR,
    deliver,
    ending,
    read_response_usage,
    response_id,
    texts_of,
)
from wire.responses_usage import read_usage, shown_usage
from wire.strict_json import encode
from wire.usage import LARGEST_COUNT, Usage

ERROR_CODES = {
    "rate_limit_exceeded": "rate_limit_exceeded",
    "context_length_exceeded": "context_length_exceeded",
    "provider_rejected": "invalid_prompt",
    "invalid_request": "invalid_prompt",
    "invalid_parameter": "invalid_prompt",
}
"""Our codes as `response.error.code` has them; any other is "server_error".

Source: `responses/response_error.py` of openai-python 3.52 (read 2026-11-21). It hasn't
"context_length_exceeded", but that is OpenAI's own code elsewhere, and what agents look for."""

_RAW_NULL = msgspec.Raw(b"null")
_ENDS = frozenset({"response.completed", "response.incomplete"})
_FAILURES = frozenset({"response.failed", "response.cancelled"})


class Told(msgspec.Struct):
    """One event, as loosely typed as upstreams are."""

    type: str
    sequence_number: Any = None
    output_index: Any = None
    content_index: Any = None
    summary_index: Any = None
    item_id: Any = None
    delta: Any = None
    text: Any = None
    part: Any = None
    item: dict[str, Any] | None = None
    annotation: Any = None
    response: dict[str, msgspec.Raw] | None = None
    error: Any = None
    code: Any = None
    message: Any = None
    param: Any = None


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
        raise BrokenEventError("an event isn't one of a response stream") from error
    if not told.type.isprintable():
        raise BrokenEventError("an event has a name that is no name")
    return told


def told_error(told: Told) -> dict[str, Any]:
    """Return the failure of an `error` event: flat as it is documented, or in an envelope."""
    flat = {"message": told.message, "code": told.code, "param": told.param}
    return error_object(told.error) or ({**flat} if told.message else UNKNOWN_ERROR)


def frame(name: str, data: bytes) -> bytes:
    """Write one event; data is JSON in one line."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def failure(rendered: Mapping[str, Any]) -> dict[str, Any]:
    """Return `response.error` for a rendered error, with or without its envelope."""
    error = rendered.get("error", rendered)
    told = error.get("code")
    code = told if isinstance(told, str) else str(error.get("type"))
    return {
        "code": ERROR_CODES.get(code, "server_error"),
        "message": error.get("message") or UNKNOWN_ERROR["message"],
        "param": error.get("param"),
        "type": code,
    }


class ResponsesStream(Counted):
    """Reads upstream's events in order and hands them on; as `wire.chat_stream.ChatStream` does.

    The terminal event is held back until the call is settled, so that its usage can tell the cost;
    `last_events` gives it. `is_done`: `response.completed` or `response.incomplete` came.
    `sequence_number` stays upstream's wherever it rises.
    """

    __slots__ = (
        "_has_deltas",
        "_held",
        "_id",
        "_last_number",
        "_model",
        "_response",
        "_usage",
        "_used",
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
        self._id = msgspec.Raw(encode(response_id(generation_id)))
        self._model = msgspec.Raw(encode(model))
        super().__init__()
        self._has_deltas: set[int] = set()
        self._held: dict[str, Any] = {}
        self._response: dict[str, Any] | None = None
        self._usage: Any = None
        self._used: dict[str, msgspec.Raw] = {}
        self._last_number = -1
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

        Wherever a response stands in an event its id and model become ours; all else stays byte for
        byte what it was.

        Raises: BrokenEventError.
        """
        if self.is_done or not data or data.strip() == b"[DONE]":
            return None
        if b"\n" in data or b"\r" in data:
            data = _one_line(data)
        told = read_event(data)
        if told.response is not None:
            return self._take_response(told, data)
        if told.type == "error":
            self.error = self.error or told_error(told)
            return None
        if told.delta is not None:
            self._take_piece(told)
        elif told.item is not None:
            self._take_item(told)
        number = self._number(told.sequence_number)
        if number == told.sequence_number:
            return frame(told.type, data)
        return frame(told.type, encode({**_decode_fields(data), "sequence_number": number}))

    def _number(self, told: object = None) -> int:
        """Return the next number: the one told where it rises, else one more than the last."""
        last = self._last_number
        self._last_number = told if type(told) is int and told > last else last + 1
        return self._last_number

    def _take_piece(self, told: Told) -> None:
        if type(told.output_index) is int:
            self._has_deltas.add(told.output_index)
        if type(told.delta) is str and told.delta:
            self.has_content = True
            self._delivered.add(
                Message(audio={"data": told.delta})
                if told.type == "response.audio.delta"
                else Message(content=told.delta)
            )

    def _take_item(self, told: Told) -> None:
        """A call is content as soon as it is named; what came without deltas, when it is whole."""
        item = told.item or {}
        if told.type == "response.output_item.added":
            if texts_of(item) or item.get("type") not in ("message", "reasoning"):
                self.has_content = True
                deliver(self._delivered, item)
        elif not self._has_delta(told.output_index) and texts_of(item):
            self.has_content = True
            deliver(self._delivered, item)

    def _has_delta(self, output_index: object) -> bool:
        return type(output_index) is int and output_index in self._has_deltas

    def _take_response(self, told: Told, data: bytes) -> bytes | None:
        fields = told.response or {}
        if self.upstream_id is None and "id" in fields:
            upstream_id = usage_value(fields["id"])
            self.upstream_id = upstream_id if isinstance(upstream_id, str) else ""
        usage = usage_value(fields.get("usage"))
        if usage is not None:
            self._usage, self._used = usage, {n: fields[n] for n in _USED if n in fields}
        self._response = {**fields, "id": self._id, "model": self._model}
        self._take_ending(told.type, fields)
        event: dict[str, Any] = {
            **_decode_fields(data),
            "response": self._response,
            "sequence_number": self._number(told.sequence_number),
        }
        if self.error is not None:
            return None
        if self.is_done:
            self._held = event
            return None
        if usage is not None:
            event["response"] = {**self._response, "usage": self._shown({}, None)}
        return frame(told.type, encode(event))

    def _take_ending(self, kind: str, fields: dict[str, msgspec.Raw]) -> None:
        if kind in _FAILURES:
            self.finish_reason = "failed"
            self.error = ending(fields)[2] or UNKNOWN_ERROR
        elif kind in _ENDS:
            status, reason, self.error = ending(fields)
            name = kind.removeprefix("response.")
            self.finish_reason = reason if status == name or self.error is not None else name
            self.is_done = self.error is None

    def end(self) -> bool:
        """Tell that upstream's stream has ended; without a terminal event it isn't whole."""
        return self.is_done

    @property
    def reading(self) -> Reading | None:
        """What the usage said; None when none has come."""
        if self._usage is None:
            return None
        return read_response_usage(self._used, self.bound_input, self.bound_output)

    def last_events(self, usage_extra: Mapping[str, Any], estimate: Usage | None) -> bytes:
        """Return what ends a sound stream: the terminal event, with usage and cost."""
        kind = "response." + ("completed" if self.finish_reason == "completed" else "incomplete")
        response = {**(self._response or {}), "usage": self._shown(usage_extra, estimate)}
        return frame(kind, encode({**self._held, "response": response}))

    def error_event(self, rendered: Mapping[str, Any]) -> bytes:
        """Return the last event of a stream that failed.

        `response.failed`, with the usage that upstream told, once a response has begun; before
        that, `error`.
        """
        error = failure(rendered)
        if self._response is None:
            told = {name: error[name] for name in ("code", "message", "param")}
            event: dict[str, Any] = {"type": "error", **told, "sequence_number": self._number()}
            return frame("error", encode(event))
        usage = self._shown({}, None) if self._usage is not None else None
        response = {
            **self._response,
            "status": "failed",
            "error": error,
            "incomplete_details": None,
            "usage": usage or None,
        }
        event = {
            "type": "response.failed",
            "response": response,
            "sequence_number": self._number(),
        }
        return frame("response.failed", encode(event))

    def _shown(self, extra: Mapping[str, Any], estimate: Usage | None) -> dict[str, Any]:
        reading = read_usage(
            self._usage, bound_input=self.bound_input, bound_output=self.bound_output
        )
        return shown_usage(self._usage, reading, extra, estimate)


_USED = ("usage", "tool_usage")


def _one_line(data: bytes) -> bytes:
    try:
        return msgspec.json.format(data, indent=-1)
    except msgspec.MsgspecError as error:
        raise BrokenEventError("an event isn't one of a response stream") from error
