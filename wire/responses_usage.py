"""The `usage` object of OpenAI's Responses: the chat dialect's counts under other names."""

from collections.abc import Mapping
from typing import Any

import msgspec

from wire import chat_usage
from wire.chat_usage import UPSTREAM_COST_FIELDS, Reading
from wire.usage import LARGEST_COUNT, Usage, is_count

_CHAT_NAMES = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}


def read_usage(
    obj: object, *, bound_input: int = LARGEST_COUNT, bound_output: int = LARGEST_COUNT
) -> Reading:
    """Read a usage object: cached and written tokens are inside the input, reasoning the output.

    What is bad is told in `wire.chat_usage.read_usage`.

    Source: the types of openai-python 3.52, `responses/response_usage.py` (read 2026-11-21).
    """
    if isinstance(obj, Mapping):
        obj = {chat: obj.get(name) for name, chat in _CHAT_NAMES.items()}
    return chat_usage.read_usage(obj, bound_input=bound_input, bound_output=bound_output)


def with_searches(reading: Reading, tool_usage: object) -> Reading:
    """Add the web searches that upstream ran itself, which `tool_usage` beside `usage` counts."""
    told = tool_usage.get("web_search") if isinstance(tool_usage, Mapping) else None
    searches = told.get("num_requests") if isinstance(told, Mapping) else None
    if reading.usage is None or not is_count(searches):
        return reading
    usage = msgspec.structs.replace(reading.usage, searches=searches)
    return Reading(usage, reading.is_flagged)


def usage_object(usage: Usage, *, is_estimated: bool = False) -> dict[str, Any]:
    """Return a Responses `usage` object for these buckets; `estimated` is in it only when true."""
    whole_input, whole_output = usage.all_input_tokens, usage.all_output_tokens
    rendered: dict[str, Any] = {
        "input_tokens": whole_input,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens + usage.cache_write_1h_tokens,
        },
        "output_tokens": whole_output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": whole_input + whole_output,
    }
    if is_estimated:
        rendered["estimated"] = True
    return rendered


def shown_usage(
    upstream: object,
    reading: Reading,
    extra: Mapping[str, Any],
    estimate: Usage | None,
) -> dict[str, Any]:
    """Return the `usage` a caller sees: upstream's where it was sound, else ours, plus `extra`."""
    if estimate is not None:
        shown = usage_object(estimate, is_estimated=True)
    elif reading.usage is not None and isinstance(upstream, Mapping):
        shown = {key: upstream[key] for key in upstream if key not in UPSTREAM_COST_FIELDS}
    else:
        shown = {}
    return {**shown, **extra}
