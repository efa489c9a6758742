"""The answers of legacy completions: chat's, but for texts where chat has messages and deltas."""

from collections.abc import Mapping
from typing import Any

import msgspec
from typing_extensions import override

from wire.chat_answer import ChatAnswer
from wire.chat_content import Message
from wire.chat_stream import BrokenEventError, ChatStream
from wire.strict_json import encode
from wire.usage import LARGEST_COUNT


class _Choice(msgspec.Struct):
    """A choice; as `delta` it is what chat's stream looks at."""

    text: Any = None
    index: Any = 0
    finish_reason: Any = None
    error: Any = None
    usage: Any = None

    @property
    def delta(self) -> Message | None:
        return Message(content=self.text) if self.text else None


_RAW_NULL = msgspec.Raw(b"null")
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_choices = msgspec.json.Decoder(list[_Choice] | None).decode


class CompletionsAnswer(ChatAnswer):
    """What upstream answered with a 200; the choices are read here, all else as chat's is."""

    __slots__ = ()

    def __init__(self, fields: dict[str, msgspec.Raw], bound_input: int, bound_output: int) -> None:
        choices = _decode_choices(fields.get("choices", _RAW_NULL)) or []
        as_chat = [
            {
                "message": {"content": choice.text},
                "finish_reason": choice.finish_reason,
                "error": choice.error,
                "usage": choice.usage,
            }
            for choice in choices
        ]
        seen = {**fields, "choices": msgspec.Raw(encode(as_chat))} if choices else fields
        super().__init__(seen, bound_input, bound_output)
        self._fields = fields

    @classmethod
    @override
    def parse(
        cls, raw: bytes, *, bound_input: int = LARGEST_COUNT, bound_output: int = LARGEST_COUNT
    ) -> "CompletionsAnswer":
        """Look at an answer; usage beyond the bounds is flagged and not used.

        Raises: ValueError for what is no answer of this dialect.
        """
        answer = super().parse(raw, bound_input=bound_input, bound_output=bound_output)
        assert isinstance(answer, cls)  # noqa: S101 - made by the line above
        return answer


class CompletionsStream(ChatStream):
    """Reads upstream's chunks in order and rewrites them for the caller, as chat's stream does."""

    __slots__ = ()

    @override
    def feed(self, data: bytes) -> bytes | None:
        """Take the data of one event and return the event for the caller; None to send nothing.

        Raises: BrokenEventError.
        """
        if self.is_done or not data:
            return None
        if len(data) < 16 and data.strip() == b"[DONE]":
            self.is_done = True
            return None
        try:
            if b"\n" in data or b"\r" in data:
                data = msgspec.json.format(data, indent=-1)
            if not data.isascii():
                data.decode()
            fields = _decode_fields(data)
            choices: Any = _decode_choices(fields.get("choices", _RAW_NULL)) or ()
            is_for_caller = self._look(fields, choices)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BrokenEventError("an event isn't a chunk of a completion") from error
        if not is_for_caller:
            return None
        fields["id"] = self._id
        fields["model"] = self._model
        return b"data: " + encode(fields) + b"\n\n"

    @override
    def error_event(self, rendered: Mapping[str, Any]) -> bytes:
        """Return the last event of a stream that failed; no `[DONE]` follows it."""
        choice = {"index": 0, "text": "", "logprobs": None, "finish_reason": "error"}
        return self._event({"error": rendered.get("error", rendered), "choices": [choice]})

    @override
    def _event(self, rest: dict[str, Any]) -> bytes:
        head = {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._model,
        }
        return b"data: " + encode({**head, **rest}) + b"\n\n"
