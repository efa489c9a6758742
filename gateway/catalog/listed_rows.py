"""One entry of the vendored list as ours: its price in integers, what the model can do. Pure.

The list counts in USD for one token, character, image or second. Source: the fields of the list,
`data/VENDOR.md`, read 2026-11-21.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec

from gateway.catalog.entries import ModelConfig
from gateway.pricing import Price, Tier
from money import MILLION, USD

Row = Mapping[str, Any]

TEXT_FIELDS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_input": "input_cost_per_audio_token",
    "audio_output": "output_cost_per_audio_token",
    "image_input": "input_cost_per_image_token",
    "image_output": "output_cost_per_image_token",
}
TIER_FIELDS = ("input", "output", "cached_input", "cache_write")
ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
MINUTE_S = 60

GIVES: dict[str, tuple[str, ...]] = {
    "embedding": ("embeddings",),
    "image_generation": ("image",),
    "audio_speech": ("audio",),
    "moderation": ("moderation",),
    "rerank": ("rerank",),
}
"""What each mode of the list answers with; all others answer with text."""

ALSO_GIVES = {
    "image": "output_cost_per_image_token",
    "audio": "output_cost_per_audio_token",
}
"""What a model that writes also gives, when the list has a price for it."""

TAKES = {
    "supports_vision": "image",
    "supports_audio_input": "audio",
    "supports_video_input": "video",
    "supports_pdf_input": "file",
}
PLAIN_PARAMETERS = ("max_tokens", "max_completion_tokens", "stop", "temperature", "top_p")
PARAMETERS = {
    "supports_function_calling": ("tools",),
    "supports_tool_choice": ("tool_choice",),
    "supports_parallel_function_calling": ("parallel_tool_calls",),
    "supports_response_schema": ("response_format", "structured_outputs"),
    "supports_reasoning": ("reasoning", "reasoning_effort", "include_reasoning"),
}
WORDS = {"gpt": "GPT", "glm": "GLM", "tts": "TTS", "oss": "OSS", "vl": "VL", "hd": "HD"}


def price_of(row: Row, images: Mapping[str, Decimal], *, may_be_free: bool) -> Price | None:
    """Return the price of an entry, or None where the list knows none.

    A speech or transcription model is billed by characters or minutes where the list has that, an
    image model by images: never by both those and their tokens.
    """
    values = {name: _nano(row.get(field)) for name, field in TEXT_FIELDS.items()}
    if not may_be_free:
        values = {name: value or None for name, value in values.items()}
    mode = row["mode"]
    if mode == "audio_transcription" and row.get("input_cost_per_second"):
        return Price(per_minute=_nano(row["input_cost_per_second"] * MINUTE_S))
    if mode == "audio_speech" and row.get("input_cost_per_character"):
        return Price(per_million_chars=_nano(row["input_cost_per_character"]))
    if mode == "image_generation" and not _also_writes(row):
        table = _per_image(row, images)
        if table:
            return Price(
                per_image=table,
                input=values["input"],
                cached_input=values["cached_input"],
                image_input=values["image_input"],
            )
    values |= _first_of_tiers(row)
    if not any(value is not None for value in values.values()):
        return None
    price = Price(web_search=_web_search(row), above=_tiers(row))
    return msgspec.structs.replace(price, **values)


def config_of(row: Row) -> ModelConfig:
    """Return what the model of an entry can do."""
    mode, given = row["mode"], row.get("supported_output_modalities", ())
    output: tuple[str, ...] = GIVES.get(mode, ("text",))
    if mode in ("chat", "responses") or _also_writes(row):
        output = ("text", *(k for k, f in ALSO_GIVES.items() if k in given and row.get(f)))
    is_text = output[0] == "text" and mode != "audio_transcription"
    parameters = PLAIN_PARAMETERS if is_text else ()
    return ModelConfig(
        context_length=row.get("max_input_tokens"),
        max_output_tokens=row.get("max_output_tokens") or None,
        input=_taken(row),
        output=output,
        can_reason=bool(row.get("supports_reasoning")),
        supported_parameters=(
            *parameters,
            *(
                name
                for flag, names in PARAMETERS.items()
                if is_text and row.get(flag)
                for name in names
            ),
        ),
    )


def apis_of(row: Row) -> tuple[str, ...] | None:
    """Return the dialects that only this model is limited to; None: all that its vendor speaks."""
    if row["mode"] == "responses":
        return ("responses",)
    return ("chat",) if row["mode"] == "image_generation" and _also_writes(row) else None


def name_of(upstream_model: str) -> str:
    """Return a name for people: "gpt-4o-mini" is "GPT 4o Mini"."""
    words = re.split(r"[-_ ]", upstream_model.rpartition("/")[2])
    return " ".join(WORDS.get(word.lower(), word[:1].upper() + word[1:]) for word in words if word)


def _taken(row: Row) -> tuple[str, ...]:
    if row["mode"] == "audio_transcription":
        return ("audio",)
    return ("text", *(kind for flag, kind in TAKES.items() if row.get(flag)))


def _also_writes(row: Row) -> bool:
    return row["mode"] == "image_generation" and "text" in row.get(
        "supported_output_modalities", ()
    )


def _per_image(row: Row, variants: Mapping[str, Decimal]) -> dict[str, int]:
    table = {kind: _nano(price) or 0 for kind, price in variants.items()}
    one = row.get("output_cost_per_image") or row.get("input_cost_per_image")
    if one or table:
        table["default"] = (_nano(one) if one else None) or max(table.values())
    return table


def _first_of_tiers(row: Row) -> dict[str, int]:
    tiers = row.get("tiered_pricing") or [{}]
    return {
        name: value
        for name, field in TEXT_FIELDS.items()
        if (value := _nano(tiers[0].get(field))) is not None
    }


def _tiers(row: Row) -> tuple[Tier, ...]:
    """Return the tiers of both forms that the list has; each begins one token above its number."""
    found: dict[int, dict[str, int | None]] = {}
    for tier in (row.get("tiered_pricing") or ())[1:]:
        found[int(tier["range"][0])] = {n: _nano(tier.get(TEXT_FIELDS[n])) for n in TIER_FIELDS}
    for thousands in (match[1] for field in row if (match := ABOVE.fullmatch(field))):
        found[int(thousands) * 1000] = {
            name: _nano(row.get(f"{TEXT_FIELDS[name]}_above_{thousands}k_tokens"))
            for name in TIER_FIELDS
        }
    return tuple(Tier(input_tokens=size + 1, **found[size]) for size in sorted(found))


def _web_search(row: Row) -> int | None:
    prices = (row.get("search_context_cost_per_query") or {}).values()
    return _nano(max(prices)) if prices else None


def _nano(usd: Decimal | int | None) -> int | None:
    """USD for one unit as nano-USD for a million, rounded up where the list is finer than that."""
    if usd is None:
        return None
    return int((Decimal(usd) * USD * MILLION).to_integral_value(ROUND_CEILING))
