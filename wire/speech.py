"""POST /audio/speech: a text in, a sound out, handed on as it comes.

A sound tells no usage. The characters of a text are counted exactly; how long it speaks, and so the
tokens of its sound, can only be estimated: from its bytes where a second of them has a known size,
else from the text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

from typing_extensions import override

from errors import InvalidParameterError
from wire.chat_usage import MISSING, Reading
from wire.json_call import JsonCall
from wire.usage import Usage

TOKENS_PER_S = 20
"""Of spoken sound. Source: platform.openai.com/docs/guides/realtime-costs (read 2026-11-21)."""

SLOWEST_MS = 300
"""What one character takes at the most, at the usual speed."""

NARROW_MS, WIDE_MS = 67, 250
"""What one character takes usually: of an alphabet, or one that is a word."""

LEAST_MS = 2000
RAW_BYTES_PER_MS = 48
"""24 kHz of 16 bits, which is what `pcm` means and `wav` holds."""

LEAST_BYTES_PER_MS = 4
"""Of what is compressed: a call that broke off has no more sound than that."""

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
SLOWEST, FASTEST = 0.25, 4.0

_SOUND = re.compile(r"(?:audio/[\w.+-]{1,60}|application/octet-stream)(?:; ?[\w.=+-]{1,60}){0,4}")


class SpeechCall(JsonCall):
    """A checked request for speech."""

    api = "speech"
    path = "/audio/speech"
    inputs = ("input", "instructions")
    outputs = ""

    @classmethod
    @override
    def parse(cls, raw: bytes) -> Self:
        call = super().parse(raw)
        bound_ms = LEAST_MS + call._spoken_ms(SLOWEST_MS, SLOWEST_MS)
        characters = len(call.body["input"])
        return replace(
            call,
            is_streamed=True,
            output_limit=_tokens(bound_ms),
            units=Usage(requests=0, characters=characters, audio_ms=bound_ms),
        )

    @classmethod
    @override
    def check(cls, body: dict[str, Any]) -> None:
        """Source: platform.openai.com/docs/api-reference/audio/createSpeech (read 2026-11-21)."""
        if not isinstance(body.get("input"), str) or not body["input"]:
            raise InvalidParameterError("input must be a text that isn't empty.", param="input")
        for name in ("instructions", "response_format"):
            if body.get(name) is not None and not isinstance(body[name], str):
                raise InvalidParameterError(f"{name} must be a text.", param=name)
        if body.get("stream_format") not in (None, "audio"):
            raise InvalidParameterError(
                "Speech is streamed as raw sound here, not as events. "
                "Leave stream_format out, or set it to audio.",
                param="stream_format",
            )
        speed = body.get("speed")
        if speed is not None and not (type(speed) in (int, float) and SLOWEST <= speed <= FASTEST):
            raise InvalidParameterError("speed must be a number from 0.25 to 4.", param="speed")

    @override
    def new_stream(
        self, generation_id: str, model: str, *, created: int, bound_input: int, bound_output: int
    ) -> "SoundStream":
        """Return what takes the sound in."""
        return SoundStream(self)

    def _spoken_ms(self, narrow_ms: int, wide_ms: int) -> int:
        text = self.body["input"]
        wide = 0 if text.isascii() else (len(text.encode()) - len(text)) // 2
        at_usual_speed = (len(text) - wide) * narrow_ms + wide * wide_ms
        return int(at_usual_speed / (self.body.get("speed") or 1))

    def delivered_ms(self, size_bytes: int) -> int:
        """Estimate how long so many bytes sound, never longer than the hold's bound."""
        if self.body.get("response_format") in ("pcm", "wav"):
            spoken_ms = size_bytes // RAW_BYTES_PER_MS
        else:
            usual_ms = self._spoken_ms(NARROW_MS, WIDE_MS)
            spoken_ms = min(usual_ms, size_bytes // LEAST_BYTES_PER_MS)
        return min(spoken_ms, self.units.audio_ms if self.units else 0)


class SoundStream:
    """A sound on its way: how much of it there is, and what that comes to."""

    error = None
    finish_reason = None
    upstream_id = None
    is_done = False
    output_estimate = 0

    def __init__(self, call: SpeechCall) -> None:
        wanted = call.body.get("response_format") or "mp3"
        self.content_type = MEDIA_TYPES.get(wanted, "application/octet-stream")
        self.size_bytes = 0
        self._call = call

    @property
    def has_content(self) -> bool:
        """Whether a byte has come."""
        return self.size_bytes > 0

    @property
    def reading(self) -> Reading:
        """What is certain: the characters, once there is sound of them."""
        if not self.has_content:
            return MISSING
        return Reading(Usage(characters=len(self._call.body["input"])))

    def accept(self, content_type: str) -> bool:
        """Take the media type of the answer, and return False for what can't be a sound."""
        kind = content_type.strip()
        if _SOUND.fullmatch(kind):
            self.content_type = kind
        return not kind.startswith(("text/", "application/json"))

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; they go on as they are."""
        self.size_bytes += len(data)
        return data

    def end(self) -> bool:
        """Whether this is a sound end."""
        return self.has_content

    def last_events(self, usage_extra: Mapping[str, Any], estimate: Usage | None) -> bytes:
        """Nothing follows a sound."""
        return b""

    def delivered(self, count: Callable[[str], int]) -> Usage:
        """Estimate what has come, in every unit that speech is sold by."""
        call = self._call
        texts = (call.body.get(name) or "" for name in call.inputs)
        spoken_ms = call.delivered_ms(self.size_bytes)
        return Usage(
            characters=len(call.body["input"]),
            input_tokens=sum(count(text) for text in texts),
            audio_output_tokens=_tokens(spoken_ms),
            audio_ms=spoken_ms,
        )


def _tokens(milliseconds: int) -> int:
    return -(-milliseconds * TOKENS_PER_S // 1000)
