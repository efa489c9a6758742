"""Anthropic's `usage`: read into disjoint buckets, written from them.

Its `input_tokens` leaves out what was read from and written to the cache; thinking is inside
`output_tokens`.

Source: the types of anthropic-sdk-python 2.11, `types/usage.py`, `types/message_delta_usage.py`
(read 2026-11-21).
"""

from collections.abc import Mapping
from typing import Any

from wire.chat_usage import BAD, MISSING, UPSTREAM_COST_FIELDS, Reading
from wire.usage import LARGEST_COUNT, Usage, is_count

_WHOLES = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_WRITES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


def read_usage(
    obj: object, *, bound_input: int = LARGEST_COUNT, bound_output: int = LARGEST_COUNT
) -> Reading:
    """Read a usage object; null is zero, and neither input nor output is none at all.

    Bad is each count that isn't a whole number within bounds, a part larger than its whole, and
    writes by lifetime that exceed all writes. Writes without a lifetime are those of 5 minutes.
    """
    if obj is None:
        return MISSING
    if not isinstance(obj, Mapping):
        return BAD
    if obj.get("input_tokens") is None and obj.get("output_tokens") is None:
        return MISSING
    wholes = _counts(obj, _WHOLES)
    writes = _counts(obj.get("cache_creation"), _WRITES)
    thought = _counts(obj.get("output_tokens_details"), ("thinking_tokens",))
    searched = _counts(obj.get("server_tool_use"), ("web_search_requests",))
    if wholes is None or writes is None or thought is None or searched is None:
        return BAD
    written = sum(writes.values())
    if obj.get("cache_creation_input_tokens") is not None:
        if written > wholes["cache_creation_input_tokens"]:
            return BAD
        written = wholes["cache_creation_input_tokens"]
    thinking = thought["thinking_tokens"]
    if thinking > wholes["output_tokens"]:
        return BAD
    usage = Usage(
        input_tokens=wholes["input_tokens"],
        cached_input_tokens=wholes["cache_read_input_tokens"],
        cache_write_tokens=written - writes["ephemeral_1h_input_tokens"],
        cache_write_1h_tokens=writes["ephemeral_1h_input_tokens"],
        output_tokens=wholes["output_tokens"] - thinking,
        reasoning_tokens=thinking,
        searches=searched["web_search_requests"],
    )
    return bounded(Reading(usage), bound_input, bound_output)


def _counts(obj: object, names: tuple[str, ...]) -> dict[str, int] | None:
    if obj is None:
        return dict.fromkeys(names, 0)
    if not isinstance(obj, Mapping):
        return None
    values = {name: obj.get(name) for name in names}
    if all(value is None or is_count(value) for value in values.values()):
        return {name: value or 0 for name, value in values.items()}
    return None


def bounded(reading: Reading, bound_input: int, bound_output: int) -> Reading:
    """Return a reading held against what the call can have used at the most."""
    usage = reading.usage
    if usage is not None and (
        usage.all_input_tokens > bound_input or usage.all_output_tokens > bound_output
    ):
        return BAD
    return reading


def merged(started: object, ended: object) -> object:
    """Return the usage of a whole stream: what its end says, over what its start said."""
    if not isinstance(started, Mapping):
        return ended if ended is not None else started
    if not isinstance(ended, Mapping):
        return started if ended is None else ended
    return {**started, **{name: value for name, value in ended.items() if value is not None}}


def usage_object(usage: Usage, *, is_estimated: bool = False) -> dict[str, Any]:
    """Return Anthropic's `usage` for these buckets; `estimated` is in it only when true."""
    shown: dict[str, Any] = {
        "input_tokens": usage.input_tokens + usage.audio_input_tokens + usage.image_input_tokens,
        "output_tokens": usage.all_output_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens + usage.cache_write_1h_tokens,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
    }
    if usage.reasoning_tokens:
        shown["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.searches:
        shown["server_tool_use"] = {"web_search_requests": usage.searches}
    if is_estimated:
        shown["estimated"] = True
    return shown


def shown_usage(
    upstream: object, reading: Reading, extra: Mapping[str, Any], estimate: Usage | None
) -> dict[str, Any]:
    """Return the `usage` a caller sees: upstream's where it was sound, else ours, plus `extra`."""
    shown: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0}
    if estimate is not None:
        shown = usage_object(estimate, is_estimated=True)
    elif reading.usage is not None and isinstance(upstream, Mapping):
        shown |= {key: upstream[key] for key in upstream if key not in UPSTREAM_COST_FIELDS}
    return {**shown, **extra}
