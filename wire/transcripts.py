"""POST /audio/transcriptions and /audio/translations: a file that is heard, and its text.

Sold by the minute, or by tokens. How long the file lasts is bounded by its own head, and settled by
what the provider says of it.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

import msgspec
from typing_extensions import override

from errors import InvalidParameterError
from wire.chat_content import error_object
from wire.chat_usage import BAD, MISSING, Reading
from wire.form import Form
from wire.json_call import OWN_FIELDS, JsonCall, check_common
from wire.sounds import HEAD_BYTES, longest_ms
from wire.strict_json import encode
from wire.usage import Usage, is_count

FILE_LIMIT_BYTES = 25 * 1024 * 1024
HEARD_TOKENS_PER_S = 10
"""Source: platform.openai.com/docs/guides/realtime-costs (read 2026-11-21): one for 100 ms."""

MOST_HEARD_TOKENS_PER_S = 40
WRITTEN_TOKENS_PER_S = 10
LEAST_WRITTEN_TOKENS = 1024
SECOND_MS = 1000

JSON_FORMATS = ("json", "verbose_json", "diarized_json")
TEXT_FORMATS = ("text", "srt", "vtt")
TEXT = "text/plain; charset=utf-8"

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_decode = msgspec.json.Decoder().decode


@dataclass(slots=True, kw_only=True)
class TranscriptionsCall(JsonCall):
    """A checked request to write down what is said in a file."""

    api = "transcriptions"
    path = "/audio/transcriptions"
    inputs = ("prompt",)
    outputs = "text"

    form: Form
    longest_ms: int

    @classmethod
    def of(cls, form: Form) -> Self:
        """Check a form.

        Raises: InvalidParameterError.
        """
        body: dict[str, Any] = dict(form.texts)
        check_common(body)
        cls.check(body)
        if [part.name for part in form.files] != ["file"] or not form.files[0].size_bytes:
            raise InvalidParameterError("file must be one file that isn't empty.", param="file")
        part = form.files[0]
        # the providers' own seconds are whole ones
        bound_ms = longest_ms(form.head_of(part, HEAD_BYTES), part.size_bytes)
        held_ms = -(-bound_ms // SECOND_MS) * SECOND_MS
        return cls(
            body=body,
            model=body["model"],
            session_id=body.get("session_id"),
            output_limit=LEAST_WRITTEN_TOKENS + held_ms * WRITTEN_TOKENS_PER_S // SECOND_MS,
            units=Usage(requests=0, audio_ms=held_ms),
            form=form,
            longest_ms=bound_ms,
        )

    @classmethod
    @override
    def check(cls, body: dict[str, Any]) -> None:
        """Source: platform.openai.com/docs/api-reference/audio (read 2026-11-21)."""
        if body.get("response_format") not in (None, *JSON_FORMATS, *TEXT_FORMATS):
            raise InvalidParameterError(
                f"response_format must be one of {', '.join((*JSON_FORMATS, *TEXT_FORMATS))}.",
                param="response_format",
            )
        if body.get("stream") not in (None, "", "false", "False", "0"):
            raise InvalidParameterError(
                "Transcripts aren't streamed here. Leave stream out.", param="stream"
            )

    @property
    def content_type(self) -> str:
        """What goes upstream."""
        return self.form.content_type

    @override
    def input_bound(
        self, max_image_tokens: int, context_length: int, exact: Callable[[str], int] | None = None
    ) -> int:
        """Bound the prompt and what is heard; with `exact`, estimate them."""
        prompt = self.body.get("prompt", "")
        if exact is not None:
            return exact(prompt) + _heard_tokens(self.longest_ms)
        return len(prompt.encode()) + self.longest_ms * MOST_HEARD_TOKENS_PER_S // SECOND_MS + 1

    @override
    def upstream_body(
        self,
        upstream_model: str,
        output_bound: int | None,
        *,
        limit_field: str | None = None,
        without_tools: Collection[str] = (),
    ) -> Any:
        return self.form.pieces(upstream_model, OWN_FIELDS)

    @override
    def parse_answer(self, raw: bytes, *, bound_input: int, bound_output: int) -> Any:
        if self.body.get("response_format") in TEXT_FORMATS:
            return TextTranscript(raw, self)
        return JsonTranscript(raw, self, bound_input, bound_output)

    def heard(self, text: str, count: Callable[[str], int]) -> Usage:
        """Estimate what was heard, in every unit that it is sold by."""
        return Usage(
            input_tokens=count(self.body.get("prompt", "")),
            audio_input_tokens=_heard_tokens(self.longest_ms),
            output_tokens=count(text),
            audio_ms=self.longest_ms,
        )


class TranslationsCall(TranscriptionsCall):
    """A checked request to write down, in English, what is said in a file."""

    api = "translations"
    path = "/audio/translations"


class TextTranscript:
    """An answer that is text: it tells nothing of what it used."""

    finish_reason = "stop"
    is_error_finish = False
    upstream_id = None
    content_type = TEXT

    def __init__(self, raw: bytes, call: TranscriptionsCall) -> None:
        """Raises: ValueError for what is no text, or an error in place of one."""
        self.error: dict[str, Any] | None = None
        if raw.lstrip().startswith(b'{"error"'):
            self.error = error_object(_decode(raw).get("error"))
        self.has_output = self.error is None
        self.reading = MISSING
        self._raw = raw
        self._text = raw.decode()
        self._call = call

    def delivered(self, count: Callable[[str], int]) -> Usage:
        """Estimate what this comes to."""
        return self._call.heard(self._text, count)

    def output_count(self, exact: Callable[[str], int] | None) -> int:
        """Count the text."""
        return exact(self._text) if exact is not None else 0

    def render(
        self,
        generation_id: str,
        model: str,
        usage_extra: Mapping[str, Any],
        *,
        estimate: Usage | None = None,
    ) -> bytes:
        """Return the text as it came."""
        return self._raw


class JsonTranscript:
    """An answer that is an object: its text, and what it says it used."""

    finish_reason = "stop"
    is_error_finish = False
    upstream_id = None

    def __init__(
        self, raw: bytes, call: TranscriptionsCall, bound_input: int, bound_output: int
    ) -> None:
        """Raises: ValueError for what is no transcript."""
        try:
            self._fields = _fields.decode(raw)
            told = {
                name: _decode(self._fields[name])
                for name in ("text", "usage", "duration", "error")
                if name in self._fields
            }
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError("it isn't a JSON object") from error
        self.error = error_object(told.get("error"))
        self.has_output = isinstance(told.get("text"), str)
        if not self.has_output and self.error is None:
            raise ValueError("it has no text")
        self._text: str = told["text"] if self.has_output else ""
        self._usage = told.get("usage")
        self._call = call
        self.reading = self._read(told.get("duration"), bound_input, bound_output)

    def delivered(self, count: Callable[[str], int]) -> Usage:
        """Estimate what this comes to."""
        return self._call.heard(self._text, count)

    def output_count(self, exact: Callable[[str], int] | None) -> int:
        """Count the text."""
        return exact(self._text) if exact is not None else 0

    def render(
        self,
        generation_id: str,
        model: str,
        usage_extra: Mapping[str, Any],
        *,
        estimate: Usage | None = None,
    ) -> bytes:
        """Return the answer for the caller: all but its usage as upstream sent it."""
        shown = dict(self._usage) if isinstance(self._usage, dict) else {}
        if not shown:
            seconds = math.ceil(self._call.longest_ms / SECOND_MS)
            shown = {"type": "duration", "seconds": seconds, "estimated": True}
        return encode({**self._fields, "usage": {**shown, **usage_extra}})

    def _read(self, duration: object, bound_input: int, bound_output: int) -> Reading:
        usage = self._usage
        if isinstance(usage, dict) and usage.get("type") == "tokens":
            return _read_tokens(usage, self._call.longest_ms, bound_input, bound_output)
        seconds = usage.get("seconds") if isinstance(usage, dict) else None
        if seconds is None:
            seconds = _number(duration)
        if seconds is None:
            return MISSING
        held_ms = self._call.units.audio_ms if self._call.units else 0
        if type(seconds) not in (int, float) or not 0 <= seconds <= held_ms / SECOND_MS:
            return BAD
        return Reading(Usage(audio_ms=math.ceil(round(seconds * SECOND_MS, 3))))


def _read_tokens(
    usage: Mapping[str, Any], longest_ms: int, bound_input: int, bound_output: int
) -> Reading:
    """Read token usage into disjoint buckets; what isn't said to be text was heard."""
    total_in: Any = usage.get("input_tokens")
    total_out: Any = usage.get("output_tokens", 0)
    details = usage.get("input_token_details")
    text: Any = details.get("text_tokens", 0) if isinstance(details, dict) else 0
    if not (is_count(total_in) and is_count(total_out) and is_count(text)):
        return BAD
    if text > total_in or total_in > bound_input or total_out > bound_output:
        return BAD
    return Reading(
        Usage(
            input_tokens=text,
            audio_input_tokens=total_in - text,
            output_tokens=total_out,
            audio_ms=longest_ms,
        )
    )


def _heard_tokens(milliseconds: int) -> int:
    return -(-milliseconds * HEARD_TOKENS_PER_S // SECOND_MS)


def _number(value: Any) -> Any:
    """Return a duration; OpenAI has written it as a text, too."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value
