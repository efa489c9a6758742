"""What counts as output in a message or a delta, for the plain answer and the stream alike."""

from collections.abc import Callable
from typing import Any

import msgspec

KEPT_BYTES = 2 * 1024 * 1024
"""Delivered text is kept up to this size for our own count; beyond it only its length is."""

AUDIO_CHARACTERS_PER_TOKEN = 1_000
"""Base64 of sound for one token: 16-bit samples at 24 kHz take 3,200, so this counts too many."""


class Message(msgspec.Struct):
    """A message or a delta, as loosely typed as upstreams are.

    Some send `reasoning`, some `reasoning_content`, some the same text in both: it is counted once.
    """

    content: Any = None
    refusal: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None
    images: Any = None

    @property
    def has_output(self) -> bool:
        """Whether a caller gets anything with it; a role or an empty text is nothing."""
        return bool(
            self.content
            or self.reasoning
            or self.reasoning_content
            or self.tool_calls
            or self.refusal
            or self.function_call
            or self.audio
            or self.images
            or self.reasoning_details
        )

    def texts(self) -> list[str]:
        """Return the pieces of text that a tokenizer would count."""
        if type(self.content) is str and not (
            self.reasoning or self.reasoning_content or self.tool_calls or self.refusal
        ):
            found = [self.content]
        else:
            found = []
            for value in (self.content, self.reasoning or self.reasoning_content, self.refusal):
                _collect(value, found)
            _collect_calls(self.tool_calls, found)
        if self.function_call:
            _collect_calls([{"function": self.function_call}], found)
        if type(self.audio) is dict:
            _collect(self.audio.get("transcript"), found)
        return [text for text in found if text]

    @property
    def audio_characters(self) -> int:
        """The length of base64 sound in it."""
        data = self.audio.get("data") if type(self.audio) is dict else None
        return len(data) if type(data) is str else 0


def _collect(value: object, found: list[str]) -> None:
    """Take a text, or the texts of a list of parts (Mistral streams its thinking so)."""
    if type(value) is str:
        found.append(value)
    elif type(value) is list:
        for part in value:
            if type(part) is dict:
                for name in ("text", "refusal", "thinking"):
                    _collect(part.get(name), found)


def _collect_calls(calls: object, found: list[str]) -> None:
    if type(calls) is not list:
        return
    for call in calls:
        if type(call) is not dict:
            continue
        for kind in ("function", "custom"):
            asked = call.get(kind)
            if type(asked) is dict:
                found += [
                    asked[name]
                    for name in ("name", "arguments", "input")
                    if type(asked.get(name)) is str
                ]


class Delivered:
    """The running sum of what a caller was given.

    The text is kept as one buffer that grows: a list of a stream's pieces would be ten times its
    size.
    """

    __slots__ = ("_audio_characters", "_kept", "bytes", "events")

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0
        self._audio_characters = 0
        self._kept = bytearray()

    def add(self, message: Message) -> None:
        """Count one message or delta that has output."""
        self.events += 1
        for text in message.texts():
            encoded = text.encode()
            self.bytes += len(encoded)
            if len(self._kept) + len(encoded) <= KEPT_BYTES:
                self._kept += encoded
        if message.audio:
            self._audio_characters += message.audio_characters

    def texts(self) -> list[str]:
        """Return the text that was kept; empty when there is none."""
        return [self._kept.decode()] if self._kept else []

    @property
    def estimate(self) -> int:
        """Tokens, rather too many than too few: one an event or one for three bytes; plus sound."""
        return max(self.events, -(-self.bytes // 3)) + self._sound

    def count(self, exact: Callable[[str], int] | None) -> int:
        """Return the tokens by this tokenizer, what wasn't kept by its bytes; else the estimate."""
        if exact is None:
            return self.estimate
        beyond = -(-(self.bytes - len(self._kept)) // 3)
        return sum(map(exact, self.texts())) + beyond + self._sound

    @property
    def _sound(self) -> int:
        return -(-self._audio_characters // AUDIO_CHARACTERS_PER_TOKEN)


def error_object(value: object) -> dict[str, Any] | None:
    """Return an upstream's `error`, whatever its shape, as an object; None for none."""
    if not value:
        return None
    if isinstance(value, dict):
        return value
    return {"message": value if isinstance(value, str) else "unknown error"}


class Counted:
    """What every view of an answer, whole or streamed, tells of what it has delivered so far."""

    __slots__ = ("_delivered",)

    def __init__(self) -> None:
        self._delivered = Delivered()

    @property
    def delivered_bytes(self) -> int:
        """UTF-8 bytes of all output text."""
        return self._delivered.bytes

    @property
    def output_estimate(self) -> int:
        """Tokens of output by our own reckoning, rather too many than too few."""
        return self._delivered.estimate

    def delivered_texts(self) -> list[str]:
        """Return the output text, up to 2 MiB of it, in as few pieces as there are."""
        return self._delivered.texts()

    def output_count(self, exact: Callable[[str], int] | None) -> int:
        """Return the tokens of output by this tokenizer; without one, `output_estimate`."""
        return self._delivered.count(exact)
