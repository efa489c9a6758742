"""A plain answer of Anthropic's Messages: counted, and handed on with our id, model and usage."""

from collections.abc import Mapping
from typing import Any

import msgspec

from wire.anthropic_usage import read_usage, shown_usage
from wire.chat_content import Counted, Delivered, Message, error_object
from wire.chat_usage import Reading, usage_value
from wire.strict_json import encode
from wire.usage import LARGEST_COUNT, Usage

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_blocks = msgspec.json.Decoder(list[dict[str, Any]] | None)


def message_id(generation_id: str) -> str:
    """Return how a generation is named in this dialect: gen-X is msg_X."""
    return "msg_" + generation_id.removeprefix("gen-")


class MessagesAnswer(Counted):
    """What upstream answered with a 200; the same interface as `wire.chat_answer.ChatAnswer`."""

    __slots__ = (
        "_fields",
        "_usage",
        "error",
        "finish_reason",
        "has_output",
        "is_error_finish",
        "reading",
        "upstream_id",
    )

    def __init__(self, fields: dict[str, msgspec.Raw], bound_input: int, bound_output: int) -> None:
        self._fields = fields
        super().__init__()
        self.is_error_finish = False
        self.error = error_object(_value(fields.get("error")))
        self.upstream_id = _text(fields.get("id"))
        self.finish_reason = _text(fields.get("stop_reason"))
        for block in (_blocks.decode(fields["content"]) if "content" in fields else None) or ():
            deliver(self._delivered, block)
        self.has_output = self._delivered.events > 0
        self._usage = usage_value(fields.get("usage"))
        self.reading: Reading = read_usage(
            self._usage, bound_input=bound_input, bound_output=bound_output
        )

    @classmethod
    def parse(
        cls, raw: bytes, *, bound_input: int = LARGEST_COUNT, bound_output: int = LARGEST_COUNT
    ) -> "MessagesAnswer":
        """Look at an answer; usage beyond the bounds is flagged and not used.

        Raises: ValueError for what is no answer of this dialect.
        """
        raw = raw.removeprefix(_BYTE_ORDER_MARK)
        try:
            if not raw.isascii():
                raw.decode()
            fields = _fields.decode(raw)
            if "content" not in fields and error_object(_value(fields.get("error"))) is None:
                raise ValueError("it has neither content nor an error")
            return cls(fields, bound_input, bound_output)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError("it isn't a message") from error

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
            {**self._fields, "id": message_id(generation_id), "model": model, "usage": shown}
        )


def deliver(delivered: Delivered, block: dict[str, Any]) -> None:
    """Count one block of an answer, if there is anything in it."""
    kind = block.get("type")
    if kind == "text":
        text = block.get("text")
    elif kind == "thinking":
        text = block.get("thinking")
    elif kind == "tool_use":
        text = f"{block.get('name')}{encode(block.get('input')).decode()}"
    else:
        text = encode(block).decode()
    if type(text) is str and text:
        delivered.add(Message(content=text))


def _value(raw: msgspec.Raw | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def _text(raw: msgspec.Raw | None) -> str | None:
    value = _value(raw)
    return value if isinstance(value, str) else None
