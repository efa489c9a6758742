"""How many tokens a chat request can be at most, before anyone has counted them.

A token of text is at least one byte of UTF-8, so bytes are a bound for every tokenizer; JSON is
counted as it is serialized. What the body only refers to, a remote URL, an upstream's file, a PDF
of unknown length, may fill whatever the model's context leaves.
"""

from collections.abc import Callable
from typing import Any

from wire.strict_json import encode

MESSAGE_TOKENS = 16
TOOLS_TOKENS = 400

_NOT_PROMPT = frozenset(
    {
        "model", "messages", "stream", "stream_options", "stop", "logit_bias", "metadata", "user",
        "session_id", "service_tier", "reasoning_effort", "reasoning", "verbosity", "modalities",
        "prompt_cache_key", "safety_identifier", "audio", "budget", "aicraft_budget", "models",
        "provider", "route", "transforms", "plugins", "usage",
    }
)  # fmt: skip


class _Count:
    __slots__ = ("is_open", "texts", "tokens")

    def __init__(self, *, is_exact: bool) -> None:
        self.tokens = 0
        self.texts: list[str] | None = [] if is_exact else None
        self.is_open = False

    def text(self, text: str) -> None:
        if self.texts is not None:
            self.texts.append(text)
        else:
            self.tokens += len(text) if text.isascii() else len(text.encode())

    def json(self, value: object) -> None:
        if type(value) is str:
            self.text(value)
        elif self.texts is not None:
            self.texts.append(encode(value).decode())
        else:
            self.tokens += len(encode(value))


def input_bound(
    body: dict[str, Any],
    max_image_tokens: int,
    context_length: int,
    exact: Callable[[str], int] | None,
) -> int:
    """Return an upper bound of the input's tokens; `exact` counts text if there is a tokenizer.

    Sound within the body is its base64 length / 100 + 100: ten tokens a second at 750 bytes a
    second.
    """
    count = _Count(is_exact=exact is not None)
    for message in body["messages"]:
        count.tokens += MESSAGE_TOKENS
        for field, value in message.items():
            if field == "content" and type(value) is str:
                count.text(value)
            elif field != "role" and value is not None:
                _add_field(count, field, value, max_image_tokens)
    for field, value in body.items():
        if field not in _NOT_PROMPT and (type(value) is str or type(value) in (dict, list)):
            count.json(value)
    if body.get("tools") or body.get("functions"):
        count.tokens += TOOLS_TOKENS
    if body.get("web_search_options") is not None:
        count.is_open = True
    if exact is not None and count.texts:
        count.tokens += exact("\n".join(count.texts))
    return max(count.tokens, context_length) if count.is_open else count.tokens


def _add_field(count: _Count, field: str, value: Any, max_image_tokens: int) -> None:
    if field in ("content", "images") and type(value) is list:
        for part in value:
            _add_part(count, part, max_image_tokens)
    elif field == "audio":
        count.is_open = True  # an earlier answer's sound, kept by upstream under this id
    else:
        count.json(value)


def _add_part(count: _Count, part: Any, max_image_tokens: int) -> None:
    kind = part.get("type") if type(part) is dict else None
    if kind == "text" and len(part) == 2:
        count.json(part.get("text"))
    elif kind == "image_url" and _is_inline_image(part.get("image_url")):
        count.tokens += max_image_tokens
    elif kind == "input_audio" and (size := _inline_sound_size(part.get("input_audio"))):
        count.tokens += size // 100 + 100
    elif type(kind) is str and kind in _TEXTUAL_PARTS:
        count.json(part)
    else:
        count.is_open = True


_TEXTUAL_PARTS = frozenset({"text", "refusal", "thinking", "reasoning"})


def _is_inline_image(image: object) -> bool:
    url = image.get("url") if isinstance(image, dict) else image
    return isinstance(url, str) and url[:11].lower() == "data:image/"


def _inline_sound_size(sound: object) -> int:
    base64 = sound.get("data") if isinstance(sound, dict) else None
    if not isinstance(base64, str) or base64[:8].lower().startswith(("http:", "https:")):
        return 0
    return len(base64)
