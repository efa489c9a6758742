"""A plain answer of the chat dialect: counted, and handed on with our id, model and usage."""

from collections.abc import Mapping
from typing import Any

import msgspec

from wire.chat_content import Counted, Message, error_object
from wire.chat_usage import Reading, read_usage, shown_usage, usage_value
from wire.strict_json import encode
from wire.usage import LARGEST_COUNT, Usage

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Choice(msgspec.Struct):
    message: Message | None = None
    finish_reason: Any = None
    error: Any = None
    usage: Any = None


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_choices = msgspec.json.Decoder(list[_Choice] | None)


class ChatAnswer(Counted):
    """What upstream answered with a 200.

    `error`: a 200 that carries an error object, or a choice that finished with one. `reading`: what
    its usage says, within the bounds given.
    """

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
        choices = _choices.decode(fields["choices"]) if "choices" in fields else None
        choices = choices or []
        self._fields = fields
        super().__init__()
        self.error = _error(fields)
        self.finish_reason: str | None = None
        self.is_error_finish = False
        self.upstream_id = _text(fields.get("id"))
        for choice in choices:
            if choice.message is not None and choice.message.has_output:
                self._delivered.add(choice.message)
            if choice.finish_reason == "error" or choice.error:
                self.is_error_finish = True
                self.error = (
                    self.error or error_object(choice.error) or {"message": "unknown error"}
                )
        self.has_output = self._delivered.events > 0
        if choices and isinstance(choices[0].finish_reason, str):
            self.finish_reason = choices[0].finish_reason
        self._usage = usage_value(fields.get("usage"))
        if self._usage is None and choices:
            self._usage = choices[0].usage
        self.reading: Reading = read_usage(
            self._usage, bound_input=bound_input, bound_output=bound_output
        )

    @classmethod
    def parse(
        cls, raw: bytes, *, bound_input: int = LARGEST_COUNT, bound_output: int = LARGEST_COUNT
    ) -> "ChatAnswer":
        """Look at an answer; usage beyond the bounds is flagged and not used.

        Raises: ValueError for what is no answer of this dialect: no JSON, no object, neither
        choices nor an error.
        """
        raw = raw.removeprefix(_BYTE_ORDER_MARK)
        try:
            if not raw.isascii():
                raw.decode()
            fields = _fields.decode(raw)
            if "choices" not in fields and _error(fields) is None:
                raise ValueError("it has neither choices nor an error")
            return cls(fields, bound_input, bound_output)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError("it isn't a chat completion") from error

    def render(
        self,
        generation_id: str,
        model: str,
        usage_extra: Mapping[str, Any],
        *,
        estimate: Usage | None = None,
    ) -> bytes:
        """Return the answer for the caller: all else is byte for byte what upstream sent.

        `usage_extra` (cost, savings) joins upstream's usage where that was sound, otherwise
        `estimate`, which is marked `estimated`. What upstream charges the operator is left out.
        """
        shown = shown_usage(self._usage, self.reading, usage_extra, estimate)
        return encode({**self._fields, "id": generation_id, "model": model, "usage": shown})


def _value(raw: msgspec.Raw | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def _text(raw: msgspec.Raw | None) -> str | None:
    value = _value(raw)
    return value if isinstance(value, str) else None


def _error(fields: dict[str, msgspec.Raw]) -> dict[str, Any] | None:
    found = error_object(_value(fields.get("error")))
    if found is None and _text(fields.get("object")) == "error":
        found = {"message": _text(fields.get("message")) or "unknown error"}
    return found
