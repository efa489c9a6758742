"""A streamed answer of the chat dialect, one event at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from wire.chat_content import Counted, Message, error_object
from wire.chat_usage import Reading, read_usage, shown_usage, usage_value
from wire.strict_json import encode
from wire.usage import LARGEST_COUNT, Usage

DONE = b"data: [DONE]\n\n"

_MOST_CHOICES = 128
_RAW_NULL = msgspec.Raw(b"null")


class BrokenEventError(ValueError):
    """An event whose data isn't a chunk of this dialect."""


class _Choice(msgspec.Struct):
    index: Any = 0
    delta: Message | None = None
    finish_reason: Any = None
    error: Any = None
    usage: Any = None


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_choices = msgspec.json.Decoder(list[_Choice] | None).decode
_decode = msgspec.json.Decoder().decode


class ChatStream(Counted):
    """Reads upstream's chunks in order and rewrites them for the caller.

    `is_done`: `[DONE]` came, or `end()` found every choice finished. `has_content`: something other
    than a role has come. `error`: upstream told of a failure within the stream; that event isn't
    handed on, `error_event` makes ours. `bound_input` and `bound_output` may be moved while it
    runs: they count when `reading` is asked for.
    """

    __slots__ = (
        "_created",
        "_id",
        "_model",
        "_reasons",
        "_usage",
        "bound_input",
        "bound_output",
        "error",
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
        wants_usage: bool,
        created: int,
        bound_input: int = LARGEST_COUNT,
        bound_output: int = LARGEST_COUNT,
    ) -> None:
        """`created` stands in our own events until upstream has told its own."""
        self._id = msgspec.Raw(encode(generation_id))
        self._model = msgspec.Raw(encode(model))
        self._created = msgspec.Raw(encode(created))
        super().__init__()
        self._reasons: dict[int, str | None] = {}
        self._usage: Any = None
        self.bound_input = bound_input
        self.bound_output = bound_output
        self.wants_usage = wants_usage
        self.has_content = False
        self.is_done = False
        self.error: dict[str, Any] | None = None
        self.upstream_id: str | None = None

    def feed(self, data: bytes) -> bytes | None:
        """Take the data of one event and return the event for the caller; None to send nothing.

        The id and the model become ours, all else stays byte for byte what it was. A chunk that is
        only there for its usage isn't handed on, whoever asked: `usage_event` makes the one that
        is. Usage in any other chunk is remembered (the last counts) and taken out. After `[DONE]`
        all is ignored.

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
            choices = _decode_choices(fields.get("choices", _RAW_NULL))
            is_for_caller = self._look(fields, choices or ())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BrokenEventError("an event isn't a chunk of a chat completion") from error
        if not is_for_caller:
            return None
        fields["id"] = self._id
        fields["model"] = self._model
        return b"data: " + encode(fields) + b"\n\n"

    def _look(self, fields: dict[str, msgspec.Raw], choices: Sequence[_Choice]) -> bool:
        """Take in one chunk; whether it is to be handed on."""
        has_usage = self._take_usage(fields, choices)
        if self.upstream_id is None:
            self._meet(fields)
        self.error = self.error or _error(fields, choices)
        if self.error is not None:
            return False
        for choice in choices:
            delta = choice.delta
            if delta is not None and delta.has_output:
                self.has_content = True
                self._delivered.add(delta)
            self._note_end(choice.index, choice.finish_reason)
        return bool(choices) or not has_usage

    def _meet(self, fields: dict[str, msgspec.Raw]) -> None:
        told = _decode(fields["id"]) if "id" in fields else ""
        self.upstream_id = told if isinstance(told, str) else ""
        self._created = fields.get("created", self._created)

    def _note_end(self, index: object, reason: object) -> None:
        if type(index) is int and 0 <= index < _MOST_CHOICES:
            if type(reason) is str and reason:
                self._reasons[index] = reason
            elif index not in self._reasons:
                self._reasons[index] = None

    def _take_usage(self, fields: dict[str, msgspec.Raw], choices: Sequence[_Choice]) -> bool:
        """Remember the chunk's usage wherever it stands; whether it has one at the top.

        Source: Moonshot puts it into the choice, https://github.com/earendil-works/pi/issues/2017,
        Groq into `x_groq`, https://github.com/Portkey-AI/gateway/issues/1072 (read 2026-11-21).
        """
        usage = usage_value(fields.get("usage"))
        if usage is not None:
            self._usage = usage
        elif choices and choices[0].usage is not None:
            self._usage = choices[0].usage
        elif "x_groq" in fields:
            vendor = _decode(fields["x_groq"])
            told = vendor.get("usage") if isinstance(vendor, dict) else None
            self._usage = self._usage if told is None else told
        if "usage" in fields:
            if self.wants_usage:
                fields["usage"] = _RAW_NULL
            else:
                del fields["usage"]
        return usage is not None

    def end(self) -> bool:
        """Tell that upstream's stream has ended; returns `is_done`.

        Without `[DONE]` it is done all the same when each choice that began has its finish reason.
        """
        if self._reasons and all(self._reasons.values()) and self.error is None:
            self.is_done = True
        return self.is_done

    @property
    def finish_reason(self) -> str | None:
        """The finish reason of the first choice, or of whichever has one."""
        reasons = self._reasons
        return reasons.get(0) or next((reason for reason in reasons.values() if reason), None)

    @property
    def reading(self) -> Reading | None:
        """What the last usage said; None when none has come."""
        if self._usage is None:
            return None
        return read_usage(self._usage, bound_input=self.bound_input, bound_output=self.bound_output)

    def usage_event(
        self, usage_extra: Mapping[str, Any], *, estimate: Usage | None = None
    ) -> bytes:
        """Return the last chunk, without choices, for a caller who asked for usage.

        `usage_extra` joins upstream's usage where that was sound, otherwise `estimate`.
        """
        reading = self.reading or Reading(None)
        shown = shown_usage(self._usage, reading, usage_extra, estimate)
        return self._event({"choices": [], "usage": shown})

    def last_events(self, usage_extra: Mapping[str, Any], estimate: Usage | None) -> bytes:
        """Return what ends a sound stream: the usage for a caller who asked, and `[DONE]`."""
        if not self.wants_usage:
            return DONE
        return self.usage_event(usage_extra, estimate=estimate) + DONE

    def error_event(self, rendered: Mapping[str, Any]) -> bytes:
        """Return the last event of a stream that failed; no `[DONE]` follows it.

        `rendered` is the rendering of the error for this dialect, with or without its `error`
        envelope.
        """
        return self._event(
            {
                "error": rendered.get("error", rendered),
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
            }
        )

    def _event(self, rest: dict[str, Any]) -> bytes:
        head = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }
        return b"data: " + encode({**head, **rest}) + b"\n\n"


def _error(fields: dict[str, msgspec.Raw], choices: Sequence[_Choice]) -> dict[str, Any] | None:
    """Return the failure that a chunk tells of, at its top or in a choice."""
    if "error" in fields and (error := error_object(_decode(fields["error"]))) is not None:
        return error
    for choice in choices:
        if choice.finish_reason == "error" or choice.error:
            return error_object(choice.error) or {"message": "unknown error"}
    return None
