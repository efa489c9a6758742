"""How many tokens a Messages request can be at most, and how many it probably is.

As in `chat_bounds.py`: a token is at least one byte, JSON is counted as it is serialized, and what
the body only refers to may fill whatever the model's context leaves.
"""

from collections.abc import Callable
from typing import Any

from wire.strict_json import encode

TURN_TOKENS = 16
TOOLS_TOKENS = 1_000
"""What Anthropic puts before tools; its own table ends below this.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview (read 2026-11-21)."""

IMAGE_TOKENS = 1_600
PDF_CHARACTERS_PER_TOKEN = 40
"""Base64 of a PDF for one token, roughly: 60 KB a page of 2,000 tokens. For estimates only."""

_PROMPT_FIELDS = ("tools", "output_config", "tool_choice", "mcp_servers", "context_management")
_TEXTS = {"text": "text", "thinking": "thinking"}


class _Count:
    __slots__ = ("is_open", "max_image_tokens", "pdf_characters", "texts", "tokens")

    def __init__(self, max_image_tokens: int) -> None:
        self.max_image_tokens = max_image_tokens
        self.tokens = 0
        self.pdf_characters = 0
        self.texts: list[str] = []
        self.is_open = False

    def content(self, content: Any) -> None:
        """Count a text, or a list of blocks."""
        if type(content) is str:
            self.texts.append(content)
        elif content is not None:
            for block in content:
                self._block(block)

    def _block(self, block: dict[str, Any]) -> None:
        kind = block["type"]
        if (field := _TEXTS.get(kind)) is not None:
            self.texts.append(block[field])
            if block.get("citations"):
                self.json(block["citations"])
        elif kind == "image":
            self._image(block["source"])
        elif kind == "document":
            self._document(block)
        elif kind == "tool_result":
            self.texts.append(block["tool_use_id"])
            content = block.get("content")
            if type(content) in (str, list):
                self.content(content)
            else:
                self.json(content)
        else:
            self.json(block)

    def _image(self, source: dict[str, Any]) -> None:
        if source["type"] == "base64":
            self.tokens += self.max_image_tokens
        else:
            self.is_open = True

    def _document(self, block: dict[str, Any]) -> None:
        source = block["source"]
        self.json([block.get("title"), block.get("context")])
        if source["type"] == "text":
            self.texts.append(source["data"])
            return
        if source["type"] == "content":
            self.json(source)
            return
        self.is_open = True
        if source["type"] == "base64":
            self.pdf_characters += len(source["data"])

    def json(self, value: object) -> None:
        """Count anything as it is serialized."""
        self.texts.append(encode(value).decode())


def _counted(body: dict[str, Any], max_image_tokens: int) -> _Count:
    count = _Count(max_image_tokens)
    count.content(body.get("system"))
    for message in body["messages"]:
        count.tokens += TURN_TOKENS
        count.content(message.get("content"))
    for field in _PROMPT_FIELDS:
        if body.get(field):
            count.json(body[field])
    if body.get("tools") or body.get("mcp_servers"):
        count.tokens += TOOLS_TOKENS
    if body.get("mcp_servers") or body.get("container"):
        count.is_open = True
    return count


def input_bound(
    body: dict[str, Any],
    max_image_tokens: int,
    context_length: int,
    exact: Callable[[str], int] | None,
) -> int:
    """Return an upper bound of the input's tokens; `exact` counts text if there is a tokenizer."""
    count = _counted(body, max_image_tokens)
    if exact is not None:
        count.tokens += exact("\n".join(count.texts)) if count.texts else 0
    else:
        count.tokens += sum(
            len(text) if text.isascii() else len(text.encode()) for text in count.texts
        )
    return max(count.tokens, context_length) if count.is_open else count.tokens


def estimate(body: dict[str, Any], count_text: Callable[[str], int]) -> int:
    """Return about how many tokens the input has, for `count_tokens`: never less than 1."""
    count = _counted(body, IMAGE_TOKENS)
    text_tokens = count_text("\n".join(count.texts)) if count.texts else 0
    turns = len(body["messages"])
    tokens = count.tokens - turns * TURN_TOKENS + turns * 4
    return max(tokens + text_tokens + count.pdf_characters // PDF_CHARACTERS_PER_TOKEN, 1)
