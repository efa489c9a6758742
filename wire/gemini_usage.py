"""`usageMetadata` of Gemini, read into disjoint buckets."""

from collections.abc import Mapping
from typing import Any

from wire.chat_usage import BAD, MISSING, Reading
from wire.usage import Usage, is_count

_COUNTS = (
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
)


def read_usage(obj: object) -> Reading:
    """Read a usage object; it isn't held against any bound.

    Cached tokens are inside `promptTokenCount`, what tools gave stands outside; thoughts stand
    outside `candidatesTokenCount`, but for an endpoint whose total says that they are inside. Bad
    is what isn't a count, a part larger than its whole, and a total that agrees with neither.

    Source: the types of google-genai 3.4, `GenerateContentResponseUsageMetadata` (read 2026-11-21).
    """
    if obj is None or obj == {}:
        return MISSING
    if not isinstance(obj, Mapping):
        return BAD
    told = {name: obj.get(name) or 0 for name in _COUNTS}
    if not all(is_count(value) for value in told.values()):
        return BAD
    prompt, tools, cached, written, thoughts, total = told.values()
    if total and total == prompt + tools + written and thoughts:
        written -= thoughts
    elif total and total != prompt + tools + written + thoughts:
        return BAD
    if cached > prompt or written < 0:
        return BAD
    in_cache = _by_modality(obj.get("cacheTokensDetails"))
    asked = _by_modality(obj.get("promptTokensDetails"))
    answered = _by_modality(obj.get("candidatesTokensDetails"))
    fresh, said = prompt - cached, written
    audio_in = min(max(asked.get("AUDIO", 0) - in_cache.get("AUDIO", 0), 0), fresh)
    image_in = min(max(asked.get("IMAGE", 0) - in_cache.get("IMAGE", 0), 0), fresh - audio_in)
    audio_out = min(answered.get("AUDIO", 0), said)
    image_out = min(answered.get("IMAGE", 0), said - audio_out)
    usage = Usage(
        input_tokens=fresh - audio_in - image_in + tools,
        cached_input_tokens=cached,
        audio_input_tokens=audio_in,
        image_input_tokens=image_in,
        output_tokens=said - audio_out - image_out,
        reasoning_tokens=thoughts,
        audio_output_tokens=audio_out,
        image_output_tokens=image_out,
    )
    return Reading(usage)


def _by_modality(details: Any) -> dict[str, int]:
    """Return the counts by modality; what makes no sense is none, as the whole is what counts."""
    found: dict[str, int] = {}
    for detail in details if isinstance(details, list) else ():
        if (
            isinstance(detail, Mapping)
            and type(count := detail.get("tokenCount")) is int
            and is_count(count)
        ):
            found[str(detail.get("modality"))] = count
    return found
