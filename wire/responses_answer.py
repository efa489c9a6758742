"""A plain answer of OpenAI's Responses: counted, and handed on with our id, model and usage."""

from collections.abc import Mapping
from typing import Any

import msgspec

from wire.chat_content import Counted, Delivered, Message, error_object
from wire.chat_usage import Reading, usage_value
from wire.responses_usage import read_usage, shown_usage, with_searches
from wire.strict_json import encode
from wire.usage import LARGEST_COUNT, Usage

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[dict[str, Any]] | None)

UNKNOWN_ERROR = {"message": "unknown error"}


def response_id(generation_id: str) -> str:
    """Return how a generation is named in this dialect: gen-X is resp_X."""
    return "resp_" + generation_id.removeprefix("gen-")


class ResponsesAnswer(Counted):
    """What upstream answered with a 200; the same interface as `wire.chat_answer.ChatAnswer`.

    `finish_reason`: "completed", or why it is incomplete, or "failed". `status` as upstream told.
    """

    __slots__ = (
        "_fields",
        "_usage",
        "error",
        "finish_reason",
        "has_output",
        "is_error_finish",
        "reading",
        "status",
        "upstream_id",
    )

    def __init__(self, fields: dict[str, msgspec.Raw], bound_input: int, bound_output: int) -> None:
        self._fields = fields
        super().__init__()
        self.upstream_id = _text(fields.get("id"))
        self.status, self.finish_reason, self.error = ending(fields)
        self.is_error_finish = self.finish_reason == "failed"
        for item in (_items.decode(fields["output"]) if "output" in fields else None) or ():
            deliver(self._delivered, item)
        self.has_output = self._delivered.events > 0
        self._usage = usage_value(fields.get("usage"))
        self.reading: Reading = read_response_usage(fields, bound_input, bound_output)

    @classmethod
    def parse(
        cls, raw: bytes, *, bound_input: int = LARGEST_COUNT, bound_output: int = LARGEST_COUNT
    ) -> "ResponsesAnswer":
        """Look at an answer; usage beyond the bounds is flagged and not used.

        Raises: ValueError for what is no answer of this dialect.
        """
        raw = raw.removeprefix(_BYTE_ORDER_MARK)
        try:
            if not raw.isascii():
                raw.decode()
            fields = _fields.decode(raw)
            if "output" not in fields and error_object(_value(fields.get("error"))) is None:
                raise ValueError("it has neither output nor an error")
            return cls(fields, bound_input, bound_output)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError("it isn't a response") from error

    def render(
        self,
        generation_id: str,
        model: str,
        usage_extra: Mapping[str, Any],
        *,
        estimate: Usage | None = None,
    ) -> bytes:
        """Return the answer for the caller: all else is byte for byte what upstream sent."""
        shown = shown_usage(self._usage, self.reading, usage_extra, estimate)
        return encode(
            {**self._fields, "id": response_id(generation_id), "model": model, "usage": shown}
        )


def ending(
    fields: Mapping[str, msgspec.Raw],
) -> tuple[str | None, str | None, dict[str, Any] | None]:
    """Return the status of a response object, its finish reason, and its error where it failed.

    A provider that tells no status has completed what it answered.
    """
    status, error = _text(fields.get("status")), error_object(_value(fields.get("error")))
    if error is not None or status in ("failed", "cancelled"):
        return status, "failed", error or UNKNOWN_ERROR
    if status == "incomplete":
        details = _value(fields.get("incomplete_details"))
        reason = details.get("reason") if isinstance(details, dict) else None
        return status, reason if isinstance(reason, str) and reason else "incomplete", None
    return status, "completed" if status in (None, "completed") else None, None


def read_response_usage(
    fields: Mapping[str, msgspec.Raw], bound_input: int, bound_output: int
) -> Reading:
    """Read what a response object says it used, its hosted tools included."""
    reading = read_usage(
        usage_value(fields.get("usage")), bound_input=bound_input, bound_output=bound_output
    )
    return with_searches(reading, usage_value(fields.get("tool_usage")))


def texts_of(item: Mapping[str, Any]) -> list[str]:
    """Return the pieces of an output item that a tokenizer would count."""
    found = [item[name] for name in ("name", "arguments", "input", "code") if name in item]
    for field in ("content", "summary"):
        parts = item.get(field)
        for part in parts if type(parts) is list else ():
            if type(part) is dict:
                found += [part.get("text"), part.get("refusal")]
    return [text for text in found if type(text) is str and text]


def deliver(delivered: Delivered, item: Mapping[str, Any]) -> None:
    """Count an output item, if there is anything in it: a hosted tool's is a call without text."""
    texts = texts_of(item)
    if texts or item.get("type") not in ("message", "reasoning"):
        delivered.add(Message(content=[{"text": text} for text in texts]))


def _value(raw: msgspec.Raw | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def _text(raw: msgspec.Raw | None) -> str | None:
    value = _value(raw)
    return value if isinstance(value, str) else None
