"""What differs between Gemini's models in how they are told to think; their names tell it.

Source: the types of google-genai 3.4, `ThinkingConfig`, and
https://ai.google.dev/gemini-api/docs/thought-signatures (read 2026-11-21).
"""

import re

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")

LEVELS = {
    "none": "minimal",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""The level for each effort, from version 3 on; these models can't be told not to think."""

BUDGETS = {
    "none": 0,
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
"""Tokens to think for each effort, for models below 3: our own choice, as they know no efforts."""

FOREIGN_SEAL = "skip_thought_signature_validator"
"""What stands for the seal of a call that another vendor's model made; without one it is a 400."""


def thinks_by_level(model: str) -> bool:
    """Whether a model wants a level, not a budget; a name without a version is the newest."""
    found = _VERSION.search(model)
    return found is None or int(found[1]) >= 3
