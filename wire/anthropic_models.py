"""What differs between Anthropic's models in what they may be asked; the API tells it by name only.

What changed is listed by version; a name without one is taken for the newest.

Source: https://platform.claude.com/docs/en/build-with-claude/thinking and
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
(read 2026-11-21).
"""

import re

import msgspec

EFFORTS = ("low", "medium", "high", "xhigh", "max")
LEAST_BUDGET_TOKENS = 1024
LARGEST_BUDGET_TOKENS = 32_000

SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
"""How much of the output limit each effort may think, for models that want a budget.

Source: https://openrouter.ai/docs/use-cases/reasoning-tokens (read 2026-11-21)."""


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """`is_adaptive`: decides itself how long to think, by effort; others want a budget.

    `has_sampling`: takes temperature, top_p and top_k. `has_system_turns`: takes instructions
    within the conversation.
    """

    is_adaptive: bool = True
    has_sampling: bool = False
    has_system_turns: bool = True


_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2})(?!\d))?")
_MANUAL = Traits(is_adaptive=False, has_sampling=True, has_system_turns=False)
_BY_VERSION = (
    ((4, 6), _MANUAL),
    ((4, 7), Traits(is_adaptive=True, has_sampling=True, has_system_turns=False)),
    ((4, 8), Traits(is_adaptive=True, has_sampling=False, has_system_turns=False)),
)
"""What models below a version take; the versions from the last one on are all alike."""


def traits(model: str) -> Traits:
    """Return what this model takes, by the provider's name of it.

    Models of other vendors that speak this dialect took it over from the older models.
    """
    if "claude" not in model:
        return _MANUAL
    found = _VERSION.search(model)
    if found is not None:
        version = (int(found[1]), int(found[2] or 0))
        for below, taken in _BY_VERSION:
            if version < below:
                return taken
    return Traits()


def effort_of(budget_tokens: int, limit: int | None) -> str:
    """Return the effort that comes nearest to a budget, as a share of the output limit."""
    share = budget_tokens / limit if limit else budget_tokens / LARGEST_BUDGET_TOKENS
    for effort in ("low", "medium", "high"):
        if share <= SHARES[effort]:
            return effort
    return "xhigh"


def budget_of(effort: str, limit: int) -> int | None:
    """Return the thinking budget for an effort; None where the limit leaves no room for any."""
    if limit <= LEAST_BUDGET_TOKENS:
        return None
    wanted = int(SHARES.get(effort, SHARES["medium"]) * limit)
    return min(max(wanted, LEAST_BUDGET_TOKENS), LARGEST_BUDGET_TOKENS, limit - 1)
