"""How many tokens a Responses request can be at most, before anyone has counted them.

As in `chat_bounds.py`: a token is at least one byte, JSON is counted as it is serialized, and what
the body only refers to may fill whatever the model's context leaves.
"""

from collections.abc import Callable
from typing import Any

from wire.strict_json import encode

ITEM_TOKENS = 16
TOOLS_TOKENS = 400

_PROMPT_FIELDS = ("tools", "text", "tool_choice")
_OPEN_FIELDS = ("previous_response_id", "conversation", "prompt", "context_management")
_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_WHOLE_ITEMS = frozenset(
    {
        "function_call", "custom_tool_call", "reasoning", "local_shell_call",
        "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call",
        "apply_patch_call_output", "additional_tools", "tool_search_call", "tool_search_output",
        "web_search_call", "mcp_call", "mcp_list_tools", "mcp_approval_request",
        "mcp_approval_response",
    }
)  # fmt: skip
"""The items whose JSON holds all that the model is given of them."""


class _Count:
    __slots__ = ("is_open", "max_image_tokens", "texts", "tokens")

    def __init__(self, max_image_tokens: int) -> None:
        self.max_image_tokens = max_image_tokens
        self.tokens = 0
        self.texts: list[str] = []
        self.is_open = False

    def json(self, value: object) -> None:
        self.texts.append(value if type(value) is str else encode(value).decode())

    def items(self, items: Any) -> None:
        if type(items) is str:
            self.tokens += ITEM_TOKENS
            self.texts.append(items)
        for item in items if type(items) is list else ():
            self.tokens += ITEM_TOKENS
            self._item(item)

    def _item(self, item: dict[str, Any]) -> None:
        kind = item.get("type")
        if kind in (None, "message") and item.get("role") is not None:
            self._content(item.get("content"))
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self.texts.append(str(item.get("call_id")))
            self._content(item.get("output"))
        elif kind in _WHOLE_ITEMS:
            self.json(item)
        else:
            self.is_open = True

    def _content(self, content: Any) -> None:
        if type(content) is str:
            self.texts.append(content)
        for part in content if type(content) is list else ():
            self._part(part)

    def _part(self, part: dict[str, Any]) -> None:
        kind = part["type"]
        if kind in _TEXTS:
            self.texts.append(part.get(_TEXTS[kind]) or "")
        elif kind == "input_image" and _is_inline(part.get("image_url")):
            self.tokens += self.max_image_tokens
        elif kind == "input_audio" and (size := _sound_size(part.get("input_audio"))):
            self.tokens += size // 100 + 100
        elif kind in ("reasoning_text", "summary_text"):
            self.json(part)
        else:
            self.is_open = True


def input_bound(
    body: dict[str, Any],
    max_image_tokens: int,
    context_length: int,
    exact: Callable[[str], int] | None,
) -> int:
    """Return an upper bound of the input's tokens; `exact` counts text if there is a tokenizer."""
    count = _Count(max_image_tokens)
    count.items(body.get("instructions"))
    count.items(body.get("input"))
    for field in _PROMPT_FIELDS:
        if body.get(field) not in (None, "auto", {}, []):
            count.json(body[field])
    count.is_open = count.is_open or any(body.get(field) for field in _OPEN_FIELDS)
    if body.get("tools"):
        count.tokens += TOOLS_TOKENS
    if exact is None:
        count.tokens += sum(_size(text) for text in count.texts)
    elif count.texts:
        count.tokens += exact("\n".join(count.texts))
    return max(count.tokens, context_length) if count.is_open else count.tokens


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _is_inline(url: object) -> bool:
    return isinstance(url, str) and url[:11].lower() == "data:image/"


def _sound_size(sound: object) -> int:
    data = sound.get("data") if isinstance(sound, dict) else None
    return len(data) if isinstance(data, str) else 0
