"""A streamed answer of the chat dialect, one event at a time."""

from collections.abc import Mapping
from typing import Any

import msgspec

from wire.chat_content import Delivered, Message, error_object
from wire.chat_usage import Reading, read_usage, shown_usage
from wire.strict_json import encode
from wire.usage import LARGEST_COUNT, Usage

DONE = b"data: [DONE]\n\n"

_MOST_CHOICES = 128
_NULL = b"null"
_RAW_NULL = msgspec.Raw(_NULL)
_NO_FIELD = msgspec.Raw(b"")


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


class ChatStream:
    """Reads upstream's chunks in order and rewrites them for the caller.

    `is_done`: `[DONE]` came, or `end()` found every choice finished. `has_content`: something other
    than a role has come. `error`: upstream told of a failure within the stream; that event isn't
    handed on, `error_event` makes ours. `bound_input` and `bound_output` may be moved while it
    runs: they count when `reading` is asked for.
    """

    __slots__ = (
        "_created",
        "_delivered",
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
        self._delivered = Delivered()
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
        if data[:1] == b"[" and data.strip() == b"[DONE]":
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

    def _look(self, fields: dict[str, msgspec.Raw], choices: Any) -> bool:
        """Take in one chunk; whether it is to be handed on."""
        for choice in choices:
            delta = choice.delta
            if delta is not None and delta.has_output:
                self.has_content = True
                self._delivered.add(delta)
            self._note_end(choice)
        if self.upstream_id is None:
            self._meet(fields)
        has_usage = self._take_usage(fields, choices)
        if "error" in fields and (error := error_object(_decode(fields["error"]))):
            self.error = error
        return self.error is None and not (has_usage and not choices)

    def _meet(self, fields: dict[str, msgspec.Raw]) -> None:
        told = _decode(fields["id"]) if "id" in fields else ""
        self.upstream_id = told if isinstance(told, str) else ""
        self._created = fields.get("created", self._created)

    def _note_end(self, choice: _Choice) -> None:
        index, reason = choice.index, choice.finish_reason
        if type(index) is int and 0 <= index < _MOST_CHOICES:
            if type(reason) is str and reason:
                self._reasons[index] = reason
            elif index not in self._reasons:
                self._reasons[index] = None
        if reason == "error" or choice.error:
            self.error = error_object(choice.error) or self.error or {"message": "unknown error"}

    def _take_usage(self, fields: dict[str, msgspec.Raw], choices: Any) -> bool:
        """Remember the chunk's usage wherever it stands; whether it has one at the top."""
        usage = None
        if "usage" in fields:
            usage = _decode(fields["usage"])
            if not self.wants_usage:
                del fields["usage"]
            elif usage is not None:
                fields["usage"] = _RAW_NULL
        elsewhere = usage
        if usage is None and choices:
            elsewhere = choices[0].usage
        if elsewhere is None and "x_groq" in fields:
            vendor = _decode(fields["x_groq"])
            elsewhere = vendor.get("usage") if isinstance(vendor, dict) else None
        if elsewhere is not None:
            self._usage = elsewhere
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

    @property
    def delivered_bytes(self) -> int:
        """UTF-8 bytes of the text so far."""
        return self._delivered.bytes

    @property
    def output_estimate(self) -> int:
        """Tokens of output so far by our own reckoning, rather too many than too few."""
        return self._delivered.estimate

    def delivered_texts(self) -> list[str]:
        """Return the output text in pieces, the first 2 MiB of it, for our own count."""
        return self._delivered.texts

    def usage_event(
        self, usage_extra: Mapping[str, Any], *, estimate: Usage | None = None
    ) -> bytes:
        """Return the last chunk, without choices, for a caller who asked for usage.

        `usage_extra` joins upstream's usage where that was sound, otherwise `estimate`.
        """
        reading = self.reading or Reading(None)
        shown = shown_usage(self._usage, reading, usage_extra, estimate)
        return self._event({"choices": [], "usage": shown})

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
