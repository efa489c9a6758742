"""The `usage` object of OpenAI's dialect: read into disjoint buckets, made where there is none."""

from collections.abc import Mapping
from typing import Any

import msgspec

from wire.usage import LARGEST_COUNT, Usage, is_count

UPSTREAM_COST_FIELDS = (
    "cost",
    "cost_details",
    "cost_in_usd_ticks",
    "estimated_cost",
    "is_byok",
    "total_cost",
)
"""What a provider charges the operator is the operator's business: never shown to a caller."""


class Reading(msgspec.Struct, frozen=True):
    """What a usage object says. Neither usage nor flag: there was none. Flagged: it was bad."""

    usage: Usage | None
    is_flagged: bool = False


MISSING = Reading(None)
BAD = Reading(None, is_flagged=True)


def read_usage(
    obj: object, *, bound_input: int = LARGEST_COUNT, bound_output: int = LARGEST_COUNT
) -> Reading:
    """Read a usage object of OpenAI's dialect, or of those who speak it with an accent.

    Cached, written, audio and image tokens are inside `prompt_tokens`; reasoning, audio and image
    tokens inside `completion_tokens`. Where such parts overlap (cached audio), the earlier of this
    order keeps the overlap, so the sum stays what upstream said. Bad is each count that isn't a
    whole number within bounds, a part larger than its whole, and a `total_tokens` other than prompt
    + completion. One total has a second reading: prompt + completion + reasoning tells that
    reasoning stands outside (xAI).

    Source: the types of openai-python 3.52; for xAI https://github.com/vercel/ai/pull/12425, for
    Moonshot https://github.com/earendil-works/pi/issues/8075, for DeepSeek
    https://docs.rs/crate/ds-api/0.10.7 (all read 2026-11-21).
    """
    if obj is None:
        return MISSING
    if not isinstance(obj, Mapping):
        return BAD
    if obj.get("prompt_tokens") is None and obj.get("completion_tokens") is None:
        return MISSING
    wholes = _counts(obj, _WHOLES)
    inside = _counts(obj.get("prompt_tokens_details"), _INPUT_PARTS)
    outside = _counts(obj.get("completion_tokens_details"), _OUTPUT_PARTS)
    if wholes is None or inside is None or outside is None:
        return BAD
    prompt, completion = wholes["prompt_tokens"], wholes["completion_tokens"]
    if not _has_whole_counts(obj, prompt, wholes):
        return BAD
    inside["cached_tokens"] = (
        inside["cached_tokens"] or wholes["prompt_cache_hit_tokens"] or wholes["cached_tokens"]
    )
    if obj.get("total_tokens") not in (None, prompt + completion):
        completion += outside["reasoning_tokens"]
        if wholes["total_tokens"] != prompt + completion:
            return BAD
    is_plausible = (
        max(inside.values()) <= prompt <= bound_input
        and max(outside.values()) <= completion <= bound_output
    )
    return Reading(_disjoint(prompt, completion, inside, outside)) if is_plausible else BAD


_WHOLES = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "cached_tokens",
)
_INPUT_PARTS = ("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens")
_OUTPUT_PARTS = ("reasoning_tokens", "audio_tokens", "image_tokens")


def _counts(details: object, names: tuple[str, ...]) -> dict[str, int] | None:
    """Return the named counts, zero where one is absent; None when there is no trusting them."""
    if details is None:
        return dict.fromkeys(names, 0)
    if not isinstance(details, Mapping):
        return None
    values = {name: details.get(name) for name in names}
    if all(value is None or is_count(value) for value in values.values()):
        return {name: value or 0 for name, value in values.items()}
    return None


def _has_whole_counts(obj: Mapping[str, Any], prompt: int, wholes: dict[str, int]) -> bool:
    """Whether both wholes are there, and DeepSeek's two halves of the prompt make the prompt."""
    if obj.get("prompt_tokens") is None or obj.get("completion_tokens") is None:
        return False
    if obj.get("prompt_cache_hit_tokens") is None or obj.get("prompt_cache_miss_tokens") is None:
        return True
    return prompt == wholes["prompt_cache_hit_tokens"] + wholes["prompt_cache_miss_tokens"]


def _disjoint(
    prompt: int, completion: int, inside: dict[str, int], outside: dict[str, int]
) -> Usage:
    input_tokens, (cached, written, audio_in, image_in) = _parted(prompt, inside)
    output_tokens, (reasoning, audio_out, image_out) = _parted(completion, outside)
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        audio_input_tokens=audio_in,
        image_input_tokens=image_in,
        output_tokens=output_tokens,
        reasoning_tokens=reasoning,
        audio_output_tokens=audio_out,
        image_output_tokens=image_out,
    )


def _parted(whole: int, parts: dict[str, int]) -> tuple[int, list[int]]:
    taken = []
    for part in parts.values():
        taken.append(min(part, whole))
        whole -= taken[-1]
    return whole, taken


def usage_value(raw: msgspec.Raw | None) -> Any:
    """Decode a usage object; what can't be read is a value that `read_usage` flags, no error."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        return "a number that is out of range"


def usage_object(usage: Usage, *, is_estimated: bool = False) -> dict[str, Any]:
    """Return OpenAI's `usage` object for these buckets; `estimated` is in it only when true."""
    prompt, completion = usage.all_input_tokens, usage.all_output_tokens
    rendered: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens + usage.cache_write_1h_tokens,
            "audio_tokens": usage.audio_input_tokens,
            "image_tokens": usage.image_input_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
            "image_tokens": usage.image_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    if is_estimated:
        rendered["estimated"] = True
    return rendered


def shown_usage(
    upstream: object, reading: Reading, extra: Mapping[str, Any], estimate: Usage | None
) -> dict[str, Any]:
    """Return the `usage` a caller sees: upstream's where it was sound, else ours, plus `extra`."""
    if estimate is not None:
        shown = usage_object(estimate, is_estimated=True)
    elif reading.usage is not None and isinstance(upstream, Mapping):
        shown = {key: upstream[key] for key in upstream if key not in UPSTREAM_COST_FIELDS}
    else:
        shown = {}
    return {**shown, **extra}
